//! A plan for people to read before they let it be carried out.

use std::fmt;

use super::plan::{Intent, Kind, Origin, Plan, PlannedImage, PlannedName, PlannedUpload, Temporary};
use super::wanted::DiskImage;
use crate::printable::text as printable;

impl Intent {
    /// One letter for a table.
    const fn mark(self) -> char {
        match self {
            Self::Create => '+',
            Self::Change => '~',
            Self::Keep => '=',
            Self::Delete => '-',
        }
    }
}

impl Kind {
    /// The word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Firewall => "firewall",
            Self::PlacementGroup => "placement group",
            Self::Address => "Primary IP",
            Self::Server => "server",
            Self::Name => "name",
            Self::Snapshot => "snapshot",
            Self::Bucket => "bucket",
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, location, currency, .. } = self;
        let place = location.as_ref().map(|location| format!(" in {location}")).unwrap_or_default();
        writeln!(formatter, "Cluster `{cluster}`{place}; prices in {currency}, without VAT")?;
        if !self.images.is_empty() {
            writeln!(formatter)?;
        }
        for image in &self.images {
            writeln!(formatter, "{image}")?;
        }
        let width = |text: fn(&super::plan::Step) -> usize| self.steps.iter().map(text).max().unwrap_or(0);
        let (names, details) = (width(|step| step.name.len()), width(|step| step.detail.chars().count()));
        let (names, details) = (names.max(4), details.max(2));
        writeln!(
            formatter,
            "\n  {:15}  {:names$}  {:details$}  {:>8}  {:>8}",
            "WHAT", "NAME", "IS", "AN HOUR", "A MONTH"
        )?;
        for step in &self.steps {
            let unknown = if step.has_unknown_price { "?" } else { "" };
            let [hour, month] = step.price.map_or([unknown.to_owned(), unknown.to_owned()], |price| {
                [price.hourly.net.rounded(4), price.monthly.net.rounded(2)]
            });
            let line = format!(
                "{} {:15}  {:names$}  {:details$}  {hour:>8}  {month:>8}",
                step.intent.mark(),
                step.kind.name(),
                printable(&step.name),
                printable(&step.detail),
            );
            writeln!(formatter, "{}", line.trim_end())?;
            for request in &step.requests {
                writeln!(formatter, "      {request}")?;
            }
        }
        let [hour, month] = [self.total.hourly.net.rounded(4), self.total.monthly.net.rounded(2)];
        writeln!(formatter, "  {:15}  {:names$}  {:details$}  {hour:>8}  {month:>8}", "total", "", "")?;
        if self.steps.iter().any(|step| step.has_unknown_price) {
            writeln!(formatter, "  ? has no price in the project's list; the total is without it")?;
        }
        writeln!(formatter, "\n+ is made, ~ is changed, = stays, - is removed")?;
        if !self.unseen_buckets.is_empty() {
            writeln!(formatter, "\nNot looked at: buckets {}", self.unseen_buckets.join(", "))?;
        }
        if !self.shown.is_empty() {
            writeln!(formatter, "\nTo be written where your DNS is:")?;
        }
        for name in &self.shown {
            writeln!(formatter, "  {name}")?;
        }
        Ok(())
    }
}

impl fmt::Display for PlannedImage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of: DiskImage { arch, profile, image }, origin, caveats, upload } = self;
        let digest = origin.digest().map(|digest| format!(" {digest}")).unwrap_or_default();
        write!(formatter, "image {profile} on {image} for {arch}{digest} ")?;
        match origin {
            Origin::Build => formatter.write_str("is built and uploaded")?,
            Origin::Upload { .. } => formatter.write_str("is uploaded")?,
            Origin::Reuse { snapshot, .. } => write!(formatter, "is there, snapshot {snapshot}")?,
        }
        for caveat in caveats {
            write!(formatter, "\n  it is {}", printable(caveat))?;
        }
        let Some(PlannedUpload { by: Temporary { server_type, location, price }, gigabyte_month, requests }) =
            upload
        else {
            return Ok(());
        };
        let (hour, gigabyte) = (price.hourly.net.rounded(4), gigabyte_month.net.rounded(4));
        write!(
            formatter,
            "\n  by a temporary server, {server_type} in {location}, {hour} an hour; its snapshot costs {gigabyte} a GB and month"
        )?;
        requests.iter().try_for_each(|request| write!(formatter, "\n      {request}"))
    }
}

impl fmt::Display for PlannedName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, record, values } = self;
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "(not made yet)".to_owned());
        let values: Vec<_> = values.iter().map(value).collect();
        write!(formatter, "{name} {record} {}", values.join(" "))
    }
}
