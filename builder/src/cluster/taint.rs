//! Kubernetes taints.

use std::str::FromStr;

use thiserror::Error;

use super::text::checked_text;
use super::{LabelKey, LabelValue};
use crate::spelling::did_you_mean;

/// What a taint does to pods that do not tolerate it.
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

checked_text! {
    /// A taint, `key=value:Effect` or `key:Effect`, whose effect is `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    Taint
}

/// Why a text is no taint.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum TaintError {
    /// No colon, or a key or value of wrong form.
    #[error("`{text}` is no taint such as `dedicated=gpu:NoSchedule`")]
    Form {
        /// The text.
        text: String,
    },
    /// Kubernetes knows no such effect.
    #[error(
        "`{effect}` is no effect of a taint; {}",
        near.map_or_else(
            || "`NoSchedule`, `PreferNoSchedule` and `NoExecute` are".to_owned(),
            |near| format!("did you mean `{near}`?")
        )
    )]
    Effect {
        /// What stands behind the colon.
        effect: String,
        /// An effect whose name is nearly the same.
        near: Option<&'static str>,
    },
}

impl Taint {
    /// What may stand once on a node: key and effect.
    pub(super) fn identity(&self) -> (&str, &str) {
        let (taint, effect) = self.0.rsplit_once(':').unwrap_or((&self.0, ""));
        (taint.split('=').next().unwrap_or(taint), effect)
    }
}

impl FromStr for Taint {
    type Err = TaintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || TaintError::Form { text: text.to_owned() };
        let (taint, effect) = text.rsplit_once(':').ok_or_else(wrong)?;
        let (key, value) = taint.split_once('=').unwrap_or((taint, ""));
        // Unlike labels, a node may give itself taints of Kubernetes' own name spaces.
        if !LabelKey::is_form(key) || value.parse::<LabelValue>().is_err() {
            return Err(wrong());
        }
        if !EFFECTS.contains(&effect) {
            return Err(TaintError::Effect {
                effect: effect.to_owned(),
                near: did_you_mean(effect, EFFECTS),
            });
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_taints_with_and_without_value() {
        for text in
            ["a=b:NoSchedule", "a:NoExecute", "node-role.kubernetes.io/control-plane:PreferNoSchedule"]
        {
            assert_eq!(text.parse::<Taint>().map(|taint| taint.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "a", "a=b", "=b:NoSchedule", "a=b c:NoSchedule"] {
            assert_eq!(text.parse::<Taint>(), Err(TaintError::Form { text: text.to_owned() }), "{text}");
        }
        let error = TaintError::Effect { effect: "NoShedule".into(), near: Some("NoSchedule") };
        assert_eq!("a:NoShedule".parse::<Taint>(), Err(error));
    }

    #[test]
    fn knows_what_may_stand_once() {
        assert_eq!("a=b:NoSchedule".parse::<Taint>().unwrap().identity(), ("a", "NoSchedule"));
    }
}
