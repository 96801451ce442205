//! The language of [`crate::search`] over trials in memory.

use std::cmp::Ordering;

use tenor_domain::{Error, ParamValue, Trial};
use tenor_store::run::{Attribute, Comparison, Condition, Field, Filter, Order};

/// Whether a trial is as the filter wants it.
pub(super) fn matches(filter: &Filter, trial: &Trial) -> Result<bool, Error> {
    match filter {
        Filter::And(all) => all.iter().try_fold(true, |so_far, filter| Ok(so_far && matches(filter, trial)?)),
        Filter::Or(any) => any.iter().try_fold(false, |so_far, filter| Ok(so_far || matches(filter, trial)?)),
        Filter::Not(filter) => Ok(!matches(filter, trial)?),
        Filter::Is(field, condition) => Ok(holds(&value(field, trial)?, condition)),
    }
}

/// What a field of a trial is, as a number and as text.
#[derive(Debug, Clone, Default)]
struct FieldValue {
    number: Option<f64>,
    text: Option<String>,
}

fn value(field: &Field, trial: &Trial) -> Result<FieldValue, Error> {
    let number = |number: Option<f64>| FieldValue { number, text: None };
    let time = |at: Option<tenor_domain::Timestamp>| number(at.map(|at| at.0 as f64));
    Ok(match field {
        Field::Metric(key) => number(trial.metrics.get(key).copied()),
        Field::Param(key) => {
            let param = trial.params.get(key);
            let as_number = match param {
                Some(ParamValue::Int(value)) => Some(*value as f64),
                Some(ParamValue::Float(value)) => Some(*value),
                _ => None,
            };
            FieldValue { number: as_number, text: param.map(ToString::to_string) }
        }
        Field::Attribute(Attribute::Error) => FieldValue { number: None, text: trial.error.clone() },
        Field::Attribute(Attribute::CreateTime) => time(Some(trial.created_at)),
        Field::Attribute(Attribute::StartTime) => time(trial.started_at),
        Field::Attribute(Attribute::FinishTime) => time(trial.finished_at),
        Field::Attribute(Attribute::Job) => number(trial.job_id.map(|job| job.0 as f64)),
        Field::Attribute(_) | Field::Tag(_) => {
            let text = "names a field that trials do not have; they have `metrics.<key>`, `params.<key>`, `error`, `job_id`, \
                        `create_time`, `start_time` and `finish_time`; their states are asked for by `states`, or `--state`";
            return Err(Error::invalid("filter", text));
        }
    })
}

fn compare<T: PartialOrd>(value: &T, comparison: Comparison, other: &T) -> bool {
    match comparison {
        Comparison::Equal => value == other,
        Comparison::NotEqual => value != other,
        Comparison::Less => value < other,
        Comparison::LessOrEqual => value <= other,
        Comparison::Greater => value > other,
        Comparison::GreaterOrEqual => value >= other,
    }
}

/// A comparison with what is missing is false.
fn holds(value: &FieldValue, condition: &Condition) -> bool {
    let number = |test: &dyn Fn(f64) -> bool| value.number.is_some_and(test);
    let text = |test: &dyn Fn(&str) -> bool| value.text.as_deref().is_some_and(test);
    match condition {
        Condition::Number(comparison, other) => number(&|it| compare(&it, *comparison, other)),
        Condition::NumberBetween(low, high) => number(&|it| (*low..=*high).contains(&it)),
        Condition::NumberIn(others) => number(&|it| others.contains(&it)),
        Condition::Integer(comparison, other) => number(&|it| compare(&it, *comparison, &(*other as f64))),
        Condition::IntegerBetween(low, high) => number(&|it| (*low as f64..=*high as f64).contains(&it)),
        Condition::IntegerIn(others) => number(&|it| others.iter().any(|other| *other as f64 == it)),
        Condition::Text(comparison, other) => text(&|it| compare(&it, *comparison, &other.as_str())),
        Condition::TextBetween(low, high) => text(&|it| (low.as_str()..=high.as_str()).contains(&it)),
        Condition::TextIn(others) => text(&|it| others.iter().any(|other| other == it)),
        Condition::Like { pattern, ignore_case } => text(&|it| like(it, pattern, *ignore_case)),
        Condition::Missing => value.number.is_none() && value.text.is_none(),
    }
}

/// One token of a pattern.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Any,
    One,
    This(char),
}

fn like(text: &str, pattern: &str, ignore_case: bool) -> bool {
    let fold = |c: char| if ignore_case { c.to_ascii_lowercase() } else { c };
    let text: Vec<char> = text.chars().map(fold).collect();
    let mut parts = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        parts.push(match c {
            '%' => Part::Any,
            '_' => Part::One,
            '\\' => Part::This(fold(chars.next().unwrap_or('\\'))),
            c => Part::This(fold(c)),
        });
    }
    // The last `%` takes one character more whenever the rest does not fit.
    let (mut at, mut part, mut retry) = (0, 0, None);
    while at < text.len() {
        match parts.get(part) {
            Some(Part::Any) => {
                retry = Some((part, at));
                part += 1;
            }
            Some(Part::One) => (at, part) = (at + 1, part + 1),
            Some(Part::This(c)) if *c == text[at] => (at, part) = (at + 1, part + 1),
            _ => match retry {
                Some((any, from)) => {
                    retry = Some((any, from + 1));
                    (part, at) = (any + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    parts[part..].iter().all(|part| *part == Part::Any)
}

/// A trial with what it is ordered by.
pub(super) struct Sorted<'a> {
    pub trial: &'a Trial,
    keys: Vec<FieldValue>,
}

impl<'a> Sorted<'a> {
    pub fn of(trial: &'a Trial, order: &[Order]) -> Result<Self, Error> {
        let keys = order.iter().map(|key| value(&key.field, trial));
        let keys = keys.collect::<Result<_, _>>().map_err(|mut error: Error| {
            error.violations.iter_mut().for_each(|violation| violation.field = "order_by".to_owned());
            error
        });
        Ok(Self { trial, keys: keys? })
    }

    /// Missing ones last, whatever the direction; ties by number.
    pub fn compare(&self, other: &Self, order: &[Order]) -> Ordering {
        for ((own, other), key) in self.keys.iter().zip(&other.keys).zip(order) {
            let turn = |ordering: Ordering| if key.descending { ordering.reverse() } else { ordering };
            let numbers = match (own.number, other.number) {
                (Some(a), Some(b)) => turn(a.total_cmp(&b)),
                (a, b) => b.is_some().cmp(&a.is_some()),
            };
            let found = numbers.then_with(|| match (&own.text, &other.text) {
                (Some(a), Some(b)) => turn(a.cmp(b)),
                (a, b) => b.is_some().cmp(&a.is_some()),
            });
            if found != Ordering::Equal {
                return found;
            }
        }
        self.trial.number.cmp(&other.trial.number)
    }
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn patterns_match_as_in_sql() {
        for (text, pattern, fits) in [
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "a_c", true),
            ("abc", "a_", false),
            ("aXbXc", "a%X%c", true),
            ("aab", "%ab", true),
            ("100%", "100\\%", true),
            ("1000", "100\\%", false),
            ("", "%", true),
            ("", "_", false),
        ] {
            assert_eq!(like(text, pattern, false), fits, "{text} {pattern}");
        }
        assert!(like("ABC", "a%", true) && !like("ABC", "a%", false));
    }
}
