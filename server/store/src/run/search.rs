//! The search over runs: a filter and an order, compiled to one statement with bound values.
//!
//! A filter is two-valued: a comparison with something that is missing (or NaN) is false, and NOT of it is true.
//! Text compares byte by byte. Missing values sort last, whatever the direction; ties go to the newer run.

use sqlx::query_builder::QueryBuilder;
use sqlx::{Database, Encode, Type};
use tenor_domain::{ExperimentId, ParamValue, Run};

use super::{Row, columns, details};
use crate::{Error, Tx, on};

/// What a run must be like.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// True when all are; an empty one is true.
    And(Vec<Filter>),
    /// True when one is; an empty one is false.
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Is(Field, Condition),
}

/// What a condition looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// The last value of a metric: a number.
    Metric(String),
    /// A parameter: a number for int and float, and the text of any kind.
    Param(String),
    /// A tag: text.
    Tag(String),
    Attribute(Attribute),
}

/// A column of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    Id,
    /// The experiment's name in a filter; its id in an order.
    Experiment,
    ParentRun,
    Name,
    Kind,
    State,
    Note,
    Error,
    Split,
    Job,
    CreateTime,
    StartTime,
    FinishTime,
}

impl Attribute {
    /// Whether it is an integer (an id or milliseconds since 1970); all others are text.
    pub fn is_integer(self) -> bool {
        matches!(self, Self::Job | Self::CreateTime | Self::StartTime | Self::FinishTime)
    }
    fn column(self) -> &'static str {
        match self {
            Self::Id => "r.id",
            Self::Experiment => "r.experiment_id",
            Self::ParentRun => "r.parent_run_id",
            Self::Name => "r.name",
            Self::Kind => "r.kind",
            Self::State => "r.state",
            Self::Note => "r.note",
            Self::Error => "r.error",
            Self::Split => "r.split_id",
            Self::Job => "r.job_id",
            Self::CreateTime => "r.created_at",
            Self::StartTime => "r.started_at",
            Self::FinishTime => "r.finished_at",
        }
    }
    fn nullable(self) -> bool {
        matches!(self, Self::ParentRun | Self::Error | Self::Split | Self::Job | Self::StartTime | Self::FinishTime)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn sql(self) -> &'static str {
        match self {
            Self::Equal => " = ",
            Self::NotEqual => " <> ",
            Self::Less => " < ",
            Self::LessOrEqual => " <= ",
            Self::Greater => " > ",
            Self::GreaterOrEqual => " >= ",
        }
    }
}

/// A condition on one field. Number conditions fit metrics, parameters and integer attributes; text conditions fit
/// parameters, tags and text attributes.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    Number(Comparison, f64),
    NumberBetween(f64, f64),
    NumberIn(Vec<f64>),
    Integer(Comparison, i64),
    IntegerBetween(i64, i64),
    IntegerIn(Vec<i64>),
    Text(Comparison, String),
    TextBetween(String, String),
    TextIn(Vec<String>),
    /// `%` is any text, `_` any character, `\` takes the next one as it is.
    Like {
        pattern: String,
        /// ASCII letters match in either case.
        ignore_case: bool,
    },
    Missing,
}

/// One key of the order.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub field: Field,
    pub descending: bool,
}

/// Where the last page ended, one value a sort key; see [`sort_values`].
#[derive(Debug, Clone, PartialEq)]
pub enum SortValue {
    Number(Option<f64>),
    Integer(Option<i64>),
    Text(Option<String>),
}

/// A search for one page.
#[derive(Debug, Clone)]
pub struct Search<'a> {
    /// Empty: all.
    pub experiments: &'a [ExperimentId],
    pub filter: Option<&'a Filter>,
    pub order: &'a [Order],
    /// Sort values and id of the last run of the page before.
    pub after: Option<(&'a [SortValue], &'a str)>,
    pub limit: i64,
}

/// The values by which `order` sorts `run`.
pub fn sort_values(run: &Run, order: &[Order]) -> Vec<SortValue> {
    let mut values = Vec::new();
    for key in order {
        match &key.field {
            Field::Metric(key) => {
                values.push(SortValue::Number(run.metrics.get(key).copied().filter(|value| !value.is_nan())));
            }
            Field::Param(key) => {
                let param = run.params.get(key);
                values.push(SortValue::Number(match param {
                    Some(ParamValue::Int(value)) => Some(*value as f64),
                    Some(ParamValue::Float(value)) if !value.is_nan() => Some(*value),
                    _ => None,
                }));
                values.push(SortValue::Text(param.map(ToString::to_string)));
            }
            Field::Tag(key) => values.push(SortValue::Text(run.tags.get(key).cloned())),
            Field::Attribute(attribute) => values.push(attribute_value(run, *attribute)),
        }
    }
    values
}

/// Whether [`sort_values`] with this order could give these values: as many, of the same kinds.
pub fn fits(values: &[SortValue], order: &[Order]) -> bool {
    let mut rest = values.iter();
    let all = order.iter().all(|key| match &key.field {
        Field::Metric(_) => matches!(rest.next(), Some(SortValue::Number(_))),
        Field::Param(_) => matches!((rest.next(), rest.next()), (Some(SortValue::Number(_)), Some(SortValue::Text(_)))),
        Field::Attribute(attribute) if attribute.is_integer() => matches!(rest.next(), Some(SortValue::Integer(_))),
        Field::Tag(_) | Field::Attribute(_) => matches!(rest.next(), Some(SortValue::Text(_))),
    });
    all && rest.next().is_none()
}

fn attribute_value(run: &Run, attribute: Attribute) -> SortValue {
    let text = |value: &str| SortValue::Text(Some(value.to_owned()));
    match attribute {
        Attribute::Id => text(run.id.as_str()),
        Attribute::Experiment => text(run.experiment_id.as_str()),
        Attribute::ParentRun => SortValue::Text(run.parent_run_id.as_ref().map(ToString::to_string)),
        Attribute::Name => text(&run.name),
        Attribute::Kind => text(&run.kind),
        Attribute::State => text(run.state.as_str()),
        Attribute::Note => text(&run.note),
        Attribute::Error => SortValue::Text(run.error.clone()),
        Attribute::Split => SortValue::Text(run.split_id.as_ref().map(ToString::to_string)),
        Attribute::Job => SortValue::Integer(run.job_id.map(|id| id.0)),
        Attribute::CreateTime => SortValue::Integer(Some(run.created_at.0)),
        Attribute::StartTime => SortValue::Integer(run.started_at.map(|at| at.0)),
        Attribute::FinishTime => SortValue::Integer(run.finished_at.map(|at| at.0)),
    }
}

/// One page of runs with their parameters, tags and last metrics.
pub async fn search(tx: &mut Tx, search: &Search<'_>) -> Result<Vec<Run>, Error> {
    let rows: Vec<Row> = on!(tx, connection => {
        let mut query = compile(search);
        // Kept prepared, though there are as many filters as users: the few that a page asks again and again save more
        // than the many cost that drop out of the cache.
        query.build_query_as().fetch_all(connection).await?
    });
    let mut runs = rows.into_iter().map(Run::try_from).collect::<Result<Vec<_>, _>>()?;
    details::fill(tx, &mut runs).await?;
    Ok(runs)
}

/// A column to sort by: the alias of a joined table and the column in it, or a column of the run.
struct SortKey {
    join: Option<usize>,
    column: &'static str,
    nullable: bool,
    descending: bool,
}

impl SortKey {
    fn push<DB: Database>(&self, query: &mut QueryBuilder<DB>) {
        if let Some(join) = self.join {
            query.push("o").push(join).push(".");
        }
        query.push(self.column);
    }
}

fn compile<DB>(search: &Search<'_>) -> QueryBuilder<DB>
where
    DB: Database,
    String: for<'q> Encode<'q, DB> + Type<DB>,
    f64: for<'q> Encode<'q, DB> + Type<DB>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
{
    let mut query = QueryBuilder::new(concat!("-- run.search\nSELECT ", columns!(), "\nFROM runs r"));
    let keys = push_joins(&mut query, search.order);
    query.push("\nWHERE 1 = 1");
    if !search.experiments.is_empty() {
        query.push("\nAND r.experiment_id IN (");
        let mut list = query.separated(", ");
        for id in search.experiments {
            list.push_bind(id.as_str().to_owned());
        }
        query.push(")");
    }
    if let Some(filter) = search.filter {
        query.push("\nAND ");
        push_filter(&mut query, filter);
    }
    if let Some((values, id)) = search.after {
        query.push("\nAND ");
        push_after(&mut query, &keys, values, id);
    }
    query.push("\nORDER BY ");
    for key in &keys {
        key.push(&mut query);
        query.push(if key.descending { " DESC" } else { " ASC" });
        query.push(if key.nullable { " NULLS LAST, " } else { ", " });
    }
    query.push("r.id DESC\nLIMIT ").push_bind(search.limit);
    query
}

fn push_joins<DB>(query: &mut QueryBuilder<DB>, order: &[Order]) -> Vec<SortKey>
where
    DB: Database,
    String: for<'q> Encode<'q, DB> + Type<DB>,
{
    let mut keys = Vec::new();
    for (index, Order { field, descending }) in order.iter().enumerate() {
        let descending = *descending;
        let mut join = |table: &'static str, key: &str, columns: &[&'static str]| {
            query.push("\nLEFT JOIN ").push(table).push(" o").push(index);
            query.push(" ON o").push(index).push(".run_id = r.id AND o").push(index).push(".key = ");
            query.push_bind(key.to_owned());
            keys.extend(columns.iter().map(|column| SortKey { join: Some(index), column, nullable: true, descending }));
        };
        match field {
            Field::Metric(key) => join("run_series", key, &["value"]),
            Field::Param(key) => join("run_params", key, &["number", "value"]),
            Field::Tag(key) => join("run_tags", key, &["value"]),
            Field::Attribute(attribute) => keys.push(SortKey {
                join: None,
                column: attribute.column(),
                nullable: attribute.nullable(),
                descending,
            }),
        }
    }
    keys
}

/// Rows strictly after the given values: `a > x OR (a = x AND (b > y OR (b = y AND id < z)))`, with missing values last.
fn push_after<DB>(query: &mut QueryBuilder<DB>, keys: &[SortKey], values: &[SortValue], id: &str)
where
    DB: Database,
    String: for<'q> Encode<'q, DB> + Type<DB>,
    f64: for<'q> Encode<'q, DB> + Type<DB>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
{
    for (key, value) in keys.iter().zip(values) {
        query.push("(");
        let missing = matches!(value, SortValue::Number(None) | SortValue::Integer(None) | SortValue::Text(None));
        if missing {
            key.push(query);
            query.push(" IS NULL AND ");
            continue;
        }
        key.push(query);
        query.push(if key.descending { " < " } else { " > " });
        push_value(query, value);
        if key.nullable {
            query.push(" OR ");
            key.push(query);
            query.push(" IS NULL");
        }
        query.push(" OR ");
        key.push(query);
        query.push(" = ");
        push_value(query, value);
        query.push(" AND ");
    }
    query.push("r.id < ").push_bind(id.to_owned());
    for _ in keys.iter().zip(values) {
        query.push(")");
    }
}

fn push_value<DB>(query: &mut QueryBuilder<DB>, value: &SortValue)
where
    DB: Database,
    String: for<'q> Encode<'q, DB> + Type<DB>,
    f64: for<'q> Encode<'q, DB> + Type<DB>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
{
    match value {
        SortValue::Number(value) => query.push_bind(value.unwrap_or_default()),
        SortValue::Integer(value) => query.push_bind(value.unwrap_or_default()),
        SortValue::Text(value) => query.push_bind(value.clone().unwrap_or_default()),
    };
}

fn push_filter<DB>(query: &mut QueryBuilder<DB>, filter: &Filter)
where
    DB: Database,
    String: for<'q> Encode<'q, DB> + Type<DB>,
    f64: for<'q> Encode<'q, DB> + Type<DB>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
{
    match filter {
        Filter::And(parts) | Filter::Or(parts) => {
            let all = matches!(filter, Filter::And(_));
            query.push("(").push(if all { "1 = 1" } else { "1 = 0" });
            for part in parts {
                query.push(if all { " AND " } else { " OR " });
                push_filter(query, part);
            }
            query.push(")");
        }
        Filter::Not(inner) => {
            query.push("(NOT ");
            push_filter(query, inner);
            query.push(")");
        }
        Filter::Is(field, condition) => push_is(query, field, condition),
    }
}

/// A sub-select of the runs for which the condition holds is evaluated once; NULL never gets into it. `IS TRUE` keeps
/// PostgreSQL from turning it into a join, which without fresh statistics is one look into an index for each run.
fn push_is<DB>(query: &mut QueryBuilder<DB>, field: &Field, condition: &Condition)
where
    DB: Database,
    String: for<'q> Encode<'q, DB> + Type<DB>,
    f64: for<'q> Encode<'q, DB> + Type<DB>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
{
    let (table, key) = match field {
        Field::Metric(key) => ("run_series", key),
        Field::Param(key) => ("run_params", key),
        Field::Tag(key) => ("run_tags", key),
        Field::Attribute(Attribute::Experiment) => {
            query.push("(r.experiment_id IN (SELECT e.id FROM experiments e WHERE ");
            push_condition(query, "e.name", condition);
            query.push(")) IS TRUE");
            return;
        }
        Field::Attribute(attribute) => {
            let column = attribute.column();
            query.push("(").push(column);
            if *condition == Condition::Missing {
                query.push(" IS NULL)");
                return;
            }
            query.push(" IS NOT NULL AND ");
            push_condition(query, column, condition);
            query.push(")");
            return;
        }
    };
    let missing = *condition == Condition::Missing;
    query.push(if missing { "(r.id NOT IN (" } else { "(r.id IN (" });
    query.push("SELECT t.run_id FROM ").push(table).push(" t WHERE t.key = ").push_bind(key.clone());
    let numeric = matches!(
        condition,
        Condition::Number(..) | Condition::NumberBetween(..) | Condition::NumberIn(_) | Condition::Missing
    );
    match field {
        Field::Param(_) if missing => {}
        _ if missing => drop(query.push(" AND t.value IS NOT NULL")),
        Field::Param(_) if numeric => {
            query.push(" AND ");
            push_condition(query, "t.number", condition);
        }
        _ => {
            query.push(" AND ");
            push_condition(query, "t.value", condition);
        }
    }
    query.push(")) IS TRUE");
}

fn push_condition<DB>(query: &mut QueryBuilder<DB>, column: &'static str, condition: &Condition)
where
    DB: Database,
    String: for<'q> Encode<'q, DB> + Type<DB>,
    f64: for<'q> Encode<'q, DB> + Type<DB>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
{
    macro_rules! between {
        ($low:expr, $high:expr) => {
            query.push(column).push(" BETWEEN ").push_bind($low.clone()).push(" AND ").push_bind($high.clone())
        };
    }
    macro_rules! within {
        ($values:expr) => {{
            if $values.is_empty() {
                query.push("1 = 0");
                return;
            }
            query.push(column).push(" IN (");
            let mut list = query.separated(", ");
            for value in $values {
                list.push_bind(value.clone());
            }
            query.push(")")
        }};
    }
    match condition {
        Condition::Number(comparison, value) => query.push(column).push(comparison.sql()).push_bind(*value),
        Condition::Integer(comparison, value) => query.push(column).push(comparison.sql()).push_bind(*value),
        Condition::Text(comparison, value) => query.push(column).push(comparison.sql()).push_bind(value.clone()),
        Condition::NumberBetween(low, high) => between!(low, high),
        Condition::IntegerBetween(low, high) => between!(low, high),
        Condition::TextBetween(low, high) => between!(low, high),
        Condition::NumberIn(values) => within!(values),
        Condition::IntegerIn(values) => within!(values),
        Condition::TextIn(values) => within!(values),
        Condition::Like { pattern, ignore_case: false } => {
            query.push(column).push(" LIKE ").push_bind(pattern.clone()).push(" ESCAPE '\\'")
        }
        // Both databases fold ASCII letters only: PostgreSQL because of the columns' collation.
        Condition::Like { pattern, ignore_case: true } => query
            .push("LOWER(")
            .push(column)
            .push(") LIKE ")
            .push_bind(pattern.to_ascii_lowercase())
            .push(" ESCAPE '\\'"),
        Condition::Missing => query.push(column).push(" IS NULL"),
    };
}
