//! A plan for people to read before they let it be carried out.

use std::fmt;

use super::plan::{Intent, Kind, Origin, Plan, PlannedImage, PlannedName};
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
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, location, currency, .. } = self;
        writeln!(formatter, "Cluster `{cluster}` in {location}; prices in {currency}, without VAT")?;
        writeln!(formatter)?;
        for image in &self.images {
            writeln!(formatter, "{}", image_line(image))?;
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
        if !self.shown.is_empty() {
            writeln!(formatter, "\nTo be written where your DNS is:")?;
        }
        for name in &self.shown {
            writeln!(formatter, "  {}", name_line(name))?;
        }
        Ok(())
    }
}

fn image_line(PlannedImage { of: DiskImage { arch, profile, image }, origin }: &PlannedImage) -> String {
    let digest = origin.digest().map(|digest| format!(" {digest}")).unwrap_or_default();
    let origin = match origin {
        Origin::Build => "is built and uploaded".to_owned(),
        Origin::Upload { .. } => "is uploaded".to_owned(),
        Origin::Reuse { snapshot, .. } => format!("is there, snapshot {snapshot}"),
    };
    format!("image {profile} on {image} for {arch}{digest} {origin}")
}

fn name_line(name: &PlannedName) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "(not made yet)".to_owned());
    let values: Vec<_> = name.values.iter().map(value).collect();
    format!("{} {} {}", name.name, name.record, values.join(" "))
}
