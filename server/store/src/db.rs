//! The database: one enum, two drivers, and the rules of how connections are opened.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};

use crate::Error;
use crate::tx::{Held, Tx};

/// How to connect.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections to PostgreSQL, or reading connections to SQLite (which has one more, for writing).
    pub max_connections: u32,
    /// How long a caller waits for a free connection before it gets [`Error::Unavailable`].
    pub acquire_timeout: Duration,
    /// Shown in `pg_stat_activity`.
    pub application_name: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_connections: 16,
            acquire_timeout: Duration::from_secs(10),
            application_name: "tenor-server".to_owned(),
        }
    }
}

/// The database behind everything: PostgreSQL, or SQLite on this machine. Cloning is cheap.
#[derive(Debug, Clone)]
pub enum Db {
    Pg(PgPool),
    /// `write` holds one connection: SQLite has one writer, and waiting for it in the pool is fair and cheap, while
    /// waiting for it in `busy_timeout` is neither. `read` refuses to write.
    Lite {
        read: SqlitePool,
        write: SqlitePool,
    },
}

impl Db {
    /// Connects to `sqlite:///folder/file.db` (created when missing) or `postgres://user@host/database`.
    pub async fn connect(url: &str, options: &Options) -> Result<Self, Error> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Self::connect_pg(url, options).await
        } else if url.starts_with("sqlite:") {
            Self::connect_lite(url, options).await
        } else {
            let scheme = url.split(':').next().unwrap_or_default();
            Err(Error::Config(format!(
                "database URL must begin with `sqlite:///` or `postgres://`, got scheme `{}`",
                scheme.chars().take(20).collect::<String>()
            )))
        }
    }

    async fn connect_pg(url: &str, options: &Options) -> Result<Self, Error> {
        // The driver's message may repeat the URL, password included, so it is not passed on.
        let connect = PgConnectOptions::from_str(url)
            .map_err(|_| {
                Error::Config(
                    "database URL is not a valid `postgres://user:password@host:port/database` address".to_owned(),
                )
            })?
            .application_name(&options.application_name)
            .statement_cache_capacity(256)
            // A client that dies in a transaction must not hold its locks for ever.
            .options([("idle_in_transaction_session_timeout", "60000"), ("lock_timeout", "30000")]);
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.acquire_timeout)
            // A ping before every use would double the round trips of a short request; ping what was idle for a while.
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > Duration::from_secs(5) {
                        sqlx::Connection::ping(connection).await?;
                    }
                    Ok(true)
                })
            })
            .connect_with(connect)
            .await?;
        Ok(Self::Pg(pool))
    }

    async fn connect_lite(url: &str, options: &Options) -> Result<Self, Error> {
        let path = sqlite_path(url)?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let connect = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What was acknowledged survives a power cut, as on PostgreSQL.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .foreign_keys(true)
            // LIKE means the same on both databases.
            .pragma("case_sensitive_like", "ON")
            .statement_cache_capacity(256);
        // The writer first: it creates the file and switches it to WAL, which a read-only connection cannot.
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(options.acquire_timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(connect.clone())
            .await?;
        let read = SqlitePoolOptions::new()
            .max_connections(options.max_connections.clamp(1, 64))
            .acquire_timeout(options.acquire_timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(connect.pragma("query_only", "ON"))
            .await?;
        Ok(Self::Lite { read, write })
    }

    /// A connection for reading, outside of any transaction. [`Tx::commit`] on it does nothing.
    pub async fn begin_read(&self) -> Result<Tx, Error> {
        Ok(match self {
            Self::Pg(pool) => Tx::Pg(Held::Connection(pool.acquire().await?)),
            Self::Lite { read, .. } => Tx::Lite(Held::Connection(read.acquire().await?)),
        })
    }

    /// A transaction that writes. On SQLite it takes the write lock at once: a transaction that began by reading and
    /// writes later would be refused without waiting.
    pub async fn begin_write(&self) -> Result<Tx, Error> {
        Ok(match self {
            Self::Pg(pool) => Tx::Pg(Held::Transaction(pool.begin().await?)),
            Self::Lite { write, .. } => Tx::Lite(Held::Transaction(write.begin_with("BEGIN IMMEDIATE").await?)),
        })
    }

    /// Milliseconds since 1970 by the clock of the database, which all servers and workers share.
    pub async fn now_ms(&self) -> Result<i64, Error> {
        self.begin_read().await?.now_ms().await
    }

    /// Whether this is PostgreSQL, which several machines may share.
    pub fn is_postgres(&self) -> bool {
        matches!(self, Self::Pg(_))
    }

    /// Closes every connection and waits for it.
    pub async fn close(&self) {
        match self {
            Self::Pg(pool) => pool.close().await,
            Self::Lite { read, write } => {
                read.close().await;
                write.close().await;
            }
        }
    }

    /// One round trip, for readiness checks.
    pub async fn ping(&self) -> Result<(), Error> {
        self.now_ms().await.map(|_| ())
    }
}

/// The file that a `sqlite:` URL means.
fn sqlite_path(url: &str) -> Result<PathBuf, Error> {
    let rest = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(url);
    let rest = rest.split('?').next().unwrap_or_default();
    if rest.is_empty() || rest.contains(":memory:") {
        return Err(Error::Config(
            "SQLite needs a file, because reading and writing use separate connections; \
             give a URL like `sqlite:///var/lib/tenor/tenor.db`"
                .to_owned(),
        ));
    }
    Ok(PathBuf::from(rest))
}
