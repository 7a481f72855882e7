//! Parameters of a request.

/// Names and values, decoded.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Of the part after `?`.
    pub(super) fn parse(text: &str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// A value; empty if it is not there.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// Whether it is set to anything but "false" and "0".
    pub(super) fn flag(&self, name: &str) -> bool {
        !matches!(self.get(name), "" | "false" | "0")
    }
}
