//! What was measured, and which bounds it keeps; as a table for people or as JSON.

use std::fmt::Write as _;

use anyhow::Context as _;
use imgbuild::units::Bytes;
use serde::Serialize;

use super::program::Cost;

/// Everything that is printed.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) samples: Vec<Samples>,
    pub(crate) bounds: Vec<Bound>,
}

/// One quantity, measured several times.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Samples {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) runs: usize,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    Seconds,
    Bytes,
    Ratio,
    Count,
}

/// The most that something may be.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Bound {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    pub(crate) measured: f64,
    pub(crate) most: f64,
    pub(crate) is_kept: bool,
}

impl Samples {
    /// Wall time and CPU time.
    pub(crate) fn costs(name: &str, costs: impl IntoIterator<Item = Cost>) -> [Self; 2] {
        let (wall, cpu) = costs.into_iter().map(|cost| (cost.seconds, cost.cpu)).unzip();
        [(name.to_owned(), wall), (format!("{name}, CPU time"), cpu)]
            .map(|(name, values)| Self::new(&name, Unit::Seconds, values))
    }

    /// Wall times alone.
    pub(crate) fn seconds(name: &str, values: impl IntoIterator<Item = f64>) -> Self {
        Self::new(name, Unit::Seconds, values.into_iter().collect())
    }

    /// How many there were.
    pub(crate) fn counts(name: &str, values: impl IntoIterator<Item = u16>) -> Self {
        Self::new(name, Unit::Count, values.into_iter().map(f64::from).collect())
    }

    /// A time by the clock of a machine that counts instructions.
    pub(crate) fn guest(name: &str, seconds: f64) -> Self {
        Self::new(name, Unit::Seconds, vec![seconds])
    }

    pub(crate) fn bytes(name: &str, values: Vec<Bytes>) -> Self {
        // Sizes of files and of memory stay far below 2^53, up to which this is exact.
        let values = values.into_iter().map(as_number);
        Self::new(name, Unit::Bytes, values.collect())
    }

    fn new(name: &str, unit: Unit, mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        let median = f64::midpoint(at(last / 2), at(last.div_ceil(2)));
        Self { name: name.to_owned(), unit, median, min: at(0), max: at(last), runs: values.len() }
    }
}

fn as_number(bytes: Bytes) -> f64 {
    let (high, low) = (bytes.0 >> 20, bytes.0 & (Bytes::MIB.0 - 1));
    let exact = |number| u32::try_from(number).map_or(f64::INFINITY, f64::from);
    exact(high).mul_add(1_048_576.0, exact(low))
}

impl Bound {
    /// A bound for the median of `samples`.
    pub(crate) fn of(samples: &Samples, most: f64) -> Self {
        Self::new(&samples.name, samples.unit, samples.median, most)
    }

    /// A bound for the worst of `samples`.
    pub(crate) fn most(samples: &Samples, most: f64) -> Self {
        Self::new(&samples.name, samples.unit, samples.max, most)
    }

    /// A bound for the quotient of two medians.
    pub(crate) fn ratio(name: &str, measured: f64, most: f64) -> Self {
        Self::new(name, Unit::Ratio, measured, most)
    }

    /// A bound for a time.
    pub(crate) fn seconds(name: &str, measured: f64, most: f64) -> Self {
        Self::new(name, Unit::Seconds, measured, most)
    }

    /// A bound for a size.
    pub(crate) fn bytes(name: &str, measured: Bytes, most: f64) -> Self {
        Self::new(name, Unit::Bytes, as_number(measured), most)
    }

    fn new(name: &str, unit: Unit, measured: f64, most: f64) -> Self {
        // Not a number keeps no bound.
        Self { name: name.to_owned(), unit, measured, most, is_kept: measured <= most }
    }
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Seconds => format!("{value:.2} s"),
            Self::Bytes => format!("{:.2} MB", value / 1e6),
            Self::Ratio if value < 1.0 => format!("1/{:.1}", 1.0 / value),
            Self::Ratio => format!("{value:.1}"),
            Self::Count => format!("{value}"),
        }
    }
}

impl Report {
    pub(crate) fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self).context("rendering the report")? + "\n")
    }

    pub(crate) fn table(&self) -> String {
        let mut text =
            format!("\n{:<46}{:>11}{:>11}{:>11}{:>6}\n", "measured", "median", "min", "max", "runs");
        for Samples { name, unit, median, min, max, runs } in &self.samples {
            let [median, min, max] = [median, min, max].map(|value| unit.show(*value));
            let _ = writeln!(text, "{name:<46}{median:>11}{min:>11}{max:>11}{runs:>6}");
        }
        let _ = writeln!(text, "\n{:<46}{:>11}{:>11}", "bound", "measured", "at most");
        for Bound { name, unit, measured, most, is_kept } in &self.bounds {
            let (measured, most) = (unit.show(*measured), unit.show(*most));
            let verdict = if *is_kept { "kept" } else { "MISSED" };
            let _ = writeln!(text, "{name:<46}{measured:>11}{most:>11}  {verdict}");
        }
        text
    }
}
