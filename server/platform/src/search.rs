//! The language in which clients search runs.
//!
//! ```text
//! metrics.f1 > 0.8 AND (params.C <= 1 OR tags.team = 'a') AND state = 'succeeded' AND NOT name LIKE '%x%'
//! ```
//!
//! - Fields: `metrics.<key>` (the last value), `params.<key>`, `tags.<key>`, and the attributes `id`, `experiment`,
//!   `parent_run_id`, `name`, `kind`, `state`, `note`, `error`, `split_id`, `job_id`, `create_time`, `start_time`,
//!   `finish_time`. Keys with other characters than letters, digits and `_ - . / :` stand in double quotes or backquotes.
//! - Comparisons: `= != <> < <= > >=`, `[NOT] IN (..)`, `[NOT] BETWEEN .. AND ..`, `[NOT] LIKE`, `[NOT] ILIKE`,
//!   `IS [NOT] NULL`; combined by `NOT`, `AND`, `OR` (in this order of binding) and parentheses.
//! - Values: numbers, text in single or double quotes (a quote within is doubled), `true`, `false`; times as RFC 3339
//!   text or milliseconds since 1970. A parameter is compared as a number with a number, as text with text.
//! - A comparison with something that is missing, or NaN, is false; `NOT` of it is true.
//! - Text compares byte by byte. `LIKE`: `%` is any text, `_` one character, `\` takes the next of `% _ \` as it is;
//!   `ILIKE` ignores the case of ASCII letters.
//!
//! An order is a list like `metrics.f1 DESC, create_time`; what is missing comes last, ties go to the newer run.

mod lexer;
mod order;
mod parser;
#[cfg(test)]
mod tests;

use tenor_domain::Error;
use tenor_store::run::{Filter, Order};

/// The longest filter or order in characters.
const MAX_CHARS: usize = 16_384;

/// Parses a filter; blank text means no filter. Errors name the character at which the text stops making sense.
pub fn parse_filter(text: &str) -> Result<Option<Filter>, Error> {
    parser::parse(text)
}

/// Parses an order; blank text means newest first.
pub fn parse_order(text: &str) -> Result<Vec<Order>, Error> {
    order::parse(text)
}

/// An error at the character `at`, counted from 1.
fn wrong(field: &'static str, at: usize, what: impl std::fmt::Display) -> Error {
    Error::invalid(field, format!("at character {at}: {what}"))
}
