//! Label and field selectors of lists and watches.

use serde_json::Value;

use super::status::Status;

/// What a list or watch shows.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    labels: Vec<(String, Wanted)>,
    fields: Vec<(String, bool, String)>,
}

#[derive(Clone, Debug)]
enum Wanted {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Missing,
}

impl Selector {
    /// From query parameters, empty if they are not there.
    pub fn parse(labels: &str, fields: &str) -> Result<Self, Status> {
        let labels = split(labels).into_iter().map(|text| label(&text)).collect::<Result<_, _>>()?;
        let fields = fields
            .split(',')
            .filter(|term| !term.is_empty())
            .map(|term| {
                let (field, is_equal, value) = match (term.split_once("!="), term.split_once('=')) {
                    (Some((field, value)), _) => (field, false, value),
                    (_, Some((field, value))) => (field, true, value.trim_start_matches('=')),
                    _ => return Err(Status::bad_request(format!("invalid field selector `{term}`"))),
                };
                Ok((field.to_owned(), is_equal, value.to_owned()))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// Only the object of this name.
    pub fn name(&self) -> Option<&str> {
        let by_name = self.fields.iter().find(|(field, is_equal, _)| *is_equal && field == "metadata.name");
        by_name.map(|(_, _, value)| value.as_str())
    }

    /// Whether it shows `object`.
    pub fn matches(&self, object: &Value) -> bool {
        let label =
            |name: &str| object.pointer("/metadata/labels").and_then(|labels| labels.get(name)?.as_str());
        let labels = self.labels.iter().all(|(name, wanted)| match wanted {
            Wanted::In(values) => {
                label(name).is_some_and(|value| values.iter().any(|wanted| wanted == value))
            }
            Wanted::NotIn(values) => {
                label(name).is_none_or(|value| values.iter().all(|other| other != value))
            }
            Wanted::Exists => label(name).is_some(),
            Wanted::Missing => label(name).is_none(),
        });
        labels
            && self.fields.iter().all(|(field, is_equal, wanted)| {
                let value = field.split('.').try_fold(object, |place, step| place.get(step));
                let is = match value {
                    Some(Value::String(text)) => text.clone(),
                    Some(Value::Null) | None => String::new(),
                    Some(other) => other.to_string(),
                };
                (is == *wanted) == *is_equal
            })
    }
}

/// At commas that are not in parentheses.
fn split(text: &str) -> Vec<String> {
    let (mut terms, mut term, mut depth) = (Vec::new(), String::new(), 0_u32);
    for character in text.chars() {
        match character {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                terms.push(std::mem::take(&mut term));
                continue;
            }
            _ => {}
        }
        term.push(character);
    }
    terms.push(term);
    terms.into_iter().map(|term| term.trim().to_owned()).filter(|term| !term.is_empty()).collect()
}

fn label(term: &str) -> Result<(String, Wanted), Status> {
    let invalid = || Status::bad_request(format!("unable to parse requirement: `{term}`"));
    if let Some(name) = term.strip_prefix('!') {
        return Ok((name.trim().to_owned(), Wanted::Missing));
    }
    if let Some((name, value)) = term.split_once("!=") {
        return Ok((name.trim().to_owned(), Wanted::NotIn(vec![value.trim().to_owned()])));
    }
    if let Some((name, value)) = term.split_once('=') {
        return Ok((
            name.trim().to_owned(),
            Wanted::In(vec![value.trim_start_matches('=').trim().to_owned()]),
        ));
    }
    let Some((head, values)) = term.split_once('(') else {
        return if term.contains(char::is_whitespace) {
            Err(invalid())
        } else {
            Ok((term.to_owned(), Wanted::Exists))
        };
    };
    let values = values.strip_suffix(')').ok_or_else(invalid)?;
    let values = values.split(',').map(|value| value.trim().to_owned()).collect();
    match head.split_whitespace().collect::<Vec<_>>().as_slice() {
        [name, "in"] => Ok(((*name).to_owned(), Wanted::In(values))),
        [name, "notin"] => Ok(((*name).to_owned(), Wanted::NotIn(values))),
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_of_every_form() {
        let object = json!({"type": "t", "metadata": {"name": "n", "labels": {"a": "1", "b": ""}}});
        for (labels, fields, expected) in [
            ("", "", true),
            ("a=1,b", "metadata.name=n", true),
            ("a==1,!c", "metadata.name!=m,type=t", true),
            ("a in (1, 2),c notin (x),c!=y", "", true),
            ("a!=1", "", false),
            ("a in (2)", "", false),
            ("c", "", false),
            ("!a", "", false),
            ("", "type=u", false),
        ] {
            assert_eq!(
                Selector::parse(labels, fields).unwrap().matches(&object),
                expected,
                "{labels} {fields}"
            );
        }
        assert_eq!(Selector::parse("a b", "").unwrap_err().code, 400);
    }
}
