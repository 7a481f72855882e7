//! Writing to consoles, each of which may be stopped for ever: a serial line by flow control, a screen by Ctrl-S.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

/// How long a console may take nothing. A serial line of 9600 baud empties the kernel's 4 KiB in as much time.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries at a console that is full.
const PAUSE: Duration = Duration::from_millis(20);

/// Writes `text` to the terminal at `path`; one that takes nothing for `patience` is given up as `TimedOut`.
///
/// It does not become the terminal of this process, which process 1 must not have.
pub fn show(path: &Path, text: &str, patience: Duration) -> io::Result<()> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let mut terminal = OpenOptions::new().write(true).custom_flags(flags).open(path)?;
    let mut rest = text.as_bytes();
    let mut last_progress = Instant::now();
    while !rest.is_empty() {
        match terminal.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                rest = &rest[count..];
                last_progress = Instant::now();
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if last_progress.elapsed() >= patience {
                    return Err(ErrorKind::TimedOut.into());
                }
                std::thread::sleep(PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    /// A FIFO and its reading end; it takes 64 KiB that nobody reads.
    fn fifo(folder: &Path) -> (std::path::PathBuf, File) {
        let path = folder.join("console");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let reader = OpenOptions::new().read(true).custom_flags(flags).open(&path).unwrap();
        (path, reader)
    }

    #[test]
    fn a_console_that_takes_nothing_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _reader) = fifo(folder.path());
        let text = "x".repeat(1 << 20);
        let error = show(&path, &text, Duration::from_millis(100)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn a_slow_console_gets_everything() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut reader) = fifo(folder.path());
        let text = "line\n".repeat(40_000);
        let expected = text.len();
        let writer = std::thread::spawn(move || show(&path, &text, PATIENCE));
        let (mut buffer, mut count) = ([0; 4096], 0);
        while count < expected {
            match reader.read(&mut buffer) {
                Ok(read) => count += read,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        writer.join().unwrap().unwrap();
    }
}
