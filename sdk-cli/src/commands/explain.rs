//! `tenor explain`.

use std::ops::Range;

use clap::Args;
use tenor_sdk::types::{ExplainResponse, ExplanationMethod, Instance, TokenContribution};

use super::deployment::Mode;
use super::predict::warnings;
use crate::context::{Context, map, number_pair};
use crate::error::Result;
use crate::output::{clip, table};

#[derive(Debug, Args)]
pub struct Explain {
    /// The deployment's name or id.
    pub deployment: String,
    /// The text, as it was written.
    pub text: String,
    /// The class to explain; the answered one when left out.
    #[arg(long, value_name = "LABEL")]
    pub class: Option<String>,
    /// List so many features; the others are added up.
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(i32).range(1..=100))]
    pub top_k: i32,
    /// A numeric feature; may be repeated.
    #[arg(long, value_name = "KEY=NUMBER", value_parser = number_pair)]
    pub numeric: Vec<(String, f64)>,
    /// What to do with input that breaks the feature contract; the deployment's mode when left out.
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,
}

pub(crate) async fn run(args: Explain, context: &mut Context<'_>) -> Result {
    let instance = Instance { text: args.text.clone(), numeric: map(args.numeric) };
    let mut explain = tenor_sdk::Explain::of(args.deployment, instance).top_k(args.top_k);
    if let Some(class) = args.class {
        explain = explain.class(class);
    }
    if let Some(mode) = args.mode {
        explain = explain.contract_mode(mode.into());
    }
    let answer = context.client.predictions().explain(explain).await?;
    if context.is_table() { show(context, &args.text, &answer) } else { context.item(&answer) }
}

fn show(context: &mut Context<'_>, text: &str, answer: &ExplainResponse) -> Result {
    let colour = context.colour;
    let class = clip(&answer.class, 60);
    writeln!(context.out, "{}", if colour { painted(text, &answer.tokens) } else { numbered(text, &answer.tokens) })?;
    if colour {
        let (strong, weak) = (Paint::of(1.0), Paint::of(-1.0));
        writeln!(context.out, "\n{}for {class}{PLAIN}  {}against{PLAIN}", strong.start(), weak.start())?;
    } else {
        writeln!(context.out, "\n[+] for {class}, [-] against: what the log-odds lose without the word")?;
    }
    let prediction = answer.prediction.clone().unwrap_or_default();
    let probability = |label: &str| {
        let at = answer.classes.iter().position(|class| class == label);
        at.and_then(|at| prediction.probabilities.get(at)).copied().unwrap_or(f64::NAN)
    };
    let model = clip(&answer.model, 100);
    writeln!(
        context.out,
        "answer       {}  {:.4}  by {model} version {}",
        clip(&prediction.label, 60),
        probability(&prediction.label),
        answer.model_version
    )?;
    if answer.class != prediction.label {
        writeln!(context.out, "explained    {class}  {:.4}", probability(&answer.class))?;
    }
    for warning in warnings(&prediction) {
        writeln!(context.out, "warning      {warning}")?;
    }
    writeln!(context.out, "method       {}\n", method(answer.method()))?;
    let signed = |value: f64| format!("{value:+.4}");
    let mut rows = vec![vec!["(bias)".to_owned(), String::new(), signed(answer.bias)]];
    for contribution in &answer.contributions {
        let kind = contribution.kind().as_str_name().trim_start_matches("FEATURE_KIND_").to_lowercase();
        rows.push(vec![clip(&contribution.feature, 60), kind, signed(contribution.value)]);
    }
    rows.push(vec!["(all others)".to_owned(), String::new(), signed(answer.rest)]);
    rows.push(vec!["(score)".to_owned(), String::new(), signed(answer.score)]);
    table(context.out, &["feature", "kind", "value"], &rows)?;
    Ok(())
}

fn method(method: ExplanationMethod) -> &'static str {
    match method {
        ExplanationMethod::Linear => "weights times values, exact",
        ExplanationMethod::TreePaths => "the paths through the trees",
        ExplanationMethod::IntegratedGradients => "integrated gradients",
        ExplanationMethod::Unspecified => "not told",
    }
}

/// Characters of a text that are shown.
const SHOWN: usize = 4_000;
/// Tokens that carry a number where there is no colour.
const NUMBERED: usize = 8;
/// Tokens weaker than this share of the strongest are left plain.
const FAINT: f64 = 0.05;

const PLAIN: &str = "\u{1b}[0m";
/// From weak to strong, of the 256 colours; black reads on each. Blue and orange are told apart by colour-blind readers too.
const BLUES: [u8; 4] = [189, 153, 111, 75];
const ORANGES: [u8; 4] = [230, 223, 215, 208];

/// How a token is painted.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Paint {
    background: u8,
    /// What speaks against the class is underlined too.
    underlined: bool,
}

impl Paint {
    /// `share` of the strongest token, from -1 to 1.
    fn of(share: f64) -> Self {
        let step = ((share.abs() * 4.0).ceil() as usize).clamp(1, 4) - 1;
        let colours = if share < 0.0 { ORANGES } else { BLUES };
        Self { background: colours[step], underlined: share < 0.0 }
    }
    fn start(self) -> String {
        let underline = if self.underlined { ";4" } else { "" };
        format!("\u{1b}[38;5;16;48;5;{}{underline}m", self.background)
    }
}

/// The text with its tokens on blue where they speak for the class and on orange where against it.
fn painted(text: &str, tokens: &[TokenContribution]) -> String {
    let strongest = strongest(tokens);
    marked(text, tokens, |_, value, piece| {
        let share = value / strongest;
        if share.is_finite() && share.abs() >= FAINT {
            format!("{}{piece}{PLAIN}", Paint::of(share).start())
        } else {
            piece.to_owned()
        }
    })
}

/// The text with signed numbers after its strongest tokens.
fn numbered(text: &str, tokens: &[TokenContribution]) -> String {
    let faint = FAINT * strongest(tokens);
    let mut order: Vec<usize> = (0..tokens.len()).filter(|&at| tokens[at].value.abs() > faint).collect();
    order.sort_by(|&a, &b| tokens[b].value.abs().total_cmp(&tokens[a].value.abs()).then(a.cmp(&b)));
    order.truncate(NUMBERED);
    marked(
        text,
        tokens,
        |at, value, piece| {
            if order.contains(&at) { format!("{piece}[{value:+.2}]") } else { piece.to_owned() }
        },
    )
}

fn strongest(tokens: &[TokenContribution]) -> f64 {
    tokens.iter().map(|token| token.value.abs()).filter(|value| value.is_finite()).fold(0.0, f64::max)
}

/// The text with each token as `mark` (index, value, piece) writes it. A range that does not fit the text, or begins within the
/// one before, is passed over. No control character of the text gets through but line feeds.
fn marked(text: &str, tokens: &[TokenContribution], mark: impl Fn(usize, f64, &str) -> String) -> String {
    let end = text.char_indices().nth(SHOWN).map_or(text.len(), |(at, _)| at);
    let (mut out, mut at) = (String::new(), 0);
    for (index, token) in tokens.iter().enumerate() {
        let Some(range) = range(token).filter(|range| range.start >= at && range.end <= end) else { continue };
        let (Some(before), Some(piece)) = (text.get(at..range.start), text.get(range.clone())) else { continue };
        out.push_str(&harmless(before));
        out.push_str(&mark(index, token.value, &harmless(piece)));
        at = range.end;
    }
    out.push_str(&harmless(&text[at..end]));
    if end < text.len() {
        out.push('…');
    }
    out
}

fn range(token: &TokenContribution) -> Option<Range<usize>> {
    let (start, end) = (usize::try_from(token.start_byte).ok()?, usize::try_from(token.end_byte).ok()?);
    (start < end).then_some(start..end)
}

fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(start_byte: i64, end_byte: i64, value: f64) -> TokenContribution {
        TokenContribution { start_byte, end_byte, value, ..TokenContribution::default() }
    }

    #[test]
    fn tokens_are_painted_by_sign_and_strength() {
        let tokens = [token(0, 6, 2.0), token(9, 13, -1.0), token(14, 18, 0.01)];
        let text = painted("Schön, dull book", &tokens[..1]);
        assert_eq!(text, "\u{1b}[38;5;16;48;5;75mSchön\u{1b}[0m, dull book");
        let text = painted("Schön,  dull book", &tokens);
        let expected = "\u{1b}[38;5;16;48;5;75mSchön\u{1b}[0m,  \u{1b}[38;5;16;48;5;223;4mdull\u{1b}[0m book";
        assert_eq!(text, expected);
    }

    #[test]
    fn without_colour_the_strongest_tokens_carry_numbers() {
        let text = "a b c d e f g h i j";
        let tokens: Vec<_> = (0..10).map(|at| token(2 * at, 2 * at + 1, (at - 4) as f64)).collect();
        let expected = "a[-4.00] b[-3.00] c[-2.00] d[-1.00] e f g[+2.00] h[+3.00] i[+4.00] j[+5.00]";
        assert_eq!(numbered(text, &tokens), expected);
        assert_eq!(numbered(text, &[token(0, 1, 0.0)]), text, "what counts for nothing has no number");
    }

    #[test]
    fn ranges_that_do_not_fit_and_control_characters_do_no_harm() {
        let text = "é\u{1b}[31m x\ny\u{9b}";
        let odd = [
            token(1, 2, 1.0),
            token(-1, 3, 1.0),
            token(5, 400, 1.0),
            token(4, 4, 1.0),
            token(8, 9, f64::NAN),
            token(8, 9, 1.0),
        ];
        assert_eq!(painted(text, &odd), "é [31m x\ny ");
        assert_eq!(numbered("", &odd), "");
        let long = "ä".repeat(SHOWN + 1);
        assert_eq!(numbered(&long, &[]).chars().count(), SHOWN + 1);
    }
}
