//! Query texts, refused before they cost anything: the parser and the library's checks recurse, and write fragments out.

#[cfg(test)]
mod tests;
mod weight;

use async_graphql::ServerError;
use async_graphql::parser::parse_query;
use async_graphql::parser::types::ExecutableDocument;
use tenor_domain::{Error, ErrorKind};

use crate::error::Failure;
use crate::limits::Limits;
use weight::Weight;

/// Brackets within brackets. Each costs the parser several stack frames.
const MAX_NESTING: usize = 64;
/// Levels of lists in an introspection, where types lead to fields and fields to types: the usual tools need one.
const MAX_INTROSPECTION_LISTS: usize = 2;
/// `__schema` and `__type` in one query.
const MAX_INTROSPECTIONS: usize = 4;
/// Fragments of one query; each is a level of recursion when they form a chain.
const MAX_FRAGMENTS: usize = 100;

/// Parses a query within the limits.
pub(crate) fn parse(query: &str, limits: &Limits) -> Result<ExecutableDocument, ServerError> {
    let refused =
        |reason, message| Failure::from(Error::new(ErrorKind::ResourceExhausted, reason, message)).into_server_error();
    if query.len() > limits.max_query_bytes {
        let message = format!(
            "the query has {} bytes, the limit is {}; pass values as variables",
            query.len(),
            limits.max_query_bytes
        );
        return Err(refused("QUERY_TOO_LARGE", message));
    }
    if nesting(query) > MAX_NESTING {
        return Err(refused("QUERY_TOO_DEEP", format!("brackets nest deeper than {MAX_NESTING} levels")));
    }
    let document = parse_query(query)?;
    if document.fragments.len() > MAX_FRAGMENTS {
        return Err(refused("QUERY_TOO_LARGE", format!("the query has more than {MAX_FRAGMENTS} fragments")));
    }
    let Some(Weight { depth, fields, aliases, directives, introspections, lists }) = weight::of(&document) else {
        let error = Error::new(ErrorKind::InvalidArgument, "QUERY_INVALID", "a fragment contains itself");
        return Err(Failure::from(error).into_server_error());
    };
    for (reason, what, found, limit) in [
        ("QUERY_TOO_DEEP", "levels of fields", depth, limits.max_depth),
        ("QUERY_TOO_LARGE", "fields", fields, limits.max_fields),
        ("QUERY_TOO_LARGE", "aliases", aliases, limits.max_aliases),
        ("QUERY_TOO_LARGE", "directives", directives, limits.max_directives),
        ("QUERY_TOO_LARGE", "introspections", introspections, MAX_INTROSPECTIONS),
        ("QUERY_TOO_DEEP", "levels of lists in an introspection", lists, MAX_INTROSPECTION_LISTS),
    ] {
        if found > limit {
            let message = format!(
                "the query has {found} {what} with fragments written out, the limit is {limit}; ask for less at once"
            );
            return Err(refused(reason, message));
        }
    }
    Ok(document)
}

/// How deep brackets nest, found without recursion. The text need not be valid: the parser goes no further than the first
/// character that it cannot take, and so may this.
fn nesting(query: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let mut rest = query.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'{' | b'[' | b'(' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            b'#' => {
                let end = after.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(after.len());
                rest = &after[end..];
            }
            b'"' => {
                let block = after.strip_prefix(b"\"\"").and_then(after_block);
                // Without an end it is no block: the parser then takes two of its quotes for an empty string.
                rest = block.unwrap_or_else(|| after_string(after));
            }
            // Nowhere else may it stand.
            b'\\' => break,
            _ => {}
        }
    }
    deepest
}

/// What follows the text in quotes that `rest` begins in.
fn after_string(mut rest: &[u8]) -> &[u8] {
    loop {
        rest = match rest {
            [b'\\', _, after @ ..] => after,
            [b'"', after @ ..] => return after,
            // A line ends within quotes: an error, after which nothing is parsed.
            [b'\n' | b'\r', ..] | [] => return &[],
            [_, after @ ..] => after,
        };
    }
}

/// What follows the text in triple quotes that `rest` begins in; `None` when it does not end.
fn after_block(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        rest = match rest {
            [b'\\', b'"', b'"', b'"', after @ ..] => after,
            [b'"', b'"', b'"', after @ ..] => return Some(after),
            [] => return None,
            [_, after @ ..] => after,
        };
    }
}
