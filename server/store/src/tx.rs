//! A connection in use, the macro that writes a statement once for both drivers, and the list of statements.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{Database, Postgres, Sqlite, Transaction};

use crate::Error;

/// A connection in use: a transaction ([`crate::Db::begin_write`]) or a plain connection ([`crate::Db::begin_read`]).
/// Dropping a transaction rolls it back.
#[derive(Debug)]
pub enum Tx {
    Pg(Held<Postgres>),
    Lite(Held<Sqlite>),
}

/// What a [`Tx`] holds; dereferences to the driver's connection.
#[derive(Debug)]
pub enum Held<DB: Database> {
    Transaction(Transaction<'static, DB>),
    Connection(PoolConnection<DB>),
}

impl<DB: Database> Deref for Held<DB> {
    type Target = DB::Connection;
    fn deref(&self) -> &DB::Connection {
        match self {
            Self::Transaction(transaction) => transaction,
            Self::Connection(connection) => connection,
        }
    }
}

impl<DB: Database> DerefMut for Held<DB> {
    fn deref_mut(&mut self) -> &mut DB::Connection {
        match self {
            Self::Transaction(transaction) => transaction,
            Self::Connection(connection) => connection,
        }
    }
}

impl<DB: Database> Held<DB> {
    async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Transaction(transaction) => transaction.commit().await,
            Self::Connection(_) => Ok(()),
        }
    }
    async fn rollback(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Transaction(transaction) => transaction.rollback().await,
            Self::Connection(_) => Ok(()),
        }
    }
}

crate::statements! {
    /// `clock_timestamp`, not `now`: the latter stands still within a transaction.
    Pg PG_NOW_MS = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
    /// All processes of a SQLite database are on one machine, so its clock is the machine's.
    Lite LITE_NOW_MS = "SELECT CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)";
}

impl Tx {
    pub async fn commit(self) -> Result<(), Error> {
        match self {
            Self::Pg(held) => held.commit().await?,
            Self::Lite(held) => held.commit().await?,
        }
        Ok(())
    }

    pub async fn rollback(self) -> Result<(), Error> {
        match self {
            Self::Pg(held) => held.rollback().await?,
            Self::Lite(held) => held.rollback().await?,
        }
        Ok(())
    }

    /// Milliseconds since 1970 by the clock of the database.
    pub async fn now_ms(&mut self) -> Result<i64, Error> {
        Ok(match self {
            Self::Pg(held) => sqlx::query_scalar(PG_NOW_MS).fetch_one(&mut **held).await?,
            Self::Lite(held) => sqlx::query_scalar(LITE_NOW_MS).fetch_one(&mut **held).await?,
        })
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self, Self::Pg(_))
    }
}

/// Runs one body against whichever driver `tx: &mut Tx` holds; `connection` is `&mut PgConnection` in one copy of the
/// body and `&mut SqliteConnection` in the other, so each is type-checked against its own driver.
///
/// ```
/// # use tenor_store::{Tx, Error, on};
/// async fn count(tx: &mut Tx) -> Result<i64, Error> {
///     let count: i64 = on!(tx, connection => {
///         sqlx::query_scalar("SELECT CAST(COUNT(*) AS BIGINT) FROM datasets WHERE name <> $1").bind("x").fetch_one(connection).await
///     })?;
///     Ok(count)
/// }
/// ```
#[macro_export]
macro_rules! on {
    ($tx:expr, $connection:ident => $body:expr) => {
        match $tx {
            $crate::Tx::Pg(held) => {
                let $connection = &mut **held;
                $body
            }
            $crate::Tx::Lite(held) => {
                let $connection = &mut **held;
                $body
            }
        }
    };
}

/// Which database a statement is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Both,
    Pg,
    Lite,
}

/// A statement by name, for the test that prepares each one on its databases.
#[derive(Debug, Clone, Copy)]
pub struct Statement {
    pub name: &'static str,
    pub dialect: Dialect,
    pub sql: &'static str,
}

/// Declares the constant statements of a module, and `STATEMENTS` with all of them.
///
/// ```
/// tenor_store::statements! {
///     /// Finds a dataset by name.
///     Both FIND = "-- find\nSELECT id FROM datasets WHERE name = $1";
///     Pg ONLY_THERE = "SELECT pg_backend_pid()";
/// }
/// assert_eq!(STATEMENTS.len(), 2);
/// # let _ = (FIND, ONLY_THERE);
/// ```
#[macro_export]
macro_rules! statements {
    ($($(#[$doc:meta])* $dialect:ident $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* const $name: &str = $sql;)*
        /// Every statement of this module.
        pub const STATEMENTS: &[$crate::Statement] = &[
            $($crate::Statement { name: stringify!($name), dialect: $crate::Dialect::$dialect, sql: $name },)*
        ];
    };
}
