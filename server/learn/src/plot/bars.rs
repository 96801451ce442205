//! Feature importances as horizontal bars.

use super::svg::{Anchor, Font, Svg, clip};
use super::{COLOURS, FAINT, GRID, INK};
use crate::Contribution;

/// The strongest features of each class, side by side: (class, features).
pub fn top_features(title: &str, of_classes: &[(String, Vec<Contribution>)]) -> String {
    const PANEL: f64 = 380.0;
    const LINE: f64 = 20.0;
    const TOP: f64 = 92.0;
    let columns = of_classes.len().clamp(1, 3);
    let longest = of_classes.iter().map(|(_, features)| features.len()).max().unwrap_or(0);
    let panel_height = longest as f64 * LINE + 56.0;
    let lines = of_classes.len().div_ceil(columns).max(1);
    let width = columns as f64 * PANEL + 40.0;
    let mut svg = Svg::new(width, TOP - 28.0 + lines as f64 * panel_height);
    svg.text((20.0, 28.0), title, Anchor::Start, Font { size: 17.0, bold: true, colour: INK });
    let note = "what a feature adds to the score; numeric features in [ ]";
    svg.text((20.0, 48.0), note, Anchor::Start, Font { size: 12.0, colour: FAINT, bold: false });
    let all = of_classes.iter().flat_map(|(_, features)| features);
    let largest = all.map(|feature| feature.value.abs()).fold(f64::MIN_POSITIVE, f64::max);
    for (index, (class, features)) in of_classes.iter().enumerate() {
        let x = 20.0 + (index % columns) as f64 * PANEL;
        let y = TOP + (index / columns) as f64 * panel_height;
        let heading = Font { size: 13.0, bold: true, colour: INK };
        svg.text((x, y - 8.0), &format!("for {}", clip(class, 40)), Anchor::Start, heading);
        let (zero, span) = (x + 245.0, 55.0);
        svg.line((zero, y), (zero, y + features.len() as f64 * LINE), GRID, 1.5, false);
        for (line, feature) in features.iter().enumerate() {
            let y = y + line as f64 * LINE;
            let length = feature.value.abs() / largest * span;
            let (start, colour) = if feature.value < 0.0 { (zero - length, COLOURS[1]) } else { (zero, COLOURS[0]) };
            svg.rect(start, y + 3.0, length, LINE - 6.0, colour);
            svg.text((x + 182.0, y + 14.0), &clip(&feature.label(), 24), Anchor::End, Font::default());
            let value = Font { size: 11.0, colour: FAINT, bold: false };
            svg.text((x + 352.0, y + 14.0), &format!("{:+.3}", feature.value), Anchor::End, value);
        }
    }
    svg.finish(title)
}
