//! What the cluster offers and relies on, as it stands in the file: certificates, mail, volumes, copies, apps, admins.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

use crate::cluster::app::APPS;
use crate::cluster::{DnsLabel, Endpoint, Issuer, MailAddress, VpnKey};
use crate::diagnostic::{Located, Span, Table};

/// Names of the issuers in the file.
const ISSUERS: [(&str, Issuer); 3] = [
    ("letsencrypt-staging", Issuer::LetsencryptStaging),
    ("letsencrypt-production", Issuer::LetsencryptProduction),
    ("self-signed", Issuer::SelfSigned),
];

/// Hours between two copies of the datastore: what divides a day, so that they are as far apart at midnight.
const INTERVALS: [u32; 8] = [1, 2, 3, 4, 6, 8, 12, 24];

/// Certificates of what the cluster serves.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "tls", rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::cluster) struct RawTls {
    /// The table's place.
    #[schemars(skip)]
    pub(in crate::cluster) span: Span,
    /// Who signs them. Those of `letsencrypt-staging` and `self-signed` are trusted by no browser.
    #[schemars(
        with = "Option<String>",
        extend(
            "enum" = ["letsencrypt-staging", "letsencrypt-production", "self-signed"],
            "default" = "letsencrypt-staging"
        )
    )]
    pub(in crate::cluster) issuer: Option<Located<Issuer>>,
    /// Whom Let's Encrypt writes to; the `recipient` of `[mail]` unless given.
    #[schemars(with = "Option<String>")]
    pub(in crate::cluster) email: Option<Located<MailAddress>>,
    /// Whether an address is given, right or wrong.
    #[schemars(skip)]
    pub(in crate::cluster) has_email: bool,
}

/// The mail server that the cluster sends by.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "mail", rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::cluster) struct RawMail {
    /// DNS name or address of the SMTP server.
    #[schemars(required)]
    pub(in crate::cluster) server: Option<Located<Endpoint>>,
    /// Its port.
    #[schemars(extend("default" = 587, "minimum" = 1))]
    pub(in crate::cluster) port: Option<Located<u16>>,
    /// Address that mail comes from.
    #[schemars(required, with = "Option<String>")]
    pub(in crate::cluster) sender: Option<Located<MailAddress>>,
    /// Address that alerts go to.
    #[schemars(required, with = "Option<String>")]
    pub(in crate::cluster) recipient: Option<Located<MailAddress>>,
    /// Name of the Secret with `username` and `password`; without it, the server is asked for no login.
    pub(in crate::cluster) secret: Option<Located<DnsLabel>>,
}

/// Volumes.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "storage", rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::cluster) struct RawStorage {
    /// Copies of a volume, 1 to 5; no more than its scope has nodes. Three unless given.
    #[schemars(extend("default" = 3, "minimum" = 1, "maximum" = 5))]
    pub(in crate::cluster) replicas: Option<Located<u32>>,
}

/// Copies of datastore and volumes in S3.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "backup", rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::cluster) struct RawBackup {
    /// The table's place.
    #[schemars(skip)]
    pub(in crate::cluster) span: Span,
    /// Host of the S3 service.
    #[schemars(required)]
    pub(in crate::cluster) endpoint: Option<Located<Endpoint>>,
    /// Its region.
    #[schemars(required)]
    pub(in crate::cluster) region: Option<Located<DnsLabel>>,
    /// Bucket for copies of the datastore; the cluster's name and `-etcd` unless given.
    pub(in crate::cluster) etcd_bucket: Option<Located<DnsLabel>>,
    /// Bucket for copies of volumes; the cluster's name and `-longhorn` unless given.
    pub(in crate::cluster) longhorn_bucket: Option<Located<DnsLabel>>,
    /// Name of the Secret in `kube-system` with the keys.
    #[schemars(required)]
    pub(in crate::cluster) secret: Option<Located<DnsLabel>>,
    /// Hours between two copies of the datastore: 1, 2, 3, 4, 6, 8, 12 or 24.
    #[schemars(extend("default" = 3, "minimum" = 1, "maximum" = 24))]
    pub(in crate::cluster) interval_hours: Option<Located<u32>>,
    /// Copies of the datastore that are kept.
    #[schemars(extend("default" = 72, "minimum" = 1, "maximum" = 1000))]
    pub(in crate::cluster) keep: Option<Located<u32>>,
}

/// An app.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "app", rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::cluster) struct RawApp {
    /// Its name.
    #[schemars(skip)]
    pub(in crate::cluster) name: &'static str,
    /// The table's place.
    #[schemars(skip)]
    pub(in crate::cluster) span: Span,
    /// Whether it is installed.
    #[schemars(extend("default" = true))]
    pub(in crate::cluster) enabled: Option<Located<bool>>,
    /// What its chart is told besides; no secrets.
    #[schemars(with = "Option<Map<String, Value>>", extend("default" = {}))]
    pub(in crate::cluster) values: Option<Located<Map<String, Value>>>,
}

/// An admin.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "admin", rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::cluster) struct RawAdmin {
    /// The table's header.
    #[schemars(skip)]
    pub(in crate::cluster) span: Span,
    /// Name, a DNS label, unique among admins.
    #[schemars(required)]
    pub(in crate::cluster) name: Option<Located<DnsLabel>>,
    /// WireGuard public key. One for each admin: who shares one takes the other's place.
    #[schemars(required)]
    pub(in crate::cluster) public_key: Option<Located<VpnKey>>,
    /// Address in the `admin-range`; assigned in file order unless given.
    pub(in crate::cluster) address: Option<Located<Ipv4Addr>>,
}

/// Memberships of a node that are good no longer.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "revocation", rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::cluster) struct RawRevocation {
    /// Name of the node, which may have left the file.
    #[schemars(required)]
    pub(in crate::cluster) node: Option<Located<DnsLabel>>,
    /// The first generation of its membership that is good.
    #[schemars(required, extend("minimum" = 1))]
    pub(in crate::cluster) minimum_generation: Option<Located<u32>>,
}

/// Every app by its name, for editors.
pub(super) struct AppsSchema;

impl JsonSchema for AppsSchema {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "apps".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let app = generator.subschema_for::<RawApp>();
        let properties: Map<String, Value> =
            APPS.iter().map(|(name, _)| ((*name).to_owned(), app.clone().to_value())).collect();
        json_schema!({ "type": "object", "properties": properties, "additionalProperties": false })
    }
}

/// The apps that the file names.
pub(in crate::cluster) fn read_apps(table: &mut Table<'_>) -> Vec<RawApp> {
    let read = |(name, _): &(&'static str, _)| {
        table.optional(name).table(|table| RawApp {
            name,
            span: table.span(),
            enabled: table.optional("enabled").boolean(),
            values: table.optional("values").free(),
        })
    };
    APPS.iter().filter_map(read).collect()
}

impl RawTls {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        let email = table.optional("email");
        Self {
            span: table.span(),
            issuer: table.optional("issuer").choice(&ISSUERS),
            has_email: email.is_given(),
            email: email.parsed(),
        }
    }
}

impl RawMail {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        Self {
            server: table.required("server").parsed(),
            port: table.optional("port").integer(1, u16::MAX),
            sender: table.required("sender").parsed(),
            recipient: table.required("recipient").parsed(),
            secret: table.optional("secret").parsed(),
        }
    }
}

impl RawStorage {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        Self { replicas: table.optional("replicas").integer(1, 5) }
    }
}

impl RawBackup {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        Self {
            span: table.span(),
            endpoint: table.required("endpoint").parsed(),
            region: table.required("region").parsed(),
            etcd_bucket: table.optional("etcd-bucket").parsed(),
            longhorn_bucket: table.optional("longhorn-bucket").parsed(),
            secret: table.required("secret").parsed(),
            interval_hours: table.optional("interval-hours").choice_of_integers(&INTERVALS),
            keep: table.optional("keep").integer(1, 1000),
        }
    }
}

impl RawAdmin {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        Self {
            span: table.span(),
            name: table.required("name").parsed(),
            public_key: table.required("public-key").parsed(),
            address: table.optional("address").address(),
        }
    }
}

impl RawRevocation {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        Self {
            node: table.required("node").parsed(),
            minimum_generation: table.required("minimum-generation").integer(1, u32::MAX),
        }
    }
}
