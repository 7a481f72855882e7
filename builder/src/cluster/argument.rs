//! Arguments that parts of Kubernetes are given besides those that imgbuild sets.

use std::str::FromStr;

use thiserror::Error;

use super::text::checked_text;

/// Arguments that follow from other keys, or that the cluster does not work without.
const OWN: [(&str, &str); 12] = [
    ("advertise-address", "it is the VPN address"),
    ("cloud-provider", "there is none"),
    ("cluster-cidr", "it is `network.pod-range`"),
    ("config", "imgbuild writes that file"),
    ("hostname-override", "it is the node's `name`"),
    ("max-pods", "it is `k3s.max-pods`"),
    ("node-cidr-mask-size", "it has room for `k3s.max-pods`"),
    ("node-ip", "it is the VPN address"),
    ("node-labels", "they are the node's `labels`"),
    ("node-monitor-grace-period", "links of edge nodes flap"),
    ("node-monitor-period", "links of edge nodes flap"),
    ("service-cluster-ip-range", "it is `network.service-range`"),
];

checked_text! {
    /// An argument of a part of Kubernetes, `name=value`, without leading hyphens.
    Argument
}

/// Why a text is no argument.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ArgumentError {
    /// Not `name=value`.
    #[error("`{text}` is no argument such as `image-gc-high-threshold=70`, without leading hyphens")]
    Form {
        /// The text.
        text: String,
    },
    /// imgbuild sets it.
    #[error("imgbuild sets `{name}` itself: {reason}")]
    Own {
        /// Name of the argument.
        name: String,
        /// What it follows from.
        reason: &'static str,
    },
}

impl FromStr for Argument {
    type Err = ArgumentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ArgumentError::Form { text: text.to_owned() };
        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !is_name || value.is_empty() || value.chars().any(char::is_control) {
            return Err(wrong());
        }
        if let Some((_, reason)) = OWN.iter().find(|(own, _)| *own == name) {
            return Err(ArgumentError::Own { name: name.to_owned(), reason });
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_with_values_only() {
        assert!("feature-gates=A=true,B=false".parse::<Argument>().is_ok());
        for text in ["", "v", "--v=4", "v=", "V=4", "=4", "v=4\n"] {
            assert_eq!(
                text.parse::<Argument>(),
                Err(ArgumentError::Form { text: text.to_owned() }),
                "{text}"
            );
        }
    }

    #[test]
    fn says_which_key_an_argument_follows_from() {
        let error = "max-pods=1".parse::<Argument>().unwrap_err();
        assert_eq!(error.to_string(), "imgbuild sets `max-pods` itself: it is `k3s.max-pods`");
    }
}
