//! nsswitch.conf: what packages with NSS modules add to it (`dh_installnss`).
//!
//! The generated section of a postinst says in a comment what it is going to insert; that comment is
//! the declaration read here: `# Installing hosts/resolve[!UNAVAIL=return] from libnss-resolve in
//! position before=dns`.

use super::{SetupError, Work, text, words};
use crate::tree::{Metadata, Tree};

const PATH: &str = "etc/nsswitch.conf";

pub(super) fn edit(tree: &mut Tree, work: &mut Work<'_>) -> Result<(), SetupError> {
    for deb in work.context.debs {
        let Some(script) = deb.scripts.get("postinst") else { continue };
        for insertion in String::from_utf8_lossy(script).lines().filter_map(Insertion::parse) {
            let edited = insertion.apply(text(tree, PATH, "nss")?);
            tree.write(PATH, Metadata::FILE, edited)?;
        }
    }
    Ok(())
}

/// One service to be named in one database.
#[derive(Debug, Eq, PartialEq)]
struct Insertion {
    database: String,
    service: String,
    /// `[!UNAVAIL=return]`, or empty.
    action: String,
    position: Position,
}

#[derive(Debug, Eq, PartialEq)]
enum Position {
    First,
    Last,
    Before(String),
    After(String),
}

impl Insertion {
    fn parse(line: &str) -> Option<Self> {
        let rest = line.trim().strip_prefix("# Installing ")?;
        let (what, rest) = rest.split_once(" from ")?;
        let (_, position) = rest.split_once(" in position ")?;
        let (database, service) = what.split_once('/')?;
        let (service, action) = match service.find('[') {
            Some(start) => service.split_at(start),
            None => (service, ""),
        };
        let position = match position.split_once('=') {
            None if position == "first" => Position::First,
            None if position == "last" => Position::Last,
            Some(("before", other)) => Position::Before(other.to_owned()),
            Some(("after", other)) => Position::After(other.to_owned()),
            _ => return None,
        };
        Some(Self {
            database: database.to_owned(),
            service: service.to_owned(),
            action: action.to_owned(),
            position,
        })
    }

    fn apply(&self, text: &str) -> String {
        words::lines(text.lines().map(|line| self.apply_line(line)))
    }

    fn apply_line(&self, line: &str) -> String {
        let Some(rest) = line.strip_prefix(&format!("{}:", self.database)) else { return line.to_owned() };
        let indent = &rest[..rest.len() - rest.trim_start().len()];
        let mut words: Vec<&str> = rest.split_whitespace().collect();
        if words.contains(&self.service.as_str()) {
            return line.to_owned();
        }
        let find = |name: &str| words.iter().position(|word| *word == name);
        let index = match &self.position {
            Position::First => Some(0),
            Position::Last => Some(words.len()),
            Position::Before(other) => find(other),
            // An action in brackets belongs to the service before it.
            Position::After(other) => find(other).map(|index| {
                index + 1 + words[index + 1..].iter().take_while(|word| word.starts_with('[')).count()
            }),
        };
        let Some(index) = index else { return line.to_owned() };
        let new = [self.service.as_str(), self.action.as_str()];
        words.splice(index..index, new.into_iter().filter(|word| !word.is_empty()));
        format!("{}:{indent}{}", self.database, words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MYHOSTNAME: &str = "# Installing hosts/myhostname from libnss-myhostname in position after=files";
    const RESOLVE: &str =
        "\t\t# Installing hosts/resolve[!UNAVAIL=return] from libnss-resolve in position before=dns";

    #[test]
    fn inserts_where_debian_does() {
        let text = "passwd:         files\nhosts:          files dns\n";
        let expected =
            "passwd:         files\nhosts:          files myhostname resolve [!UNAVAIL=return] dns\n";
        for order in [[MYHOSTNAME, RESOLVE], [RESOLVE, MYHOSTNAME]] {
            let mut edited = text.to_owned();
            for line in order.into_iter().chain(order) {
                edited = Insertion::parse(line).unwrap().apply(&edited);
            }
            assert_eq!(edited, expected);
        }
    }

    #[test]
    fn leaves_other_comments_alone() {
        for line in ["# Installing things", "echo hosts/x", "# Installing hosts/x from y in position 3"] {
            assert_eq!(Insertion::parse(line), None, "{line}");
        }
    }

    #[test]
    fn keeps_a_line_without_the_neighbour() {
        assert_eq!(Insertion::parse(RESOLVE).unwrap().apply("hosts: files\n"), "hosts: files\n");
    }
}
