//! Tables whose contents are somebody else's: kept as they stand, but for what looks like a secret.

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::report::{Located, Report};
use super::Entry;

/// Ends of keys whose text is a secret, and not the name of one.
const SECRETS: [&str; 4] = ["password", "passphrase", "token", "privatekey"];

impl Entry<'_> {
    /// A table that is handed on. A secret in it is a fault: settings files lie in Git.
    pub(crate) fn free(self) -> Option<Located<Map<String, Value>>> {
        let value = self.value?;
        let Some(entries) = value.get_ref().as_table() else {
            self.wrong_type(value, "a table");
            return None;
        };
        Some(Located { value: table(entries, self.report)?, span: value.span() })
    }
}

/// `None` only after a recorded fault.
fn table(entries: &DeTable<'_>, report: &Report) -> Option<Map<String, Value>> {
    let read = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let name: &std::borrow::Cow<'_, str> = key.get_ref();
        if let Some(text) = value.get_ref().as_str()
            && is_secret(name, text)
        {
            let help = "name the Secret that holds it instead";
            report.fault_with_help(
                &value.span(),
                format!("`{name}` looks like a secret, which has no place in the cluster file"),
                help,
            );
            return None;
        }
        Some((name.to_string(), one(value, report)?))
    };
    // All of them: a fault of one hides none of another.
    let read: Vec<_> = entries.iter().map(read).collect();
    read.into_iter().collect()
}

fn one(value: &Spanned<DeValue<'_>>, report: &Report) -> Option<Value> {
    let no_number = || {
        report.fault(
            &value.span(),
            "this number fits no chart: charts have integers of 64 bits and finite fractions",
        );
    };
    let found = match value.get_ref() {
        DeValue::String(text) => Some(Value::from(text.as_ref())),
        DeValue::Integer(integer) => {
            i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(Value::from)
        }
        DeValue::Float(float) => {
            let float: Option<f64> = float.as_str().parse().ok();
            float.and_then(serde_json::Number::from_f64).map(Value::Number)
        }
        DeValue::Boolean(boolean) => Some(Value::from(*boolean)),
        DeValue::Datetime(date) => Some(Value::from(date.to_string())),
        DeValue::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| one(item, report)).collect();
            return items.into_iter().collect::<Option<Vec<_>>>().map(Value::from);
        }
        DeValue::Table(entries) => return table(entries, report).map(Value::Object),
    };
    if found.is_none() {
        no_number();
    }
    found
}

fn is_secret(key: &str, text: &str) -> bool {
    let key: String = key.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    text.contains("PRIVATE KEY") || (!text.is_empty() && SECRETS.iter().any(|end| key.ends_with(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_secrets_from_names_of_secrets() {
        for (key, text, is_one) in [
            ("adminPassword", "hunter2", true),
            ("api-token", "x", true),
            ("tls", "-----BEGIN PRIVATE KEY-----", true),
            ("existingSecret", "smtp", false),
            ("passwordSecretName", "smtp", false),
            ("password", "", false),
        ] {
            assert_eq!(is_secret(key, text), is_one, "{key}");
        }
    }
}
