//! The end of a boot that cannot go on: a screen that says what, why and what to do, and a restart.
//!
//! Each failure in a row doubles the wait. Only UEFI has a place for the count that survives a reset and is not the
//! disk; elsewhere each wait is the first.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::efi::{EFIVARS, Variables};
use super::journal::Journal;
use crate::console;
use crate::slot::{Generation, Slot};

/// The first wait; long enough to read the first lines.
const FIRST_DELAY: u64 = 10;
/// The count stops here: the wait is long enough, and the variable is no longer written.
const MOST_FAILURES: u8 = 6;

/// The last wait, [`FIRST_DELAY`] doubled as often as it ever is.
pub const LONGEST_DELAY: Duration = Duration::from_secs(FIRST_DELAY << (MOST_FAILURES - 1));

/// Why stage0 stopped.
#[derive(Debug)]
pub struct Failure {
    /// What it was doing, as a gerund and its object.
    pub doing: &'static str,
    /// Why it did not work.
    pub cause: Box<dyn Error + Send + Sync>,
    /// What a person should do.
    pub hint: &'static str,
}

/// Adds what was being done to an error.
pub trait During<T> {
    /// `doing` is a gerund and its object, `hint` what a person should do.
    fn during(self, doing: &'static str, hint: &'static str) -> Result<T, Failure>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> During<T> for Result<T, E> {
    fn during(self, doing: &'static str, hint: &'static str) -> Result<T, Failure> {
        self.map_err(|cause| Failure { doing, cause: cause.into(), hint })
    }
}

impl Failure {
    /// The screen, without its frame.
    fn to_text(&self, place: &str) -> String {
        let mut lines = vec![format!("what:  {}", self.doing), format!("why:   {}", self.cause)];
        let mut source = self.cause.source();
        while let Some(cause) = source {
            lines.push(format!("       caused by: {cause}"));
            source = cause.source();
        }
        lines.extend([format!("where: {place}"), format!("do:    {}", self.hint), String::new()]);
        lines.join("\n")
    }
}

/// How long to wait before the restart after this many failures in a row.
pub(super) fn delay(failures: u8) -> Duration {
    Duration::from_secs(FIRST_DELAY << failures.saturating_sub(1).min(MOST_FAILURES - 1))
}

/// Shows `failure` on every console and in the kernel's log, waits, and restarts the machine; `next` is what will then
/// start, where that is something else.
pub fn stop(failure: &Failure, place: &str, next: Option<(Slot, Generation)>, journal: &mut Journal) -> ! {
    let variables = Variables::at(Path::new(EFIVARS));
    let failures = variables.failures().saturating_add(1).min(MOST_FAILURES);
    // The firmware may refuse; then each wait is the first.
    drop(variables.set_failures(failures));
    let delay = delay(failures);
    let seconds = delay.as_secs();
    let text = failure.to_text(place);
    let frame = "=".repeat(72);
    let next = next.map_or_else(String::new, |(slot, generation)| {
        format!(" This slot is given up: slot {slot}, generation {generation}, is next.")
    });
    let screen = format!(
        "\n{frame}\nTHIS MACHINE DID NOT START\n\n{text}\nIt restarts in {seconds} seconds.{next}\n{frame}\n"
    )
    .replace('\n', "\r\n");
    let show = |name: String| console::show(&Path::new("/dev").join(name), &screen, console::PATIENCE);
    // Every console is tried, not only those up to the first that works.
    let is_shown = consoles().into_iter().map(show).fold(false, |any, shown| any | shown.is_ok());
    for line in text.lines() {
        // The kernel shows errors on each console, where they are already.
        if is_shown { journal.debug(line) } else { journal.error(line) }
    }
    std::thread::sleep(delay);
    restart()
}

fn consoles() -> Vec<String> {
    let active = fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
    let names: Vec<_> = active.split_whitespace().map(str::to_owned).collect();
    if names.is_empty() { vec!["console".to_owned()] } else { names }
}

fn restart() -> ! {
    rustix::fs::sync();
    loop {
        // The kernel refuses only without the right to; then the watchdog or a person must.
        let _refused = rustix::system::reboot(rustix::system::RebootCommand::Restart);
        std::thread::sleep(Duration::from_secs(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("reading `/dev/vda7`")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn the_screen_says_what_why_where_and_what_to_do() {
        let cause = Outer(std::io::Error::from_raw_os_error(5));
        let failure = Err::<(), _>(cause).during("checking state", "replace the disk").unwrap_err();
        assert_eq!(
            failure.to_text("disk /dev/vda"),
            "what:  checking state\nwhy:   reading `/dev/vda7`\n       \
             caused by: Input/output error (os error 5)\nwhere: disk /dev/vda\ndo:    replace the disk\n"
        );
    }

    #[test]
    fn the_wait_doubles_and_then_stays() {
        let seconds = |failures| delay(failures).as_secs();
        assert_eq!([0, 1, 2, 3, 5, 6, 7, 255].map(seconds), [10, 10, 20, 40, 160, 320, 320, 320]);
    }
}
