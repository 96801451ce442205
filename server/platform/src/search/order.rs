//! `metrics.f1 DESC, create_time`.

use tenor_domain::Error;
use tenor_store::run::Order;

use super::lexer::{Token, tokens};
use super::parser::field;
use super::wrong;

/// The most keys of an order.
const MAX_KEYS: usize = 4;

pub(super) fn parse(text: &str) -> Result<Vec<Order>, Error> {
    let tokens = tokens("order_by", text)?;
    let mut order = Vec::new();
    let mut rest = tokens.iter();
    if let [(Token::End, _)] = tokens[..] {
        return Ok(order);
    }
    loop {
        let Some((token, at)) = rest.next() else { return Ok(order) };
        if order.len() == MAX_KEYS {
            return Err(wrong("order_by", *at, format_args!("at most {MAX_KEYS} keys are allowed")));
        }
        let field = field("order_by", token, *at)?;
        let mut next = rest.next();
        let mut descending = false;
        if let Some((Token::Word(word), _)) = next {
            match word.to_ascii_lowercase().as_str() {
                "asc" => {}
                "desc" => descending = true,
                _ => return Err(expected(next, "`ASC`, `DESC`, `,` or the end")),
            }
            next = rest.next();
        }
        order.push(Order { field, descending });
        match next {
            Some((Token::Symbol(","), _)) => {}
            Some((Token::End, _)) | None => return Ok(order),
            _ => return Err(expected(next, "`,` or the end")),
        }
    }
}

fn expected(found: Option<&(Token, usize)>, what: &str) -> Error {
    match found {
        Some((token, at)) => wrong("order_by", *at, format_args!("expected {what}, found {token}")),
        None => Error::invalid("order_by", format!("expected {what}")),
    }
}
