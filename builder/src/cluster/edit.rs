//! Changes that commands make to the cluster file: by its text, so that comments and order stay as they are.

use thiserror::Error;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, TomlError, Value, value};

use super::{DnsLabel, VpnKey};

/// Why a cluster file was not changed.
#[derive(Debug, Error)]
pub enum EditError {
    /// It is no TOML.
    #[error("the cluster file cannot be changed")]
    Toml(#[source] Box<TomlError>),
    /// The list is written in one line, and not as tables.
    #[error("`{key}` of the cluster file is no list of tables, `[[{key}]]`")]
    Form {
        /// Which list.
        key: &'static str,
    },
}

/// Adds an admin.
pub fn add_admin(text: &str, name: &DnsLabel, public_key: &VpnKey) -> Result<String, EditError> {
    change(text, "admin", |admins| {
        let mut table = Table::new();
        table.insert("name", value(name.as_str()));
        table.insert("public-key", value(public_key.as_str()));
        admins.push(table);
    })
}

/// Revokes what a node was given of a generation below `minimum`.
pub fn revoke(text: &str, node: &DnsLabel, minimum: u32) -> Result<String, EditError> {
    change(text, "revocation", |revocations| {
        let of_node = |table: &&mut Table| table.get("node").and_then(Item::as_str) == Some(node.as_str());
        if let Some(table) = revocations.iter_mut().find(of_node) {
            let before = table.get("minimum-generation").and_then(Item::as_integer);
            if before.is_none_or(|before| before < i64::from(minimum)) {
                replace(table, "minimum-generation", i64::from(minimum).into());
            }
            return;
        }
        let mut table = Table::new();
        table.insert("node", value(node.as_str()));
        table.insert("minimum-generation", value(i64::from(minimum)));
        revocations.push(table);
    })
}

/// With what stands around the value: a comment behind it stays.
fn replace(table: &mut Table, key: &str, mut new: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        None => drop(table.insert(key, Item::Value(new))),
    }
}

fn change(
    text: &str,
    key: &'static str,
    change: impl FnOnce(&mut ArrayOfTables),
) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse().map_err(|fault| EditError::Toml(Box::new(fault)))?;
    let list = document.entry(key).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    change(list.as_array_of_tables_mut().ok_or(EditError::Form { key })?);
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# Ours.\nversion = 1\n\n[cluster] # lab\nname = 'lab'\n\n[[revocation]]\n# Stolen.\nnode = \"edge1\"\nminimum-generation = 7 # in May\n";

    fn name(text: &str) -> DnsLabel {
        text.parse().unwrap()
    }

    #[test]
    fn what_was_there_stays_as_it_was_written() {
        let key: VpnKey = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=".parse().unwrap();
        let text = add_admin(FILE, &name("ada"), &key).unwrap();
        let added =
            "\n[[admin]]\nname = \"ada\"\npublic-key = \"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\"\n";
        assert_eq!(text, format!("{FILE}{added}"));
        let text = revoke(&text, &name("edge2"), 9).unwrap();
        assert!(text.starts_with(FILE), "{text}");
        assert!(text.contains("[[revocation]]\nnode = \"edge2\"\nminimum-generation = 9\n"), "{text}");
    }

    #[test]
    fn a_revocation_is_raised_and_never_lowered() {
        assert_eq!(revoke(FILE, &name("edge1"), 7).unwrap(), FILE);
        assert_eq!(revoke(FILE, &name("edge1"), 6).unwrap(), FILE);
        assert_eq!(revoke(FILE, &name("edge1"), 8).unwrap(), FILE.replace("= 7", "= 8"));
    }

    #[test]
    fn what_cannot_be_changed_is_told() {
        let key: VpnKey = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=".parse().unwrap();
        let fault = add_admin("admin = []\n", &name("ada"), &key).unwrap_err().to_string();
        assert_eq!(fault, "`admin` of the cluster file is no list of tables, `[[admin]]`");
        assert!(revoke("version = \n", &name("ada"), 1).is_err());
    }
}
