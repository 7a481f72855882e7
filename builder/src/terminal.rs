//! Asking the person at the terminal for a passphrase. Without a terminal nobody is asked.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, IsTerminal as _, Write as _};

use age::Callbacks;
use age::secrecy::SecretString;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// The terminal of the process, as age's keys ask it too.
#[derive(Clone, Copy, Debug)]
pub struct Terminal;

impl Terminal {
    /// Whether somebody can be asked: a script with its input elsewhere never is.
    pub fn is_there() -> bool {
        std::io::stdin().is_terminal()
    }

    /// Asks a question that is answered by `y` or `yes`; whatever else is said means no. `None` without a terminal.
    pub fn agrees(question: &str) -> Option<bool> {
        let mut tty = Self::open()?;
        write!(tty, "{question} [y/N] ").ok()?;
        let mut answer = String::new();
        BufReader::new(&tty).read_line(&mut answer).ok()?;
        Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    fn open() -> Option<File> {
        Self::is_there().then(|| OpenOptions::new().read(true).write(true).open("/dev/tty").ok()).flatten()
    }
}

/// Keeps what is typed off the screen until it is dropped.
struct Silence<'tty> {
    tty: &'tty File,
    before: Termios,
}

impl<'tty> Silence<'tty> {
    fn of(tty: &'tty File) -> Option<Self> {
        let before = tcgetattr(tty).ok()?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(tty, OptionalActions::Flush, &silent).ok()?;
        Some(Self { tty, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // The terminal went away: there is nothing to restore.
        let _ = tcsetattr(self.tty, OptionalActions::Flush, &self.before);
    }
}

impl Callbacks for Terminal {
    fn display_message(&self, _message: &str) {}

    fn confirm(&self, _message: &str, _yes: &str, _no: Option<&str>) -> Option<bool> {
        None
    }

    fn request_public_string(&self, _description: &str) -> Option<String> {
        None
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        let mut tty = Self::open()?;
        write!(tty, "{description}: ").and_then(|()| tty.flush()).ok()?;
        let silence = Silence::of(&tty)?;
        let mut line = Zeroizing::new(String::with_capacity(256));
        BufReader::new(&tty).read_line(&mut line).ok()?;
        drop(silence);
        Some(SecretString::from(line.trim_end_matches(['\r', '\n']).to_owned()))
    }
}
