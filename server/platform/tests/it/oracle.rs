//! Random searches, and what they must find, computed the slow way and without any code of the product.

mod random;
mod show;

use std::cmp::Ordering;
use std::collections::HashMap;

use tenor_domain::{ParamValue, Run};

pub use random::*;
pub use show::quoted;

#[derive(Debug, Clone, Copy)]
pub enum Field {
    Metric(&'static str),
    Param(&'static str),
    Tag(&'static str),
    Text(&'static str),
    State,
    Job,
    Time(&'static str),
}

pub enum Literal {
    Number(f64),
    Text(String),
    Bool(bool),
    Integer(i64),
    Time(i64),
}

pub enum Test {
    Compare(&'static str, Literal),
    Between(Literal, Literal),
    In(Vec<Literal>),
    Like { pattern: String, ignore_case: bool },
    Null,
}

pub enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    /// `negated` is the NOT within `NOT IN`, `IS NOT NULL` and the like.
    Is {
        field: Field,
        negated: bool,
        test: Test,
    },
}

/// What a run has there.
enum Value {
    Missing,
    Number(f64),
    Integer(i64),
    Text(String),
    Param { number: Option<f64>, text: String },
}

/// Names of experiments by id.
pub type Names = HashMap<String, String>;

fn value(run: &Run, names: &Names, field: Field) -> Value {
    let text = |text: Option<&str>| text.map_or(Value::Missing, |text| Value::Text(text.to_owned()));
    let integer = |integer: Option<i64>| integer.map_or(Value::Missing, Value::Integer);
    match field {
        Field::Metric(key) => match run.metrics.get(key) {
            Some(number) if !number.is_nan() => Value::Number(*number),
            _ => Value::Missing,
        },
        Field::Param(key) => match run.params.get(key) {
            None => Value::Missing,
            Some(param) => Value::Param {
                number: match param {
                    ParamValue::Int(number) => Some(*number as f64),
                    ParamValue::Float(number) => Some(*number).filter(|number| !number.is_nan()),
                    _ => None,
                },
                text: param.to_string(),
            },
        },
        Field::Tag(key) => text(run.tags.get(key).map(String::as_str)),
        Field::State => text(Some(run.state.as_str())),
        Field::Job => integer(run.job_id.map(|id| id.0)),
        Field::Time("create_time") => integer(Some(run.created_at.0)),
        Field::Time("start_time") => integer(run.started_at.map(|at| at.0)),
        Field::Time(_) => integer(run.finished_at.map(|at| at.0)),
        Field::Text(name) => match name {
            "id" => text(Some(run.id.as_str())),
            "experiment" => text(Some(&names[run.experiment_id.as_str()])),
            "parent_run_id" => text(run.parent_run_id.as_ref().map(|id| id.as_str())),
            "name" => text(Some(&run.name)),
            "kind" => text(Some(&run.kind)),
            "note" => text(Some(&run.note)),
            "error" => text(run.error.as_deref()),
            "split_id" => text(run.split_id.as_ref().map(|id| id.as_str())),
            other => panic!("no attribute `{other}`"),
        },
    }
}

/// `None` when there is nothing to compare.
fn compare(value: &Value, literal: &Literal) -> Option<Ordering> {
    match (value, literal) {
        (Value::Number(one) | Value::Param { number: Some(one), .. }, Literal::Number(other)) => one.partial_cmp(other),
        (Value::Integer(one), Literal::Integer(other) | Literal::Time(other)) => Some(one.cmp(other)),
        (Value::Text(one) | Value::Param { text: one, .. }, Literal::Text(other)) => {
            Some(one.as_bytes().cmp(other.as_bytes()))
        }
        (Value::Param { text, .. }, Literal::Bool(flag)) => Some(text.as_bytes().cmp(flag.to_string().as_bytes())),
        _ => None,
    }
}

fn like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|at| like(&text[at..], rest)),
        ['\\', literal, rest @ ..] => text.first() == Some(literal) && like(&text[1..], rest),
        ['_', rest @ ..] => !text.is_empty() && like(&text[1..], rest),
        [literal, rest @ ..] => text.first() == Some(literal) && like(&text[1..], rest),
    }
}

impl Expr {
    pub fn holds(&self, run: &Run, names: &Names) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.holds(run, names)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(run, names)),
            Self::Not(inner) => !inner.holds(run, names),
            Self::Is { field, negated, test } => negated ^ test.holds(&value(run, names, *field)),
        }
    }
}

impl Test {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Null => matches!(value, Value::Missing),
            Self::Compare(symbol, literal) => compare(value, literal).is_some_and(|order| match *symbol {
                "=" => order.is_eq(),
                "!=" | "<>" => order.is_ne(),
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                ">" => order.is_gt(),
                _ => order.is_ge(),
            }),
            Self::Between(low, high) => {
                compare(value, low).is_some_and(Ordering::is_ge) && compare(value, high).is_some_and(Ordering::is_le)
            }
            Self::In(literals) => literals.iter().any(|literal| compare(value, literal).is_some_and(Ordering::is_eq)),
            Self::Like { pattern, ignore_case } => {
                let (Value::Text(text) | Value::Param { text, .. }) = value else { return false };
                let chars = |text: &str| {
                    let fold = |c: char| if *ignore_case { c.to_ascii_lowercase() } else { c };
                    text.chars().map(fold).collect::<Vec<_>>()
                };
                like(&chars(text), &chars(pattern))
            }
        }
    }
}

/// The order of two runs by keys with a direction each; missing values last, ties to the newer run.
pub fn by(order: &[(Field, bool)], names: &Names, one: &Run, other: &Run) -> Ordering {
    for (field, descending) in order {
        let parts = |run: &Run| match (field, value(run, names, *field)) {
            (Field::Text("experiment"), _) => (None, Some(run.experiment_id.as_str().to_owned()), None),
            (_, Value::Missing) => (None, None, None),
            (_, Value::Number(number)) => (Some(number), None, None),
            (_, Value::Integer(integer)) => (None, None, Some(integer)),
            (_, Value::Text(text)) => (None, Some(text), None),
            (_, Value::Param { number, text }) => (number, Some(text), None),
        };
        let (one, other) = (parts(one), parts(other));
        let found = last(one.0, other.0, *descending)
            .then_with(|| last(one.1, other.1, *descending))
            .then_with(|| last(one.2, other.2, *descending));
        if found.is_ne() {
            return found;
        }
    }
    other.id.cmp(&one.id)
}

fn last<T: PartialOrd>(one: Option<T>, other: Option<T>, descending: bool) -> Ordering {
    match (one, other) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(one), Some(other)) => {
            let order = one.partial_cmp(&other).unwrap();
            if descending { order.reverse() } else { order }
        }
    }
}
