//! The confusion matrix as a heat map.

use super::svg::{Anchor, Font, Svg, clip, thousands};
use super::{FAINT, INK};
use crate::metrics::Evaluation;

/// Truth down, answers across. Colour is the share of the truth's rows, so that a rare class is as readable as a frequent one.
pub fn confusion_matrix(evaluation: &Evaluation) -> String {
    let classes = evaluation.classes.len().max(1);
    let cell = (440.0 / classes as f64).clamp(14.0, 110.0);
    let longest = evaluation.classes.iter().map(|class| class.chars().count().min(18)).max().unwrap_or(0) as f64;
    let (left, top) = (56.0 + longest * 7.5, 76.0);
    let side = cell * classes as f64;
    let turned = longest * 7.5 > cell;
    let below = 34.0 + if turned { longest * 6.5 } else { 14.0 };
    let width = (left + side + 30.0).max(360.0);
    let mut svg = Svg::new(width, top + side + below + 14.0);
    svg.text((20.0, 28.0), "Confusion matrix", Anchor::Start, Font { size: 17.0, bold: true, colour: INK });
    let accuracy = evaluation.get("accuracy").unwrap_or(0.0);
    let subtitle =
        format!("{} rows; {:.1} % right; colour: share of the row", thousands(evaluation.rows), accuracy * 100.0);
    svg.text((20.0, 48.0), &subtitle, Anchor::Start, Font { size: 12.0, colour: FAINT, bold: false });

    for (truth, counts) in evaluation.confusion.iter().enumerate() {
        let total = counts.iter().sum::<u64>().max(1) as f64;
        let y = top + truth as f64 * cell;
        for (answer, &count) in counts.iter().enumerate() {
            let (x, share) = (left + answer as f64 * cell, count as f64 / total);
            svg.rect(x + 1.0, y + 1.0, cell - 2.0, cell - 2.0, &heat(share));
            let colour = if share > 0.55 { "#ffffff" } else { INK };
            let middle = (x + cell / 2.0, y + cell / 2.0);
            if cell >= 54.0 {
                let font = Font { size: 14.0, colour, bold: truth == answer };
                svg.text((middle.0, middle.1 - 1.0), &thousands(count), Anchor::Middle, font);
                let percent = format!("{:.1} %", share * 100.0);
                svg.text(
                    (middle.0, middle.1 + 15.0),
                    &percent,
                    Anchor::Middle,
                    Font { size: 11.0, colour, bold: false },
                );
            } else if cell >= 26.0 {
                let font = Font { size: 10.0, colour, bold: truth == answer };
                svg.text((middle.0, middle.1 + 3.5), &thousands(count), Anchor::Middle, font);
            }
        }
    }
    let size = if cell < 20.0 { 9.0 } else { 12.0 };
    let font = Font { size, ..Font::default() };
    for (index, class) in evaluation.classes.iter().enumerate() {
        let (name, middle) = (clip(class, 18), index as f64 * cell + cell / 2.0);
        svg.text((left - 8.0, top + middle + 4.0), &name, Anchor::End, font);
        if turned {
            svg.turned_text((left + middle + 4.0, top + side + 12.0), -60.0, &name, Anchor::End, font);
        } else {
            svg.text((left + middle, top + side + 18.0), &name, Anchor::Middle, font);
        }
    }
    let title = Font { size: 12.0, colour: FAINT, bold: true };
    svg.text((left + side / 2.0, top + side + below), "answered", Anchor::Middle, title);
    svg.turned_text((24.0, top + side / 2.0), -90.0, "truth", Anchor::Middle, title);
    svg.finish("Confusion matrix")
}

/// From near white to dark blue.
fn heat(share: f64) -> String {
    let mix = |from: f64, to: f64| (from + (to - from) * share.clamp(0.0, 1.0).sqrt()).round() as u8;
    format!("#{:02x}{:02x}{:02x}", mix(244.0, 8.0), mix(247.0, 69.0), mix(251.0, 130.0))
}
