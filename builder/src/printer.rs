//! What people see while work goes on: one line per step, on standard error.
//!
//! Standard output is for data alone ([`Printer::data`]); with `--json` it holds one JSON document.
//! Tasks may run on several threads at once: each ends with a line of its own, and the line that is
//! redrawn meanwhile shows the one that moved last.

mod line;

use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use thiserror::Error;

use line::elapsed;

use crate::environment;
use crate::printable;

/// Steps shorter than this show only their last line.
const FIRST_DRAW: Duration = Duration::from_millis(250);
/// Time between two redrawn lines on a terminal.
const REDRAW: Duration = Duration::from_millis(100);
/// Time between two plain lines where nothing can be redrawn.
const PLAIN: Duration = Duration::from_secs(1);
/// Back to the first column, and clear to the end of the line (ECMA-48, 8.3.41).
const CLEAR_LINE: &str = "\r\x1b[K";

/// How much is said.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Verbosity {
    /// Nothing, for tests of other modules.
    #[default]
    Silent,
    /// Warnings only (`-q`).
    Quiet,
    /// One line per step.
    Normal,
    /// Details too (`-v`).
    Verbose,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set or the terminal is `dumb`.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Decides what is shown. Cheap to clone and to share.
#[derive(Clone, Default)]
pub struct Printer {
    shared: Arc<Shared>,
}

/// Standard output can't take data.
#[derive(Debug, Error)]
pub enum OutputError {
    /// The reader went away (`| head`): no fault of anybody.
    #[error("standard output was closed")]
    Closed,
    /// It is a file on a full disk, for example.
    #[error("writing to standard output")]
    Io(#[source] io::Error),
}

#[derive(Default)]
struct Shared {
    verbosity: Verbosity,
    is_terminal: bool,
    is_colored: bool,
    is_json: bool,
    screen: Mutex<Screen>,
}

/// The terminal, or what stands for it.
struct Screen {
    output: Box<dyn Write + Send>,
    /// A redrawn line stands there, to be cleared before anything else is written.
    is_drawn: bool,
    last_draw: Option<Instant>,
}

impl Default for Screen {
    fn default() -> Self {
        Self { output: Box::new(io::sink()), is_drawn: false, last_draw: None }
    }
}

impl fmt::Debug for Printer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Printer").field("verbosity", &self.shared.verbosity).finish_non_exhaustive()
    }
}

impl Printer {
    /// A printer on standard error.
    pub fn new(verbosity: Verbosity, color: Color, is_json: bool) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let is_dumb = std::env::var_os(environment::TERMINAL).is_some_and(|terminal| terminal == "dumb");
        let is_colored = match color {
            Color::Always => true,
            Color::Never => false,
            // https://no-color.org: set and not empty.
            Color::Auto => {
                is_terminal
                    && !is_dumb
                    && std::env::var_os(environment::NO_COLOR).is_none_or(|value| value.is_empty())
            }
        };
        Self::on(Box::new(io::stderr()), verbosity, is_terminal && !is_dumb, is_colored, is_json)
    }

    fn on(
        output: Box<dyn Write + Send>,
        verbosity: Verbosity,
        is_terminal: bool,
        is_colored: bool,
        is_json: bool,
    ) -> Self {
        let screen = Mutex::new(Screen { output, is_drawn: false, last_draw: None });
        Self { shared: Arc::new(Shared { verbosity, is_terminal, is_colored, is_json, screen }) }
    }

    /// Whether standard output is to hold JSON (`--json`).
    pub fn is_json(&self) -> bool {
        self.shared.is_json
    }

    /// Starts a step named by a gerund and its object (`fetching packages`), `total` bytes or items long if known.
    pub fn task(&self, name: &str, total: Option<u64>) -> Task {
        self.start(name, total, line::progress)
    }

    /// The same for bytes that go to or come from a disk, with their rate and the time left.
    pub fn transfer(&self, name: &str, total: u64) -> Task {
        self.start(name, Some(total), line::transfer)
    }

    fn start(&self, name: &str, total: Option<u64>, line: Line) -> Task {
        Task {
            printer: self.clone(),
            name: printable::text(name).into_owned(),
            total,
            line,
            done: AtomicU64::new(0),
            start: Instant::now(),
        }
    }

    /// Tells something that needs attention but stops nothing.
    pub fn warn(&self, message: &str) {
        if self.shared.verbosity >= Verbosity::Quiet {
            let message = printable::lines(message);
            self.shared.lines(&format!("{} {message}", self.paint("warning:", "1;33")));
        }
    }

    /// Tells what was done or what comes next, line by line.
    pub fn note(&self, message: &str) {
        if self.shared.verbosity >= Verbosity::Normal {
            self.shared.lines(&printable::lines(message));
        }
    }

    /// Tells a program what happens, however quiet: one line, which is JSON.
    pub fn event(&self, line: &str) {
        self.shared.lines(&printable::json(line));
    }

    /// Tells a detail, with `-v` only.
    pub fn detail(&self, message: &str) {
        if self.shared.verbosity >= Verbosity::Verbose {
            self.shared.lines(&printable::lines(message));
        }
    }

    /// Shows a rendered error, however quiet; `error:` and the like are coloured at line starts.
    pub(crate) fn error(&self, rendered: &str) {
        let painted: Vec<String> = printable::lines(rendered)
            .lines()
            .map(|line| match ["error:", "caused by:", "hint:"].iter().find(|word| line.starts_with(*word)) {
                Some(word) => {
                    let color = if *word == "hint:" { "1;36" } else { "1;31" };
                    format!("{}{}", self.paint(word, color), &line[word.len()..])
                }
                None => line.to_owned(),
            })
            .collect();
        self.shared.lines(&painted.join("\n"));
    }

    /// Writes data to standard output, with a line end.
    pub fn data(&self, text: &str) -> Result<(), OutputError> {
        self.output(&printable::lines(text))
    }

    fn output(&self, text: &str) -> Result<(), OutputError> {
        // A redrawn line would run into data that goes to the same terminal.
        self.shared.screen().clear();
        let mut output = io::stdout().lock();
        let written = output
            .write_all(text.as_bytes())
            .and_then(|()| if text.ends_with('\n') { Ok(()) } else { output.write_all(b"\n") });
        written.and_then(|()| output.flush()).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => OutputError::Closed,
            _ => OutputError::Io(error),
        })
    }

    /// Writes `value` as indented JSON to standard output.
    pub fn json(&self, value: &impl Serialize) -> Result<(), OutputError> {
        let text = serde_json::to_string_pretty(value).map_err(|error| OutputError::Io(error.into()))?;
        self.output(&printable::json(&text))
    }

    /// Wraps `text` in an SGR sequence (ECMA-48, 8.3.117) where colour is on.
    fn paint(&self, text: &str, color: &str) -> String {
        if self.shared.is_colored { format!("\x1b[{color}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

impl Shared {
    /// A panic elsewhere leaves the screen as usable as before.
    fn screen(&self) -> MutexGuard<'_, Screen> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lines(&self, text: &str) {
        let mut screen = self.screen();
        screen.clear();
        screen.write(&format!("{text}\n"));
    }

    /// Shows how far a task is, if it is time.
    fn draw(&self, task: &Task) {
        if self.verbosity < Verbosity::Normal || task.start.elapsed() < FIRST_DRAW {
            return;
        }
        let pause = if self.is_terminal { REDRAW } else { PLAIN };
        let mut screen = self.screen();
        let since = screen.last_draw.unwrap_or(task.start).elapsed();
        // Plain lines are for what takes long: the first one comes after a whole pause.
        if since < pause && (screen.last_draw.is_some() || !self.is_terminal) {
            return;
        }
        screen.last_draw = Some(Instant::now());
        let done = task.done.load(Ordering::Relaxed);
        let line = (task.line)(&task.name, done, task.total, task.start.elapsed());
        if self.is_terminal {
            screen.write(&format!("{CLEAR_LINE}{line}"));
            screen.is_drawn = true;
        } else {
            screen.write(&format!("{line}\n"));
        }
    }
}

impl Screen {
    fn clear(&mut self) {
        if self.is_drawn {
            self.write(CLEAR_LINE);
            self.is_drawn = false;
        }
    }

    /// What can't be shown stops no work: standard error may be closed.
    fn write(&mut self, text: &str) {
        let _ = self.output.write_all(text.as_bytes()).and_then(|()| self.output.flush());
    }
}

/// Makes the words of a progress line of name, what is done, total and time.
type Line = fn(&str, u64, Option<u64>, Duration) -> String;

/// A running step. Dropping it unfinished prints nothing.
#[derive(Debug)]
pub struct Task {
    printer: Printer,
    name: String,
    total: Option<u64>,
    line: Line,
    done: AtomicU64,
    start: Instant,
}

impl Task {
    /// Adds to what is done, in the unit of the total.
    pub fn advance(&self, amount: u64) {
        self.done.fetch_add(amount, Ordering::Relaxed);
        self.printer.shared.draw(self);
    }

    /// Ends the step with a summary (`135 packages, 66 MiB`).
    pub fn finish(self, summary: &str) {
        if self.printer.shared.verbosity >= Verbosity::Normal {
            let time = elapsed(self.start.elapsed());
            self.printer.shared.lines(&format!("{} … {}  {time}", self.name, printable::lines(summary)));
        }
    }
}

/// A step given up leaves no half line behind.
impl Drop for Task {
    fn drop(&mut self) {
        self.printer.shared.screen().clear();
    }
}

#[cfg(test)]
mod tests;
