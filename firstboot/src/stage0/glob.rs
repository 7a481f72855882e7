//! Shell patterns of `modules.alias`: `*`, `?` and `[…]`, as `fnmatch(3)` without flags reads them.

/// Whether all of `text` matches `pattern`.
///
/// Linear in memory and, by trying only the last `*` again, quadratic at worst in time.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut from) = (0, 0);
    // Where to go on after a mismatch: behind the last star, one more byte swallowed by it.
    let mut retry: Option<(usize, usize)> = None;
    while from < text.len() {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            retry = Some((at, from));
        } else if let Some(next) = match_one(pattern, at, text[from]) {
            at = next;
            from += 1;
        } else if let Some((star, swallowed)) = retry {
            at = star;
            from = swallowed + 1;
            retry = Some((star, from));
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// Matches one byte and returns where the pattern goes on.
fn match_one(pattern: &[u8], at: usize, byte: u8) -> Option<usize> {
    match *pattern.get(at)? {
        b'?' => Some(at + 1),
        b'[' => match bracket(&pattern[at + 1..]) {
            Some((set, length)) => is_in_set(set, byte).then_some(at + 1 + length),
            // Without a closing bracket the opening one stands for itself.
            None => (byte == b'[').then_some(at + 1),
        },
        b'\\' if at + 1 < pattern.len() => (pattern[at + 1] == byte).then_some(at + 2),
        literal => (literal == byte).then_some(at + 1),
    }
}

/// The set up to the closing bracket, and the bytes up to behind it. A `]` in first place belongs to the set.
fn bracket(rest: &[u8]) -> Option<(&[u8], usize)> {
    let is_negated = matches!(rest.first(), Some(b'!' | b'^'));
    let first = usize::from(is_negated);
    let close = rest.iter().skip(first + 1).position(|byte| *byte == b']')? + first + 1;
    Some((&rest[..close], close + 1))
}

fn is_in_set(set: &[u8], byte: u8) -> bool {
    let (is_negated, mut set) = match set {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    let mut found = false;
    while let [first, rest @ ..] = set {
        if let [b'-', last, behind @ ..] = rest {
            found |= (*first..=*last).contains(&byte);
            set = behind;
        } else {
            found |= *first == byte;
            set = rest;
        }
    }
    found != is_negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_fnmatch_does() {
        for (pattern, text, expected) in [
            ("virtio:d00000002v*", "virtio:d00000002v00001AF4", true),
            ("virtio:d00000002v*", "virtio:d00000001v00001AF4", false),
            ("pci:v*d*sv*sd*bc01sc06i01*", "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01", true),
            ("pci:v*d*sv*sd*bc01sc08i02*", "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01", false),
            (
                "usb:v0BDAp0138d*dc*dsc*dp*ic08isc06ip50in*",
                "usb:v0BDAp0138d0100dc00dsc00dp00ic08isc06ip50in00",
                true,
            ),
            (
                "cpu:type:x86,ven*fam*mod*:feature:*0089*",
                "cpu:type:x86,ven0000fam0006mod0006:feature:,0000,0089,00A0",
                true,
            ),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("**", "abc", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "", false),
            ("a?c", "abc", true),
            ("i8[0-9a-f]", "i8c", true),
            ("i8[0-9a-f]", "i8g", false),
            ("[!a]", "b", true),
            ("[^a]", "a", false),
            ("[]x]", "]", true),
            ("[a-]", "-", true),
            ("[ab", "[ab", true),
            ("[ab", "a", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("a\\", "a\\", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "`{pattern}` and `{text}`");
        }
    }

    #[test]
    fn many_stars_do_not_take_forever() {
        assert!(!matches(&"*a".repeat(50), &"a".repeat(40)));
        assert!(!matches(&format!("{}b", "a*".repeat(200)), &"a".repeat(5000)));
    }
}
