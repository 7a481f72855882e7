//! QR codes for consoles and terminals: a person's telephone copies what the person would have to type.

use qrcode::{Color, EcLevel, QrCode};

/// The light margin, in modules. The standard asks for four, readers are content with two, and a console has 25 lines.
const MARGIN: usize = 2;

/// Draws `text`, two modules to a character, for a screen whose characters are lighter than its ground; `None` if it is
/// too long for a code.
pub fn draw(text: &str) -> Option<String> {
    // A console loses no corner: no room is spent on damage.
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let (width, modules) = (code.width(), code.to_colors());
    let is_light = |row: usize, column: usize| {
        let inside = |at: usize| at.checked_sub(MARGIN).filter(|at| *at < width);
        match (inside(row), inside(column)) {
            (Some(row), Some(column)) => modules.get(row * width + column) == Some(&Color::Light),
            _ => row < width + 2 * MARGIN,
        }
    };
    let size = width + 2 * MARGIN;
    let line = |row: usize| -> String {
        (0..size)
            .map(|column| match (is_light(row, column), is_light(row + 1, column)) {
                (true, true) => '\u{2588}',
                (true, false) => '\u{2580}',
                (false, true) => '\u{2584}',
                (false, false) => ' ',
            })
            .chain(['\n'])
            .collect()
    };
    Some((0..size).step_by(2).map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_fits_on_a_console_and_every_module_is_where_the_code_has_it() {
        let text = "imgbuild node approve 7QK2-M4TD";
        let drawn = draw(text).unwrap();
        let lines: Vec<Vec<char>> = drawn.lines().map(|line| line.chars().collect()).collect();
        assert_eq!((lines.len(), lines[0].len()), (15, 29));
        let code = QrCode::with_error_correction_level(text, EcLevel::L).unwrap();
        for row in 0..code.width() {
            for column in 0..code.width() {
                let down = row + MARGIN;
                let (at, half) = (down / 2, down % 2);
                let shown = lines[at][column + MARGIN];
                let is_light = shown == '\u{2588}' || shown == ['\u{2580}', '\u{2584}'][half];
                assert_eq!(is_light, code[(column, row)] == Color::Light, "{row} {column}\n{drawn}");
            }
        }
        assert!(lines[0].iter().all(|shown| *shown == '\u{2588}'), "the margin is light");
        assert_eq!(draw(&"x".repeat(5000)), None);
    }
}
