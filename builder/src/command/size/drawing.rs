//! The treemap as SVG: partitions, in them packages and artifacts, in them folders. A function of the sizes alone.
//!
//! Every rectangle has a name and a size in words: as a label where there is room, as its `title` always. Colours only
//! group what lies together anyway.

use std::fmt::Write as _;

use super::OTHERS;
use super::treemap::{Area, squarify};
use crate::bundle::manifest::Manifest;
use crate::bundle::sizes::{ArtifactSize, PackageSize, Part, Sizes, sum};
use crate::image::Role;
use crate::printable;
use crate::units::Bytes;

const WIDTH: f64 = 1600.0;
const HEIGHT: f64 = 1000.0;
/// Room for the heading.
const HEADING: f64 = 64.0;
/// Width of a letter at font size 1, on average, generously.
const LETTER: f64 = 0.6;

/// Something with a name and a size, that may have parts.
struct Node {
    name: String,
    size: Bytes,
    parts: Vec<Node>,
    /// Hue of its rectangle.
    hue: u16,
}

/// Draws the sizes of a build.
pub(super) fn svg(manifest: &Manifest, sizes: &Sizes) -> String {
    let name = format!("{}-{}", manifest.profile, manifest.arch);
    let nodes = nodes(sizes);
    let title = format!("What takes the room in {name}");
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-labelledby=\"title description\" font-family=\"system-ui, 'DejaVu Sans', sans-serif\">\n\
         <title id=\"title\">{}</title>\n<desc id=\"description\">{}</desc>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"28\" font-size=\"20\" font-weight=\"600\" fill=\"#111\">{}</text>\n\
         <text x=\"12\" y=\"50\" font-size=\"13\" fill=\"#333\">{}</text>\n",
        escaped(&title),
        escaped(&description(sizes)),
        escaped(&title),
        escaped(&legend(sizes)),
    );
    let area = Area { left: 8.0, top: HEADING, width: WIDTH - 16.0, height: HEIGHT - HEADING - 8.0 };
    let areas = squarify(&nodes.iter().map(|node| node.size.0).collect::<Vec<_>>(), area);
    for (node, area) in nodes.iter().zip(areas) {
        draw(node, area.inside(2.0, 0.0), 0, "", &mut svg);
    }
    svg.push_str("</svg>\n");
    svg
}

fn legend(sizes: &Sizes) -> String {
    format!(
        "{} in use on the disk. A partition has the area of what it uses; in root-a, packages and artifacts share it by their \
         files, {} before the file system packs them.",
        sizes.used, sizes.files
    )
}

fn description(sizes: &Sizes) -> String {
    let partitions = sizes.partitions.iter().filter(|partition| partition.used.0 > 0);
    let partitions: Vec<String> =
        partitions.map(|partition| format!("{} {}", partition.label, partition.used)).collect();
    let largest =
        sizes.packages.iter().take(5).map(|package| format!("{} {}", package.name, package.installed));
    format!(
        "A treemap. Partitions: {}. The largest of {} packages: {}.",
        partitions.join(", "),
        sizes.packages.len(),
        largest.collect::<Vec<_>>().join(", ")
    )
}

fn nodes(sizes: &Sizes) -> Vec<Node> {
    let mut nodes: Vec<Node> = sizes
        .partitions
        .iter()
        .filter(|partition| partition.used.0 > 0)
        .map(|partition| {
            let (hue, parts) = match Role::of_label(&partition.label) {
                Some(Role::Esp) => (35, leaves(&sizes.boot, 35)),
                Some(Role::RootA) => (210, root(sizes)),
                _ => (280, Vec::new()),
            };
            Node { name: partition.label.clone(), size: partition.used, parts, hue }
        })
        .collect();
    nodes.sort_by(|one, other| other.size.cmp(&one.size).then_with(|| one.name.cmp(&other.name)));
    nodes
}

fn root(sizes: &Sizes) -> Vec<Node> {
    let node = |name: &str, size: Bytes, folders: &[Part], hue: u16| Node {
        name: name.to_owned(),
        size,
        parts: leaves(folders, hue),
        hue,
    };
    let package = |package: &PackageSize| node(&package.name, package.installed, &package.folders, 210);
    let artifact = |artifact: &ArtifactSize| node(&artifact.name, artifact.installed, &artifact.folders, 95);
    let mut nodes: Vec<Node> =
        sizes.packages.iter().map(package).chain(sizes.artifacts.iter().map(artifact)).collect();
    let size = sum(sizes.others.iter().map(|part| part.size));
    nodes.push(node(OTHERS, size, &sizes.others, 150));
    nodes.retain(|node| node.size.0 > 0);
    nodes.sort_by(|one, other| other.size.cmp(&one.size).then_with(|| one.name.cmp(&other.name)));
    nodes
}

fn leaves(parts: &[Part], hue: u16) -> Vec<Node> {
    let leaf = |part: &Part| Node { name: part.name.clone(), size: part.size, parts: Vec::new(), hue };
    parts.iter().map(leaf).collect()
}

fn draw(node: &Node, area: Area, depth: u8, path: &str, svg: &mut String) {
    // Less than half a unit is no more than a line.
    if area.width < 0.5 || area.height < 0.5 {
        return;
    }
    let path = if path.is_empty() { node.name.clone() } else { format!("{path} / {}", node.name) };
    let lightness = [78, 90, 96].get(usize::from(depth)).copied().unwrap_or(96);
    let _ = writeln!(
        svg,
        "<g><title>{}: {}</title><rect x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{:.2}\" \
         fill=\"hsl({}, 45%, {lightness}%)\" stroke=\"hsl({}, 35%, 40%)\" stroke-width=\"{}\"/></g>",
        escaped(&path),
        node.size,
        area.left,
        area.top,
        area.width,
        area.height,
        node.hue,
        node.hue,
        if depth == 0 { "1.5" } else { "0.6" },
    );
    let font = [16.0, 12.0, 10.0].get(usize::from(depth)).copied().unwrap_or(10.0);
    let strip = font + 7.0;
    // One part that is the whole would only say it twice.
    let has_room = area.width > 90.0 && area.height > strip + 40.0;
    if node.parts.len() < 2 && depth > 0 || node.parts.is_empty() || !has_room {
        label(node, area, font, svg);
        return;
    }
    heading(node, area, font, svg);
    let inside = area.inside(2.0, strip);
    let areas = squarify(&node.parts.iter().map(|part| part.size.0).collect::<Vec<_>>(), inside);
    for (part, area) in node.parts.iter().zip(areas) {
        draw(part, area.inside(0.8, 0.0), depth.saturating_add(1), &path, svg);
    }
}

/// Name and size on one line at the top, in a smaller font rather than without the size.
fn heading(node: &Node, area: Area, font: f64, svg: &mut String) {
    // Bold letters are wider.
    let room = area.width * 0.95 - 10.0;
    let both = format!("{} – {}", node.name, node.size);
    let choices = [(&both, font), (&both, font - 1.5), (&node.name, font), (&node.name, font - 1.5)];
    let chosen = choices.into_iter().find(|(text, font)| fits(text, room, *font));
    let chosen = chosen.map(|(text, font)| (text.clone(), font));
    if let Some((text, font)) = chosen.or_else(|| Some((cut(&node.name, room, font)?, font))) {
        line(&text, area.left + 5.0, area.top + font + 2.0, font, true, svg);
    }
}

/// Name, and size below it, in the largest font that fits.
fn label(node: &Node, area: Area, font: f64, svg: &mut String) {
    let size = node.size.to_string();
    let room = area.width - 6.0;
    let sizes = [font, font - 1.5, 8.5];
    let font = sizes.into_iter().find(|font| fits(&node.name, room, *font)).unwrap_or(8.5);
    if area.height < font + 3.0 {
        return;
    }
    let name =
        if fits(&node.name, room, font) { Some(node.name.clone()) } else { cut(&node.name, room, font) };
    let Some(name) = name else { return };
    line(&name, area.left + 3.0, area.top + font + 1.0, font, false, svg);
    if area.height > 2.2 * font + 4.0 && fits(&size, room, font) {
        line(&size, area.left + 3.0, area.top + 2.2 * font + 1.0, font, false, svg);
    }
}

fn line(text: &str, left: f64, baseline: f64, font: f64, is_heading: bool, svg: &mut String) {
    let weight = if is_heading { " font-weight=\"600\"" } else { "" };
    let _ = writeln!(
        svg,
        "<text x=\"{left:.2}\" y=\"{baseline:.2}\" font-size=\"{font}\" fill=\"#111\"{weight} aria-hidden=\"true\">{}</text>",
        escaped(text)
    );
}

fn fits(text: &str, width: f64, font: f64) -> bool {
    letters(width, font) >= text.chars().count()
}

/// How many letters of a font have room.
fn letters(width: f64, font: f64) -> usize {
    let mut count: u16 = 0;
    while f64::from(count) * font * LETTER <= width && count < u16::MAX {
        count = count.saturating_add(1);
    }
    usize::from(count.saturating_sub(1))
}

/// The beginning of a text with an ellipsis, if that still tells something.
fn cut(text: &str, width: f64, font: f64) -> Option<String> {
    let count = letters(width, font);
    (count >= 5).then(|| format!("{}…", text.chars().take(count.saturating_sub(1)).collect::<String>()))
}

/// Control characters are no characters of XML 1.0 (production 2), whatever way they are written.
fn escaped(text: &str) -> String {
    printable::text(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::sizes;

    #[test]
    fn every_partition_package_and_folder_is_there_in_words() {
        let (manifest, tree) = sizes::tests::sample();
        let sizes = Sizes::measure(&manifest, &tree).unwrap();
        let drawn = svg(&manifest, &sizes);
        assert_eq!(drawn, svg(&manifest, &sizes));
        for title in [
            "<title>esp: 14.6 KiB</title>",
            "<title>esp / kernel and stub: 11.7 KiB</title>",
            "<title>root-a: 3.5 KiB</title>",
            "<title>root-a / large: 2.9 KiB</title>",
            "<title>root-a / large / usr/lib/modules: 2 KiB</title>",
            "<title>root-a / tool / usr/lib/tool: 3.9 KiB</title>",
            "<title>root-a / all else / usr/bin: 300 B</title>",
            "<title>root-a-verity: 100 B</title>",
        ] {
            assert!(drawn.contains(title), "{title} in:\n{drawn}");
        }
        assert!(drawn.contains("The largest of 2 packages: large 2.9 KiB, small 20 B."), "{drawn}");
    }

    #[test]
    fn labels_end_inside_their_rectangle() {
        assert_eq!(cut("linux-image-amd64", 60.0, 10.0).as_deref(), Some("linux-ima…"));
        assert_eq!(cut("linux-image-amd64", 20.0, 10.0), None);
        assert!(fits("abcde", 30.0, 10.0) && !fits("abcdef", 30.0, 10.0));
        assert_eq!(escaped("a<b> & \"c\""), "a&lt;b&gt; &amp; &quot;c&quot;");
    }

    #[test]
    fn no_name_ends_an_element_or_is_no_character_of_xml() {
        assert_eq!(escaped("\x1b</title>\n\u{202e}"), "\\u{1b}&lt;/title&gt;\\u{a}\\u{202e}");
    }
}
