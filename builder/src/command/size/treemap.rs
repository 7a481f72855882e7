//! Squarified treemaps: rectangles whose areas are in proportion to sizes, as near to squares as it goes.
//!
//! Algorithm: M. Bruls, K. Huizing, J. J. van Wijk, "Squarified Treemaps", 2000.

/// A rectangle in units of the drawing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Area {
    /// What is left within a margin on each side and below a strip at the top; empty rather than negative.
    pub(super) fn inside(self, margin: f64, strip: f64) -> Self {
        Self {
            left: self.left + margin,
            top: self.top + margin + strip,
            width: (self.width - 2.0 * margin).max(0.0),
            height: (self.height - 2.0 * margin - strip).max(0.0),
        }
    }

    fn surface(self) -> f64 {
        self.width * self.height
    }
}

/// A number of bytes, or something like it, as a real number; exact up to 2^53.
pub(super) fn real(number: u64) -> f64 {
    let [high, low] =
        [number >> 32, number & u64::from(u32::MAX)].map(|half| u32::try_from(half).unwrap_or_default());
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

/// Divides `area` among `sizes`, which are best given in descending order.
pub(super) fn squarify(sizes: &[u64], area: Area) -> Vec<Area> {
    let total: f64 = sizes.iter().map(|size| real(*size)).sum();
    if total <= 0.0 || area.surface() <= 0.0 {
        return vec![Area { width: 0.0, height: 0.0, ..area }; sizes.len()];
    }
    let surfaces: Vec<f64> = sizes.iter().map(|size| real(*size) / total * area.surface()).collect();
    let mut placed = Vec::with_capacity(sizes.len());
    let (mut rest, mut remaining) = (area, surfaces.as_slice());
    while !remaining.is_empty() {
        let side = rest.width.min(rest.height);
        let mut count = 1;
        while count < remaining.len() && worst(&remaining[..=count], side) <= worst(&remaining[..count], side)
        {
            count += 1;
        }
        let (row, later) = remaining.split_at(count);
        rest = lay(row, rest, &mut placed);
        remaining = later;
    }
    placed
}

/// The worst ratio of sides in a row along `side`.
fn worst(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    if sum <= 0.0 || side <= 0.0 {
        return f64::INFINITY;
    }
    let thickness = sum / side;
    row.iter().fold(1.0, |worst, surface| {
        let length = surface / thickness;
        let ratio = if length > thickness { length / thickness } else { thickness / length };
        ratio.max(worst)
    })
}

/// Lays a row along the shorter side; returns what is left of the area.
fn lay(row: &[f64], area: Area, placed: &mut Vec<Area>) -> Area {
    let sum: f64 = row.iter().sum();
    let is_column = area.width >= area.height;
    let side = if is_column { area.height } else { area.width };
    let thickness = if side > 0.0 { sum / side } else { 0.0 };
    let mut at = 0.0;
    for surface in row {
        let length = if thickness > 0.0 { surface / thickness } else { 0.0 };
        placed.push(if is_column {
            Area { left: area.left, top: area.top + at, width: thickness, height: length }
        } else {
            Area { left: area.left + at, top: area.top, width: length, height: thickness }
        });
        at += length;
    }
    if is_column {
        Area { left: area.left + thickness, width: (area.width - thickness).max(0.0), ..area }
    } else {
        Area { top: area.top + thickness, height: (area.height - thickness).max(0.0), ..area }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AREA: Area = Area { left: 10.0, top: 20.0, width: 600.0, height: 400.0 };

    /// The example of the paper, on its area of 6 × 4.
    #[test]
    fn lays_the_example_of_the_paper() {
        let area = Area { left: 0.0, top: 0.0, width: 6.0, height: 4.0 };
        let shown: Vec<String> = squarify(&[6, 6, 4, 3, 2, 2, 1], area)
            .iter()
            .map(|area| format!("{:.2} {:.2} {:.2} {:.2}", area.left, area.top, area.width, area.height))
            .collect();
        assert_eq!(
            shown,
            [
                "0.00 0.00 3.00 2.00",
                "0.00 2.00 3.00 2.00",
                "3.00 0.00 1.71 2.33",
                "4.71 0.00 1.29 2.33",
                "3.00 2.33 1.20 1.67",
                "4.20 2.33 1.20 1.67",
                "5.40 2.33 0.60 1.67",
            ]
        );
    }

    proptest! {
        #[test]
        fn areas_are_in_proportion_within_the_whole_and_do_not_overlap(
            mut sizes in prop::collection::vec(1_u64..1 << 40, 1..60),
        ) {
            sizes.sort_unstable_by(|one, other| other.cmp(one));
            let placed = squarify(&sizes, AREA);
            prop_assert_eq!(placed.len(), sizes.len());
            let total: f64 = sizes.iter().map(|size| real(*size)).sum();
            for (size, area) in sizes.iter().zip(&placed) {
                let expected = real(*size) / total * AREA.surface();
                prop_assert!((area.surface() - expected).abs() < 0.01, "{area:?} for {expected}");
                prop_assert!(area.left >= AREA.left - 0.01 && area.top >= AREA.top - 0.01);
                prop_assert!(area.left + area.width <= AREA.left + AREA.width + 0.01);
                prop_assert!(area.top + area.height <= AREA.top + AREA.height + 0.01);
            }
            for (index, one) in placed.iter().enumerate() {
                for other in &placed[index + 1..] {
                    let wide = (one.left + one.width).min(other.left + other.width) - one.left.max(other.left);
                    let high = (one.top + one.height).min(other.top + other.height) - one.top.max(other.top);
                    prop_assert!(wide < 0.01 || high < 0.01, "{one:?} and {other:?} overlap");
                }
            }
        }
    }

    #[test]
    fn nothing_has_no_area() {
        assert_eq!(squarify(&[], AREA), []);
        assert!(squarify(&[0, 0], AREA).iter().all(|area| area.width <= 0.0 && area.height <= 0.0));
    }
}
