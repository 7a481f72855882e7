//! The JSON Schema of the cluster file, for editors (`imgbuild check --json-schema`).

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::network::Range;
use super::raw::RawFile;
use crate::diagnostic::schema::of;

/// The schema, in draft 2020-12.
pub fn schema() -> Schema {
    of::<RawFile>()
}

impl JsonSchema for Range {
    fn schema_name() -> Cow<'static, str> {
        "Range".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An IPv4 network in CIDR notation, `10.44.0.0/16`.",
            "type": "string",
            "pattern": r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$",
        })
    }
}
