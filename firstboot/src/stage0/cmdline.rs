//! What the kernel command line tells stage0.

use crate::gpt::Guid;
use crate::root_hash::RootHash;

/// Bytes of state below which k3s has no room to start; holds where the image says nothing.
pub const STATE_MINIMUM: u64 = 256 << 20;
/// The argument that says so.
pub const STATE_MINIMUM_KEY: &str = "imgbuild.state-minimum";

/// Arguments that stage0 knows; all others are the kernel's and systemd's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Arguments {
    /// `roothash=`
    pub root_hash: RootHash,
    /// `imgbuild.esp=`, the PARTUUID of the ESP where no UEFI variable tells it.
    pub esp: Option<Guid>,
    /// `imgbuild.trial`: GRUB counts this boot's tries.
    pub is_on_trial: bool,
    /// `imgbuild.state-minimum=`, bytes that the state partition must have when it is made.
    pub state_minimum: u64,
}

/// What is wrong with the command line.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// Without it there is nothing to boot.
    #[error("kernel command line has no `roothash=`")]
    NoRootHash,
    /// The argument's value has another form.
    #[error("`{key}=` is `{value}`, expected {form}")]
    Value {
        /// The argument.
        key: &'static str,
        /// What it says.
        value: String,
        /// What it must look like.
        form: &'static str,
    },
    /// The argument is there twice, with two values.
    #[error("`{key}=` is both `{first}` and `{second}`")]
    Twice {
        /// The argument.
        key: &'static str,
        /// Its first value.
        first: String,
        /// Its second value.
        second: String,
    },
}

impl Arguments {
    /// Reads `/proc/cmdline`'s text.
    pub fn parse(cmdline: &str) -> Result<Self, Error> {
        let root_hash = value_of(cmdline, "roothash")?.ok_or(Error::NoRootHash)?;
        let root_hash = RootHash::parse(&root_hash).ok_or(Error::Value {
            key: "roothash",
            value: root_hash,
            form: "64 hexadecimal digits",
        })?;
        let esp = match value_of(cmdline, "imgbuild.esp")? {
            None => None,
            Some(value) => Some(value.parse().map_err(|_| Error::Value {
                key: "imgbuild.esp",
                value,
                form: "a PARTUUID",
            })?),
        };
        let is_on_trial = own_words(cmdline).any(|word| word == "imgbuild.trial");
        Ok(Self { root_hash, esp, is_on_trial, state_minimum: state_minimum(cmdline)? })
    }
}

/// Bytes that the state partition must have when it is made; [`STATE_MINIMUM`] where nothing is said.
pub fn state_minimum(cmdline: &str) -> Result<u64, Error> {
    let Some(value) = value_of(cmdline, STATE_MINIMUM_KEY)? else { return Ok(STATE_MINIMUM) };
    let form = "a number of bytes";
    parse_bytes(&value).ok_or(Error::Value { key: STATE_MINIMUM_KEY, value, form })
}

/// Decimal digits only; the standard parser takes a sign, too.
fn parse_bytes(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// What follows `--` is for init and does not count.
fn own_words(cmdline: &str) -> impl Iterator<Item = String> {
    words(cmdline).into_iter().take_while(|word| word != "--")
}

/// The one value of `key`.
fn value_of(cmdline: &str, key: &'static str) -> Result<Option<String>, Error> {
    let mut found: Option<String> = None;
    for word in own_words(cmdline) {
        let Some(value) = word.strip_prefix(key).and_then(|rest| rest.strip_prefix('=')) else { continue };
        match &found {
            Some(first) if first != value => {
                return Err(Error::Twice { key, first: first.clone(), second: value.to_owned() });
            }
            _ => found = Some(value.to_owned()),
        }
    }
    Ok(found)
}

/// Splits at white space outside of double quotes and drops the quotes, as the kernel does.
fn words(cmdline: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for character in cmdline.chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            c if c.is_whitespace() && !is_quoted => words.push(String::new()),
            c => {
                if let Some(word) = words.last_mut() {
                    word.push(c);
                }
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210";

    #[test]
    fn the_root_hash_names_both_partitions() {
        let line = format!("console=tty0 roothash={HASH} panic=10\n");
        let arguments = Arguments::parse(&line).unwrap();
        assert_eq!(arguments.root_hash.to_string(), HASH);
        assert_eq!(arguments.root_hash.root_partition().to_string(), "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(
            arguments.root_hash.verity_partition().to_string(),
            "01234567-89ab-cdef-fedc-ba9876543210"
        );
        assert_eq!((arguments.esp, arguments.is_on_trial, arguments.state_minimum), (None, false, 256 << 20));
    }

    #[test]
    fn quotes_and_repetition_are_read_as_the_kernel_does() {
        let line = format!(
            "dyndbg=\"file a.c +p roothash=x\" \"roothash={HASH}\" roothash={HASH} \
             imgbuild.esp=\"c12a7328-f81f-11d2-ba4b-00a0c93ec93b\" -- roothash=y"
        );
        assert_eq!(Arguments::parse(&line).unwrap().esp, Some(Guid::ESP));
    }

    #[test]
    fn grub_tells_that_a_slot_is_on_trial() {
        let is_on_trial = |word| Arguments::parse(&format!("roothash={HASH} {word}")).unwrap().is_on_trial;
        assert_eq!(
            ["imgbuild.trial", "imgbuild.trial=", "x.imgbuild.trial", "-- imgbuild.trial"].map(is_on_trial),
            [true, false, false, false]
        );
    }

    #[test]
    fn the_image_says_how_large_state_must_be() {
        let line = format!("roothash={HASH} imgbuild.state-minimum=1073741824");
        assert_eq!(Arguments::parse(&line).unwrap().state_minimum, 1 << 30);
        for value in ["", "+1", "-1", "1GiB", "1_000", "18446744073709551616"] {
            let line = format!("roothash={HASH} imgbuild.state-minimum={value}");
            assert_eq!(
                Arguments::parse(&line).unwrap_err().to_string(),
                format!("`imgbuild.state-minimum=` is `{value}`, expected a number of bytes")
            );
        }
    }

    #[test]
    fn faults_name_the_argument_and_its_value() {
        let upper = HASH.to_uppercase().replace('0', "1");
        for (line, message) in [
            (String::new(), "kernel command line has no `roothash=`"),
            ("roothash".to_owned(), "kernel command line has no `roothash=`"),
            ("roothash=12".to_owned(), "`roothash=` is `12`, expected 64 hexadecimal digits"),
            (
                format!("roothash={}ü", &HASH[2..]),
                &format!("`roothash=` is `{}ü`, expected 64 hexadecimal digits", &HASH[2..]),
            ),
            (
                format!("roothash={HASH} roothash={upper}"),
                &format!("`roothash=` is both `{HASH}` and `{upper}`"),
            ),
            (
                format!("roothash={HASH} imgbuild.esp=(hd0)"),
                "`imgbuild.esp=` is `(hd0)`, expected a PARTUUID",
            ),
        ] {
            assert_eq!(Arguments::parse(&line).unwrap_err().to_string(), message, "{line}");
        }
    }
}
