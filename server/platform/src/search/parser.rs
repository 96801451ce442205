//! Tokens to a filter: recursive descent with a bounded depth.

use tenor_domain::{Error, State, Timestamp};
use tenor_store::run::{Attribute, Comparison, Condition, Field, Filter};

use super::lexer::{Token, tokens};
use super::wrong;

/// Nested parentheses and NOTs.
const MAX_DEPTH: usize = 50;
/// Comparisons in one filter; SQLite limits the depth of an expression, and a chain of ANDs is as deep as it is long.
const MAX_COMPARISONS: usize = 200;
/// Values of one IN.
const MAX_VALUES: usize = 1_000;
/// SQLite limits a pattern to 50,000 bytes.
const MAX_PATTERN_CHARS: usize = 10_000;

const FILTER: &str = "filter";

struct Parser {
    tokens: Vec<(Token, usize)>,
    next: usize,
    depth: usize,
    comparisons: usize,
}

/// A value as written.
enum Literal {
    Number(String),
    Text(String),
    Bool(bool),
}

/// What the values of a field are.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Number,
    /// A number or text, as the value is.
    Either,
    Text,
    State,
    Integer,
    Time,
}

pub(super) fn parse(text: &str) -> Result<Option<Filter>, Error> {
    let tokens = tokens(FILTER, text)?;
    if let [(Token::End, _)] = tokens[..] {
        return Ok(None);
    }
    let mut parser = Parser { tokens, next: 0, depth: 0, comparisons: 0 };
    let filter = parser.any()?;
    match parser.peek() {
        Token::End => Ok(Some(filter)),
        _ => Err(parser.expected("`AND`, `OR` or the end")),
    }
}

/// The field that a token names.
pub(super) fn field(argument: &'static str, token: &Token, at: usize) -> Result<Field, Error> {
    let attribute = |name: &str| {
        Some(Field::Attribute(match name.to_ascii_lowercase().as_str() {
            "id" | "run_id" => Attribute::Id,
            "experiment" => Attribute::Experiment,
            "parent_run_id" => Attribute::ParentRun,
            "name" => Attribute::Name,
            "kind" => Attribute::Kind,
            "state" | "status" => Attribute::State,
            "note" => Attribute::Note,
            "error" => Attribute::Error,
            "split_id" => Attribute::Split,
            "job_id" => Attribute::Job,
            "create_time" | "created_at" => Attribute::CreateTime,
            "start_time" | "started_at" => Attribute::StartTime,
            "finish_time" | "finished_at" => Attribute::FinishTime,
            _ => return None,
        }))
    };
    let found = match token {
        Token::Word(word) => attribute(word),
        Token::Key(group, key) => match group.to_ascii_lowercase().as_str() {
            "metrics" | "metric" => Some(Field::Metric(key.clone())),
            "params" | "param" => Some(Field::Param(key.clone())),
            "tags" | "tag" => Some(Field::Tag(key.clone())),
            "attributes" | "run" => attribute(key),
            _ => None,
        },
        _ => None,
    };
    found.ok_or_else(|| {
        wrong(
            argument,
            at,
            format_args!(
                "expected a field, found {token}; fields are `metrics.<key>`, `params.<key>`, `tags.<key>`, `name`, \
                 `state`, `kind`, `experiment`, `create_time` and other attributes"
            ),
        )
    })
}

fn kind(field: &Field) -> Kind {
    match field {
        Field::Metric(_) => Kind::Number,
        Field::Param(_) => Kind::Either,
        Field::Tag(_) => Kind::Text,
        Field::Attribute(Attribute::State) => Kind::State,
        Field::Attribute(Attribute::Job) => Kind::Integer,
        Field::Attribute(attribute) if attribute.is_integer() => Kind::Time,
        Field::Attribute(_) => Kind::Text,
    }
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(token, _)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).or(self.tokens.last()).map_or(1, |(_, at)| *at)
    }

    fn expected(&self, what: &str) -> Error {
        wrong(FILTER, self.at(), format_args!("expected {what}, found {}", self.peek()))
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.next += usize::from(found);
        found
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(found) if *found == symbol);
        self.next += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<Filter, Error> {
        let mut parts = vec![self.all()?];
        while self.take_word("or") {
            parts.push(self.all()?);
        }
        Ok(single(parts, Filter::Or))
    }

    fn all(&mut self) -> Result<Filter, Error> {
        let mut parts = vec![self.not()?];
        while self.take_word("and") {
            parts.push(self.not()?);
        }
        Ok(single(parts, Filter::And))
    }

    fn not(&mut self) -> Result<Filter, Error> {
        let at = self.at();
        let negated = self.take_word("not");
        if !negated && !self.take_symbol("(") {
            return self.comparison();
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(wrong(FILTER, at, format_args!("nested deeper than {MAX_DEPTH} levels")));
        }
        let inner = if negated {
            Filter::Not(Box::new(self.not()?))
        } else {
            let inner = self.any()?;
            if !self.take_symbol(")") {
                return Err(self.expected("`)`"));
            }
            inner
        };
        self.depth -= 1;
        Ok(inner)
    }

    fn comparison(&mut self) -> Result<Filter, Error> {
        self.comparisons += 1;
        if self.comparisons > MAX_COMPARISONS {
            return Err(wrong(FILTER, self.at(), format_args!("more than {MAX_COMPARISONS} comparisons")));
        }
        let field = field(FILTER, self.peek(), self.at())?;
        self.next += 1;
        if self.take_word("is") {
            let negated = self.take_word("not");
            if !self.take_word("null") {
                return Err(self.expected("`NULL` or `NOT NULL`"));
            }
            return Ok(negate(negated, Filter::Is(field, Condition::Missing)));
        }
        let negated = self.take_word("not");
        let kind = kind(&field);
        let condition = if self.take_word("in") {
            self.list(kind)?
        } else if self.take_word("between") {
            self.between(kind)?
        } else if self.is_word("like") || self.is_word("ilike") {
            self.like(kind)?
        } else if negated {
            return Err(self.expected("`IN`, `BETWEEN`, `LIKE` or `ILIKE`"));
        } else {
            self.compare(kind)?
        };
        Ok(negate(negated, Filter::Is(field, condition)))
    }

    fn compare(&mut self, kind: Kind) -> Result<Condition, Error> {
        let comparison = match self.peek() {
            Token::Symbol("=") => Comparison::Equal,
            Token::Symbol("!=" | "<>") => Comparison::NotEqual,
            Token::Symbol("<") => Comparison::Less,
            Token::Symbol("<=") => Comparison::LessOrEqual,
            Token::Symbol(">") => Comparison::Greater,
            Token::Symbol(">=") => Comparison::GreaterOrEqual,
            _ => {
                return Err(
                    self.expected("a comparison: `=`, `!=`, `<`, `<=`, `>`, `>=`, `IN`, `BETWEEN`, `LIKE`, `IS NULL`")
                );
            }
        };
        self.next += 1;
        Ok(match self.value(kind)? {
            Value::Number(number) => Condition::Number(comparison, number),
            Value::Integer(integer) => Condition::Integer(comparison, integer),
            Value::Text(text) => Condition::Text(comparison, text),
        })
    }

    fn between(&mut self, kind: Kind) -> Result<Condition, Error> {
        let low = self.value(kind)?;
        if !self.take_word("and") {
            return Err(self.expected("`AND` and the upper bound"));
        }
        let at = self.at();
        match (low, self.value(kind)?) {
            (Value::Number(low), Value::Number(high)) => Ok(Condition::NumberBetween(low, high)),
            (Value::Integer(low), Value::Integer(high)) => Ok(Condition::IntegerBetween(low, high)),
            (Value::Text(low), Value::Text(high)) => Ok(Condition::TextBetween(low, high)),
            _ => Err(wrong(FILTER, at, "both bounds must be numbers, or both text")),
        }
    }

    fn list(&mut self, kind: Kind) -> Result<Condition, Error> {
        if !self.take_symbol("(") {
            return Err(self.expected("`(`"));
        }
        let mut condition = match self.value(kind)? {
            Value::Number(number) => Condition::NumberIn(vec![number]),
            Value::Integer(integer) => Condition::IntegerIn(vec![integer]),
            Value::Text(text) => Condition::TextIn(vec![text]),
        };
        let mut count = 1;
        while self.take_symbol(",") {
            let at = self.at();
            count += 1;
            if count > MAX_VALUES {
                return Err(wrong(FILTER, at, format_args!("more than {MAX_VALUES} values in one list")));
            }
            match (&mut condition, self.value(kind)?) {
                (Condition::NumberIn(values), Value::Number(number)) => values.push(number),
                (Condition::IntegerIn(values), Value::Integer(integer)) => values.push(integer),
                (Condition::TextIn(values), Value::Text(text)) => values.push(text),
                _ => return Err(wrong(FILTER, at, "the values of a list must be all numbers, or all text")),
            }
        }
        if !self.take_symbol(")") {
            return Err(self.expected("`,` or `)`"));
        }
        Ok(condition)
    }

    fn like(&mut self, kind: Kind) -> Result<Condition, Error> {
        let at = self.at();
        let ignore_case = self.is_word("ilike");
        self.next += 1;
        if matches!(kind, Kind::Number | Kind::Integer | Kind::Time) {
            return Err(wrong(FILTER, at, "`LIKE` compares text, and this field holds numbers"));
        }
        let at = self.at();
        let Token::Text(pattern) = self.peek().clone() else {
            return Err(self.expected("a pattern in single quotes"));
        };
        self.next += 1;
        if pattern.chars().count() > MAX_PATTERN_CHARS {
            return Err(wrong(FILTER, at, format_args!("a pattern must have at most {MAX_PATTERN_CHARS} characters")));
        }
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            if c == '\\' && !matches!(chars.next(), Some('%' | '_' | '\\')) {
                return Err(wrong(FILTER, at, r"in a pattern `\` must be followed by `%`, `_` or `\`"));
            }
        }
        Ok(Condition::Like { pattern, ignore_case })
    }

    fn literal(&mut self) -> Result<Literal, Error> {
        let literal = match self.peek() {
            Token::Number(number) => Literal::Number(number.clone()),
            Token::Text(text) => Literal::Text(text.clone()),
            Token::Word(word) if word.eq_ignore_ascii_case("true") => Literal::Bool(true),
            Token::Word(word) if word.eq_ignore_ascii_case("false") => Literal::Bool(false),
            _ => return Err(self.expected("a number, or text in single quotes")),
        };
        self.next += 1;
        Ok(literal)
    }

    fn value(&mut self, kind: Kind) -> Result<Value, Error> {
        let at = self.at();
        let refuse = |what: &str| Err(wrong(FILTER, at, what));
        match (kind, self.literal()?) {
            // The lexer has seen that it parses.
            (Kind::Number | Kind::Either, Literal::Number(text)) => Ok(Value::Number(text.parse().unwrap_or(f64::NAN))),
            (Kind::Number, _) => refuse("metrics compare with numbers"),
            (Kind::Either, Literal::Bool(value)) => Ok(Value::Text(value.to_string())),
            (Kind::Either | Kind::Text, Literal::Text(text)) => Ok(Value::Text(text)),
            (Kind::Text, _) => refuse("this field is text; put the value in single quotes"),
            (Kind::State, Literal::Text(text)) if State::parse(&text).is_some() => Ok(Value::Text(text)),
            (Kind::State, _) => {
                refuse("a state is 'pending', 'running', 'succeeded', 'failed' or 'cancelled', in single quotes")
            }
            (Kind::Integer | Kind::Time, Literal::Number(text)) => match text.parse() {
                Ok(integer) => Ok(Value::Integer(integer)),
                Err(_) => refuse("must be an integer"),
            },
            (Kind::Time, Literal::Text(text)) => match Timestamp::parse_rfc3339(&text) {
                Some(at) => Ok(Value::Integer(at.0)),
                None => refuse("must be a time like '2026-11-24T00:00:00Z', or milliseconds since 1970"),
            },
            (Kind::Time | Kind::Integer, _) => refuse("must be a number"),
        }
    }
}

/// A value of the kind that the field has.
enum Value {
    Number(f64),
    Integer(i64),
    Text(String),
}

fn negate(negated: bool, filter: Filter) -> Filter {
    if negated { Filter::Not(Box::new(filter)) } else { filter }
}

fn single(mut parts: Vec<Filter>, combine: fn(Vec<Filter>) -> Filter) -> Filter {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            combine(parts)
        }
        None => combine(parts),
    }
}
