//! Explained answers as one HTML page: which words spoke for an answer and which against it.

#[cfg(test)]
mod tests;

use tenor_domain::predict::TokenShare;

use crate::html::Html;
use crate::plot::svg::clip;

/// Tokens weaker than this share of the text's strongest are left plain.
const FAINT: f64 = 0.05;
/// Opacity of the strongest colour: texts stay readable on it.
const STRONGEST: f64 = 0.5;
/// Probabilities shown for each text, the largest first.
const BARS: usize = 6;

/// A text with the answer it got.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainedText {
    pub text: String,
    /// What tokens add to the score of `label`. Where they overlap the values add up. One that does not fit the text counts as a feature
    /// outside of it.
    pub tokens: Vec<TokenShare>,
    /// Index of the answered class.
    pub label: usize,
    /// Index of the true class, when it is known.
    pub truth: Option<usize>,
    /// One a class.
    pub probabilities: Vec<f64>,
}

/// The page: one entry a text, in the given order. No script, no request, the same bytes for the same input. Texts and names come from
/// users; none of them is markup.
pub fn explanations(title: &str, classes: &[String], texts: &[ExplainedText]) -> String {
    let mut page = Html::default();
    page.element("h1", "", title).open("p", &[("class", "legend note")]);
    page.text("Words that speak ");
    marked(&mut page, STRONGEST, "for the answer", "");
    page.text(" and ");
    marked(&mut page, -STRONGEST, "against it", "");
    page.text(" (underlined too); the stronger the colour the more it counts. Point at a word for the number.")
        .close("p")
        .line();
    if texts.is_empty() {
        page.element("p", "missing", "No answers to explain.");
    }
    for text in texts {
        entry(&mut page, classes, text);
    }
    page.finish(title)
}

fn entry(page: &mut Html, classes: &[String], it: &ExplainedText) {
    let name = |class: usize| classes.get(class).map_or_else(|| format!("class {class}"), |name| clip(name, 60));
    page.open("article", &[("class", "example")]).open("header", &[]);
    page.open("span", &[]).text("answered ").element("b", "", &name(it.label)).close("span");
    match it.truth {
        None => page.element("span", "", "truth not known"),
        Some(truth) if truth == it.label => page.element("span", "", "right"),
        Some(truth) => page
            .open("span", &[("class", "wrong")])
            .text("wrong, truth is ")
            .element("b", "", &name(truth))
            .close("span"),
    };
    page.close("header").line().open("p", &[("class", "said"), ("dir", "auto")]);
    let (spans, outside) = spans(&it.text, &it.tokens);
    let strongest = spans.iter().map(|(_, value)| value.abs()).fold(0.0, f64::max);
    for (text, value) in &spans {
        let share = if strongest > 0.0 { value / strongest } else { 0.0 };
        if share.abs() < FAINT {
            page.text(text);
        } else {
            marked(page, share * STRONGEST, text, &format!("{value:+.4}"));
        }
    }
    page.close("p").line();
    if outside != 0.0 {
        page.element("p", "note", &format!("Outside the text (numeric features and the like): {outside:+.4}"));
    }
    bars(page, it, &name);
    page.close("article").line();
}

/// A text on blue for values above 0, on orange and underlined below: Okabe and Ito's pair that colour-blind readers tell apart.
fn marked(page: &mut Html, strength: f64, text: &str, title: &str) {
    let (class, colour) = if strength < 0.0 { ("against", "--against") } else { ("for", "--for") };
    let style = format!("background:rgba(var({colour}),{:.2})", strength.abs());
    page.open("span", &[("class", class), ("style", &style), ("title", title)]).text(text).close("span");
}

fn bars(page: &mut Html, it: &ExplainedText, name: &dyn Fn(usize) -> String) {
    let probabilities = &it.probabilities;
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]).then(a.cmp(&b)));
    let left_out = order.len().saturating_sub(BARS);
    order.truncate(BARS);
    page.open("div", &[("class", "bars")]);
    for class in order {
        let share = probabilities[class].clamp(0.0, 1.0) * 100.0;
        let mark = if Some(class) == it.truth { " (truth)" } else { "" };
        page.element(if class == it.label { "b" } else { "span" }, "", &format!("{}{mark}", name(class)));
        page.open("span", &[("class", "range"), ("aria-hidden", "true")]);
        page.open("i", &[("class", "bar"), ("style", &format!("width:{share:.1}%"))]).close("i").close("span");
        page.element("span", "number", &format!("{share:.1} %"));
    }
    page.close("div");
    if left_out > 0 {
        page.element("p", "note", &format!("and {left_out} less likely classes"));
    }
    page.line();
}

/// The text cut at the edges of its tokens, each piece with its value; and the sum of tokens that are not in it.
fn spans<'a>(text: &'a str, tokens: &[TokenShare]) -> (Vec<(&'a str, f64)>, f64) {
    let finite =
        tokens.iter().filter(|token| token.value.is_finite()).map(|token| (token.start, token.end, token.value));
    let (mut inside, outside): (Vec<_>, Vec<_>) =
        finite.partition(|&(from, to, _)| from < to && text.get(from..to).is_some());
    inside.sort_by_key(|&(from, to, _)| (from, to));
    let mut edges: Vec<usize> = inside.iter().flat_map(|&(from, to, _)| [from, to]).chain([0, text.len()]).collect();
    edges.sort_unstable();
    edges.dedup();
    let mut waiting = inside.into_iter().peekable();
    let mut open: Vec<(usize, f64)> = Vec::new();
    let mut pieces = Vec::with_capacity(edges.len());
    for pair in edges.windows(2) {
        open.retain(|(to, _)| *to > pair[0]);
        while let Some((_, to, value)) = waiting.next_if(|(from, _, _)| *from == pair[0]) {
            open.push((to, value));
        }
        pieces.push((&text[pair[0]..pair[1]], open.iter().map(|(_, value)| value).sum()));
    }
    (pieces, outside.iter().map(|(_, _, value)| value).sum())
}
