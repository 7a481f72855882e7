//! Serde for types that are texts in documents: read by `FromStr`, so that no later code sees a wrong one.

/// Lets a type with `Display` and `FromStr` (whose error is `$error`) stand in documents by
/// `#[serde(try_from = "String", into = "String")]`.
macro_rules! by_text {
    ($type:ty, $error:ty) => {
        impl TryFrom<String> for $type {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    };
}

pub(crate) use by_text;
