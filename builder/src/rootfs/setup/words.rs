//! Configuration text: splitting lines into words as systemd does, and stringing lines together.

/// Splits at white space, honouring single and double quotes and backslash escapes; `None` where a
/// quote is not closed or the line ends in a backslash.
pub(super) fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (_, '\\') => {
                let escaped = match letters.next()? {
                    'n' => '\n',
                    't' => '\t',
                    's' => ' ',
                    other => other,
                };
                word.get_or_insert_default().push(escaped);
            }
            (Some(open), _) if letter == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return None;
    }
    words.extend(word);
    Some(words)
}

/// Strings together lines, each ended.
pub(super) fn lines(items: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut text = String::new();
    for item in items {
        text.push_str(item.as_ref());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_quoted_space_and_empty_words() {
        let words = split("u\tx - \"System \\\"Bus\\\"\"  ''  a\\sb").unwrap();
        assert_eq!(words, ["u", "x", "-", "System \"Bus\"", "", "a b"]);
    }

    #[test]
    fn refuses_an_open_quote() {
        assert_eq!(split("u x - \"open"), None);
        assert_eq!(split("u x \\"), None);
    }
}
