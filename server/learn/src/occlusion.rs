//! Which words led to an answer, for any kind of model: leave each out in turn and predict again.

#[cfg(test)]
mod tests;

use tenor_domain::Error;
use tenor_domain::predict::TokenShare;
use tenor_features::Stop;
use tenor_features::contract::Prepared;
use tenor_features::text::{clean_into, words};

use crate::{Model, Scratch};

/// Most tokens of a text that are tried by default, each for the price of a prediction.
pub const MAX_TOKENS: usize = 512;

/// Probabilities are not taken for smaller, so that a certain model has finite log-odds.
const CLIP: f64 = 1e-12;

/// Returns what each word of `text` adds to the log-odds of `class`, in the order of the text:
///
/// `value = logit(p(class | text)) - logit(p(class | text without the word))`, `logit(p) = ln(p / (1 - p))`,
///
/// with both probabilities at least 1e-12, so that values lie within ±56. Above 0 a word speaks for the class. This is the
/// occlusion of Zeiler & Fergus 2014 ("Visualizing and Understanding Convolutional Networks", section 4.2), for words the erasure
/// of Li, Monroe & Jurafsky 2016 ("Understanding Neural Networks through Representation Erasure", equation 1, with log-odds in
/// the place of log-probabilities and without the division). Values do not add up to the log-odds: words that say the same twice
/// get little each.
///
/// `prepared` is what the contract made of `text`. Tokens are the words that its cleaning leaves, as byte ranges of the raw text.
/// For each, the raw text is cleaned anew with one space in the place of the token: nothing else joins or comes apart. The
/// numeric features stay those of the whole text, even those that are computed from it: a length that shrinks by one word is
/// no statement of the word. The text without its only word is empty, which a contract refuses, but a model answers; so that
/// word is measured against what the model says of no word at all.
///
/// At most `limit` pieces are tried (0 counts as 1). A text of more words is cut into windows of equally many words in a row, the last perhaps
/// of fewer; a window's value is that of leaving it out as a whole.
///
/// # Errors
/// An unknown class is invalid. `stop` is asked before each prediction.
pub fn occlusion(
    model: &dyn Model,
    text: &str,
    prepared: &Prepared,
    class: usize,
    limit: usize,
    stop: Stop<'_>,
) -> Result<Vec<TokenShare>, Error> {
    let classes = model.classes().len();
    if class >= classes {
        return Err(Error::invalid("class", format!("must be below {classes}, got {class}")));
    }
    let profile = model.contract().cleaning;
    let (mut scratch, mut probabilities) = (Scratch::default(), vec![0.0; classes]);
    stop.check()?;
    model.predict(prepared, &mut scratch, &mut probabilities);
    let whole = log_odds(&probabilities, class);
    let words = words(profile, text);
    let window = words.len().div_ceil(limit.max(1)).max(1);
    let mut tokens = Vec::with_capacity(words.len().div_ceil(window));
    let mut without = String::with_capacity(text.len());
    let mut left = Prepared { cleaned: String::new(), numeric: prepared.numeric.clone() };
    for words in words.chunks(window) {
        let ([first, ..], [.., last]) = (words, words) else { continue };
        let (start, end) = (first.start, last.end);
        stop.check()?;
        without.clear();
        without.push_str(&text[..start]);
        without.push(' ');
        without.push_str(&text[end..]);
        clean_into(profile, &without, &mut left.cleaned);
        model.predict(&left, &mut scratch, &mut probabilities);
        tokens.push(TokenShare { start, end, value: whole - log_odds(&probabilities, class) });
    }
    Ok(tokens)
}

/// `ln(p / (1 - p))` of a class. What the others have is added up rather than taken from 1: close to 1 nothing else is exact.
/// 0 for the only class of a model.
fn log_odds(probabilities: &[f64], class: usize) -> f64 {
    if probabilities.len() < 2 {
        return 0.0;
    }
    let others = probabilities.iter().enumerate().filter(|(other, _)| *other != class);
    let others: f64 = others.map(|(_, probability)| probability).sum();
    probabilities[class].max(CLIP).ln() - others.max(CLIP).ln()
}
