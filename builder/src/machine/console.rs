//! A serial console that is written to a file and followed.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// How many lines of the console an error shows.
const LAST_LINES: usize = 50;

/// What was waited for did not come.
#[derive(Debug, Error)]
pub enum ConsoleError {
    /// The console file cannot be read.
    #[error("reading console `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The line did not appear in time.
    #[error("`{wanted}` did not appear on the console within {} s; its last lines:\n{last}", deadline.as_secs())]
    Deadline {
        /// The text that was waited for.
        wanted: String,
        /// The time it was given.
        deadline: Duration,
        /// The console's last lines.
        last: String,
    },
    /// The machine ended before the line appeared.
    #[error("the machine ended before `{wanted}` appeared on the console; its last lines:\n{last}")]
    Ended {
        /// The text that was waited for.
        wanted: String,
        /// The console's last lines.
        last: String,
    },
}

/// The console's text so far, without terminal control sequences.
#[derive(Debug)]
pub struct Console {
    path: PathBuf,
    read: u64,
    text: String,
}

impl Console {
    /// Follows the file at `path`, which need not exist yet.
    pub fn follow(path: PathBuf) -> Self {
        Self { path, read: 0, text: String::new() }
    }

    /// Takes in what was written since the last call and returns just that.
    pub fn poll(&mut self) -> Result<&str, ConsoleError> {
        let before = self.text.len();
        self.take_in().map_err(|source| ConsoleError::Read { path: self.path.clone(), source })?;
        Ok(self.text.get(before..).unwrap_or_default())
    }

    /// Everything so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The last lines, for an error.
    pub fn last_lines(&self) -> String {
        let lines: Vec<&str> = self.text.lines().collect();
        let skipped = lines.len().saturating_sub(LAST_LINES);
        lines.get(skipped..).unwrap_or_default().join("\n")
    }

    fn take_in(&mut self) -> std::io::Result<()> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        // A sequence or character that is not complete yet is read again next time.
        let complete =
            bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |index| index.saturating_add(1));
        bytes.truncate(complete);
        self.read = self.read.saturating_add(u64::try_from(complete).unwrap_or(u64::MAX));
        self.text += &plain(&String::from_utf8_lossy(&bytes));
        Ok(())
    }
}

/// Removes carriage returns and the control sequences of ECMA-48 (CSI … final byte; OSC … BEL or ST).
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => match characters.next() {
                Some('[') => while characters.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                // Ends with BEL, or with ESC and a backslash.
                Some(']' | 'P' | '^' | '_')
                    if characters.by_ref().find(|c| matches!(c, '\u{7}' | '\u{1b}')) == Some('\u{1b}') =>
                {
                    characters.next();
                }
                _ => {}
            },
            '\r' | '\0' => {}
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_text_without_control_sequences() {
        let coloured = "\u{1b}[0;32m  OK  \u{1b}[0m] Reached\r\n\u{1b}]8003;start=x\u{1b}\\done\n";
        assert_eq!(plain(coloured), "  OK  ] Reached\ndone\n");
    }

    #[test]
    fn returns_whole_lines_only_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut console = Console::follow(file.path().to_owned());
        std::fs::write(file.path(), "one\ntw").unwrap();
        assert_eq!(console.poll().unwrap(), "one\n");
        std::fs::write(file.path(), "one\ntwo\n").unwrap();
        assert_eq!(console.poll().unwrap(), "two\n");
        assert_eq!(console.text(), "one\ntwo\n");
    }
}
