//! What the cluster offers and relies on: what is needed together, and the defaults.

use std::net::Ipv4Addr;

use super::super::app::APPS;
use super::super::raw::{RawAdmin, RawApp, RawBackup, RawMail, RawRevocation, RawStorage, RawTls};
use super::super::{Admin, App, Backup, DnsLabel, Issuer, Mail, Revocation, Storage, Tls};
use super::check_unique;
use crate::diagnostic::{Located, Report};

/// Apps have names below the domain, and some need others.
pub(super) fn check_apps(apps: &[RawApp], has_domain: bool, report: &Report) {
    let is_on = |name: &str| apps.iter().any(|app| app.name == name && is_enabled(app));
    for app in apps.iter().filter(|app| is_enabled(app)) {
        if !has_domain {
            let help = "its names end in the `domain` of `[cluster]`";
            report.fault_with_help(&app.span, format!("the app `{}` needs a domain", app.name), help);
        }
        let needed = APPS.iter().find(|(name, _)| *name == app.name).and_then(|(_, needed)| *needed);
        if let Some(needed) = needed.filter(|needed| !is_on(needed)) {
            report.fault(&app.span, format!("the app `{}` needs `{needed}`, which is off", app.name));
        }
    }
}

fn is_enabled(app: &RawApp) -> bool {
    app.enabled.as_ref().is_none_or(|enabled| enabled.value)
}

/// Let's Encrypt writes to somebody.
pub(super) fn check_tls(tls: Option<&RawTls>, mail: Option<&RawMail>, report: &Report) {
    let Some(tls) = tls else { return };
    let is_self_signed = issuer(tls) == Issuer::SelfSigned;
    match &tls.email {
        Some(email) if is_self_signed => {
            report.fault(
                &email.span,
                "`email` is for Let's Encrypt; nobody is written to of certificates of one's own",
            );
        }
        None if !is_self_signed && !tls.has_email && mail.is_none() => {
            let help = "or a `recipient` in `[mail]`";
            report.fault_with_help(
                &tls.span,
                "`[tls]` lacks the key `email`: Let's Encrypt writes to somebody",
                help,
            );
        }
        Some(_) | None => {}
    }
}

fn issuer(tls: &RawTls) -> Issuer {
    tls.issuer.as_ref().map_or(Issuer::LetsencryptStaging, |issuer| issuer.value)
}

/// Who shares a key takes the other's place.
pub(super) fn check_people(admins: &[RawAdmin], revocations: &[RawRevocation], report: &Report) {
    check_unique(admins.iter().filter_map(|admin| admin.name.as_ref()), report, |name, first| {
        format!("the admin `{name}` stands in line {first} already")
    });
    check_unique(admins.iter().filter_map(|admin| admin.public_key.as_ref()), report, |_, first| {
        format!("the public key is that of the admin in line {first}")
    });
    check_unique(
        revocations.iter().filter_map(|revocation| revocation.node.as_ref()),
        report,
        |node, first| format!("the revocation of `{node}` stands in line {first} already"),
    );
}

pub(super) fn resolve_tls(raw: RawTls, mail: Option<&RawMail>) -> Tls {
    let issuer = issuer(&raw);
    let recipient = || mail.and_then(|mail| mail.recipient.clone()).filter(|_| issuer != Issuer::SelfSigned);
    Tls { issuer, email: raw.email.or_else(recipient).map(|email| email.value) }
}

pub(super) fn resolve_mail(raw: RawMail) -> Option<Mail> {
    Some(Mail {
        server: raw.server?.value,
        port: raw.port.map_or(587, |port| port.value),
        sender: raw.sender?.value,
        recipient: raw.recipient?.value,
        secret: raw.secret.map(|secret| secret.value),
    })
}

pub(super) fn resolve_storage(raw: Option<RawStorage>) -> Storage {
    Storage { replicas: raw.and_then(|storage| storage.replicas).map_or(3, |replicas| replicas.value) }
}

pub(super) fn resolve_backup(raw: RawBackup, cluster: &DnsLabel, report: &Report) -> Option<Backup> {
    let bucket = |given: Option<Located<DnsLabel>>, of: &str| {
        if let Some(bucket) = given {
            return Some(bucket.value);
        }
        let name = format!("{cluster}-{of}").parse::<DnsLabel>();
        let help = format!("`{of}-bucket` names another");
        name.map_err(|reason| report.fault_with_help(&raw.span, reason, help)).ok()
    };
    // Both: a fault of one hides none of the other.
    let [etcd_bucket, longhorn_bucket] =
        [bucket(raw.etcd_bucket, "etcd"), bucket(raw.longhorn_bucket, "longhorn")];
    Some(Backup {
        endpoint: raw.endpoint?.value,
        region: raw.region?.value,
        etcd_bucket: etcd_bucket?,
        longhorn_bucket: longhorn_bucket?,
        secret: raw.secret?.value,
        interval_hours: raw.interval_hours.map_or(3, |hours| hours.value),
        keep: raw.keep.map_or(72, |keep| keep.value),
    })
}

pub(super) fn resolve_app(raw: RawApp) -> App {
    App {
        enabled: is_enabled(&raw),
        name: raw.name,
        values: raw.values.map(|values| values.value).unwrap_or_default(),
    }
}

pub(super) fn resolve_admin(raw: RawAdmin, address: Ipv4Addr) -> Option<Admin> {
    Some(Admin { name: raw.name?.value, public_key: raw.public_key?.value, address })
}

pub(super) fn resolve_revocation(raw: RawRevocation) -> Option<Revocation> {
    Some(Revocation { node: raw.node?.value, minimum_generation: raw.minimum_generation?.value })
}
