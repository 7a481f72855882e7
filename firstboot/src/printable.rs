//! Characters that show as what they are.

/// Whether a character neither moves the cursor nor reorders or hides what is around it.
///
/// Not so are the control characters (Cc), those that change the direction of text (UAX #9, table 4), line and paragraph
/// separators, and what has no width: soft hyphen, zero-width characters, annotations and tags.
pub const fn is_printable(character: char) -> bool {
    !matches!(
        character,
        '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}
