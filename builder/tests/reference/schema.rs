//! Settings files, from their JSON Schemas.

use std::fmt::Write as _;

use serde_json::Value;

/// A page on a settings file.
pub(crate) struct Page {
    /// The file.
    pub(crate) title: &'static str,
    /// What there is to say before the tables.
    pub(crate) intro: &'static str,
    /// Tables in the order people write them: header, place in the schema.
    pub(crate) tables: &'static [(&'static str, &'static str)],
    /// A file with every key.
    pub(crate) example: Option<&'static str>,
}

pub(crate) const CLUSTER: Page = Page {
    title: "cluster.toml",
    intro: "Made from the schema that `imgbuild check --json-schema` prints.",
    tables: &[
        ("Top level", ""),
        ("[cluster]", "/properties/cluster"),
        ("[network]", "/$defs/network"),
        ("[k3s]", "/properties/k3s"),
        ("[gitops]", "/$defs/gitops"),
        ("[tls]", "/$defs/tls"),
        ("[mail]", "/$defs/mail"),
        ("[storage]", "/$defs/storage"),
        ("[backup]", "/$defs/backup"),
        ("[apps]", "/properties/apps"),
        ("[apps.NAME]", "/$defs/app"),
        ("[[node]]", "/$defs/node"),
        ("[node.hardware]", "/$defs/hardware"),
        ("[node.swap]", "/$defs/swap"),
        ("[node.longhorn]", "/$defs/longhorn"),
        ("[[node.longhorn.disks]]", "/$defs/longhorn-disk"),
        ("[[node.interfaces]]", "/$defs/interface"),
        ("[[admin]]", "/$defs/admin"),
        ("[[revocation]]", "/$defs/revocation"),
    ],
    example: None,
};

pub(crate) const PROFILE: Page = Page {
    title: "profiles/NAME.toml",
    intro: "Made from the types that read it. A profile is everything inside an OS bundle. The shipped ones are `cloud`, `edge`\n\
        and `cloud-debug`; a file beside `cluster.toml` adds one, or replaces the shipped one of its name.",
    tables: &[
        ("Top level", ""),
        ("[packages], [packages.amd64], [packages.arm64]", "/properties/packages"),
        ("[artifacts]", "/properties/artifacts"),
        ("[kernel], [kernel.amd64], [kernel.arm64]", "/properties/kernel"),
        ("[root]", "/properties/root"),
        ("[firmware], [firmware.amd64], [firmware.arm64]", "/properties/firmware"),
        ("[[exclude]]", "/properties/exclude/items"),
        ("[[file]]", "/properties/file/items"),
        ("[units]", "/properties/units"),
    ],
    example: Some(include_str!("examples/profile.toml")),
};

pub(crate) const IMAGE: Page = Page {
    title: "images/NAME.toml",
    intro: "Made from the types that read it. An image is the medium that a bundle is laid on. The shipped ones are `disk` and\n\
        `disk-4k`; a file beside `cluster.toml` adds one, or replaces the shipped one of its name.",
    tables: &[
        ("Top level", ""),
        ("[secure-boot]", "/properties/secure-boot"),
        ("[[partition]]", "/properties/partition/items"),
    ],
    example: Some(include_str!("examples/image.toml")),
};

impl Page {
    pub(crate) fn text(&self, schema: &Value) -> String {
        let mut text = format!("# {}\n\n{}\n", self.title, self.intro);
        for (header, pointer) in self.tables {
            let table = schema.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}"));
            let target = resolved(schema, table);
            let about = [target, table].into_iter().find_map(|table| table["description"].as_str());
            let about = about.unwrap_or_else(|| panic!("{header} says nothing"));
            let _ = write!(text, "\n## {header}\n\n{about}\n\n| key | type | means |\n|---|---|---|\n");
            let required: Vec<&str> =
                target["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            for (key, value) in keys(schema, pointer) {
                let meaning = meaning(schema, value, required.contains(&key.as_str()));
                let _ = writeln!(text, "| `{key}` | {} | {meaning} |", kind(schema, value));
            }
        }
        if let Some(example) = self.example {
            let _ = write!(text, "\n## Example\n\nEvery key once.\n\n```toml\n{example}```\n");
        }
        text
    }
}

/// The keys of a table and what the schema says of each.
pub(crate) fn keys<'schema>(
    schema: &'schema Value,
    pointer: &str,
) -> impl Iterator<Item = (&'schema String, &'schema Value)> {
    let table = schema.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}"));
    let properties = resolved(schema, table)["properties"].as_object();
    properties.unwrap_or_else(|| panic!("{pointer} has no keys")).iter()
}

/// The schema that a reference stands for.
fn resolved<'schema>(schema: &'schema Value, value: &'schema Value) -> &'schema Value {
    let place = value["$ref"].as_str().and_then(|place| place.strip_prefix('#'));
    place.map_or(value, |place| schema.pointer(place).unwrap_or_else(|| panic!("no {place}")))
}

fn kind(schema: &Value, value: &Value) -> String {
    let target = resolved(schema, value);
    if target["additionalProperties"].is_object() {
        return "table of strings".to_owned();
    }
    match target["type"].as_str() {
        Some("array") => format!("list of {}", kind(schema, &target["items"])),
        Some("object") => "table".to_owned(),
        Some(kind) => kind.to_owned(),
        None => "value".to_owned(),
    }
}

fn meaning(schema: &Value, value: &Value, is_required: bool) -> String {
    let target = resolved(schema, value);
    let about =
        [value, target].into_iter().find_map(|value| value["description"].as_str()).unwrap_or_default();
    let mut text = about.replace('\n', " ").replace('|', "\\|");
    if let Some(values) = value["enum"].as_array() {
        let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
        let _ = write!(text, " One of {}.", values.join(", "));
    }
    match &value["default"] {
        Value::Null if is_required => text += " Required.",
        Value::Null => {}
        default => _ = write!(text, " Default: `{default}`."),
    }
    text
}
