//! What all kinds of resources have in common: where they are, and how replies name them.

use std::fmt;

use serde::de::DeserializeOwned;

use super::Labels;

/// Something that replies hold, one or many.
pub trait Listed: DeserializeOwned {
    /// Name of the part of a reply that holds one.
    const ONE: &'static str;
    /// Name of the part that holds many; of a [`Resource`] its path as well.
    const MANY: &'static str;
}

/// Something that has a number and a path of its own.
pub trait Resource: Listed {
    /// Its number.
    type Id: Copy + fmt::Display;
    /// Its number.
    fn id(&self) -> Self::Id;
}

/// Something that has labels.
pub trait Labelled: Listed {
    /// Its name, where it has one.
    fn name(&self) -> Option<&str>;
    /// Its labels.
    fn labels(&self) -> &Labels;
}

/// Implements [`Listed`] and [`Resource`]; with `labelled`, also [`Labelled`] of something that always has a name.
macro_rules! resource {
    ($type:ident, $id:ident, $one:literal, $many:literal) => {
        impl crate::hetzner::resource::Listed for $type {
            const ONE: &'static str = $one;
            const MANY: &'static str = $many;
        }

        impl crate::hetzner::resource::Resource for $type {
            type Id = $id;
            fn id(&self) -> $id {
                self.id
            }
        }
    };
    ($type:ident, $id:ident, $one:literal, $many:literal, labelled) => {
        crate::hetzner::resource::resource!($type, $id, $one, $many);

        impl crate::hetzner::resource::Labelled for $type {
            fn name(&self) -> Option<&str> {
                Some(&self.name)
            }

            fn labels(&self) -> &crate::hetzner::Labels {
                &self.labels
            }
        }
    };
}

pub(super) use resource;
