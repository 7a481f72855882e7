//! The consoles of a machine, and the report on them.

use std::fs;
use std::path::Path;

use crate::console;
use crate::screen;
use crate::status::Status;

/// The kernel's consoles, `/dev/console` last.
const ACTIVE: &str = "/sys/class/tty/console/active";

/// Shows the report on the screen, and whole on the console that the kernel was given last (a serial
/// one on servers). Not by way of the journal, which would put its own prefix before every line.
pub(crate) fn show(status: &Status) {
    let active = fs::read_to_string(ACTIVE).unwrap_or_default();
    for (device, with_files) in consoles(&active) {
        let text = format!("\n{}", screen::render(status, *with_files));
        // A machine without a screen has no terminal; the other one shows the report then.
        let _ = console::show(Path::new(device), &text, console::PATIENCE);
    }
}

/// Devices, and whether files are shown there; `active` is what the kernel says of its consoles, `/dev/console` last.
fn consoles(active: &str) -> &'static [(&'static str, bool)] {
    match active.split_whitespace().last() {
        // The kernel's console is the screen, which shows the report once.
        Some("tty0" | "tty1") => &[("/dev/console", true)],
        _ => &[("/dev/console", true), ("/dev/tty1", false)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_screen_shows_the_report_twice() {
        let both = [("/dev/console", true), ("/dev/tty1", false)];
        assert_eq!(consoles("tty0 ttyS0\n"), both);
        assert_eq!(consoles(""), both);
        assert_eq!(consoles("ttyS0 tty0\n"), [("/dev/console", true)]);
    }
}
