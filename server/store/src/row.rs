//! Short forms for running a statement, and decoding of columns that hold text with a form of its own.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tenor_domain::{Digest, State};

use crate::Error;

/// All rows of a statement as `$row`.
macro_rules! all {
    ($tx:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        $crate::on!($tx, connection => sqlx::query_as::<_, $row>($sql)$(.bind($arg))*.fetch_all(connection).await)
    };
}

/// The first row of a statement as `$row`, if there is one.
macro_rules! optional {
    ($tx:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        $crate::on!($tx, connection => sqlx::query_as::<_, $row>($sql)$(.bind($arg))*.fetch_optional(connection).await)
    };
}

/// The first column of the first row, if there is one.
macro_rules! scalar {
    ($tx:expr, $value:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        $crate::on!($tx, connection => sqlx::query_scalar::<_, $value>($sql)$(.bind($arg))*.fetch_optional(connection).await)
    };
}

/// Runs a statement; the number of rows that it changed.
macro_rules! execute {
    ($tx:expr, $sql:expr $(, $arg:expr)* $(,)?) => {
        $crate::on!($tx, connection => {
            sqlx::query($sql)$(.bind($arg))*.execute(connection).await.map(|done| done.rows_affected())
        })
    };
}

/// All rows of a statement about many ids, a slice of texts: `$1` is an array on PostgreSQL, a JSON array on SQLite.
macro_rules! by_ids {
    ($tx:expr, $row:ty, $pg:expr, $lite:expr, $ids:expr) => {
        match $tx {
            $crate::Tx::Pg(held) => sqlx::query_as::<_, $row>($pg).bind($ids).fetch_all(&mut **held).await?,
            $crate::Tx::Lite(held) => {
                sqlx::query_as::<_, $row>($lite).bind($crate::row::json(&$ids)?).fetch_all(&mut **held).await?
            }
        }
    };
}

/// Like [`by_ids`], for pairs of an id and a number, a slice of `(&str, i64)`: two arrays on PostgreSQL, one JSON array of
/// pairs on SQLite.
macro_rules! by_numbers {
    ($tx:expr, $row:ty, $pg:expr, $lite:expr, $pairs:expr) => {
        match $tx {
            $crate::Tx::Pg(held) => {
                let (ids, numbers): (Vec<&str>, Vec<i64>) = $pairs.iter().copied().unzip();
                sqlx::query_as::<_, $row>($pg).bind(ids).bind(numbers).fetch_all(&mut **held).await?
            }
            $crate::Tx::Lite(held) => {
                sqlx::query_as::<_, $row>($lite).bind($crate::row::json(&$pairs)?).fetch_all(&mut **held).await?
            }
        }
    };
}

pub(crate) use {all, by_ids, by_numbers, execute, optional, scalar};

/// A document as the text that is stored.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Config(format!("a value cannot be written as JSON: {error}")))
}

/// Where a column stands, for messages about what cannot be decoded.
pub(crate) struct Place<'a> {
    pub table: &'static str,
    pub id: &'a str,
}

impl Place<'_> {
    fn corrupt(&self, column: &'static str, detail: impl std::fmt::Display) -> Error {
        Error::corrupt(self.table, column, self.id, detail)
    }
    pub fn json<T: DeserializeOwned>(&self, column: &'static str, text: &str) -> Result<T, Error> {
        serde_json::from_str(text).map_err(|error| self.corrupt(column, error))
    }
    pub fn optional_json<T: DeserializeOwned>(
        &self,
        column: &'static str,
        text: Option<String>,
    ) -> Result<Option<T>, Error> {
        text.map(|text| self.json(column, &text)).transpose()
    }
    pub fn digest(&self, column: &'static str, text: &str) -> Result<Digest, Error> {
        Digest::parse(text).map_err(|error| self.corrupt(column, error))
    }
    pub fn state(&self, column: &'static str, text: &str) -> Result<State, Error> {
        State::parse(text).ok_or_else(|| self.corrupt(column, format_args!("unknown state `{text}`")))
    }
    pub fn parsed<T>(&self, column: &'static str, text: &str, parsed: Option<T>) -> Result<T, Error> {
        parsed.ok_or_else(|| self.corrupt(column, format_args!("unknown value `{text}`")))
    }
}

/// The first text after all names that begin with `prefix`, for a range over an index. Names are ASCII.
pub(crate) fn prefix_end(prefix: &str) -> String {
    format!("{prefix}\u{7f}")
}
