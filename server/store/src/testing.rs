//! Databases for tests: SQLite always, PostgreSQL when it is found. Not for production code.

mod cluster;
mod schema;

use std::ops::Deref;

use sqlx::Executor as _;
use sqlx::SqlSafeStr as _;
use tempfile::TempDir;

use crate::{Db, Dialect, Error, Options, Statement};
pub use schema::{Column, columns};

/// A migrated database of its own for one test. It goes away when dropped.
#[derive(Debug)]
pub struct TestDb {
    db: Db,
    /// `sqlite` or `postgres`, for messages.
    pub name: &'static str,
    /// For tests that start other processes on the same database.
    pub url: String,
    keep: Keep,
}

#[derive(Debug)]
enum Keep {
    #[expect(dead_code, reason = "held for its Drop")]
    Folder(TempDir),
    /// `database` on a server that outlives this process.
    Database { admin_url: String, database: String },
    /// The throw-away cluster of this process removes everything at once.
    Cluster,
}

impl Deref for TestDb {
    type Target = Db;
    fn deref(&self) -> &Db {
        &self.db
    }
}

impl TestDb {
    /// The database, for whoever keeps it.
    pub fn db(&self) -> Db {
        self.db.clone()
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let Keep::Database { admin_url, database } = &self.keep else { return };
        let (admin_url, database) = (admin_url.clone(), database.clone());
        // Drop cannot await, and the test's own runtime may be shutting down.
        let dropper = std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(async {
                if let Ok(pool) = sqlx::PgPool::connect(&admin_url).await {
                    let sql = sqlx::AssertSqlSafe(format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"));
                    let _ = sqlx::raw_sql(sql).execute(&pool).await;
                }
            });
        });
        let _ = dropper.join();
    }
}

/// The databases to run a test on, migrated and empty. PostgreSQL is left out, with a line on stderr, when it is not
/// found; with `TENOR_REQUIRE_PG=1` that is a failure.
pub async fn databases() -> Vec<TestDb> {
    let mut all = Vec::new();
    for test_db in empty_databases().await {
        test_db.migrate().await.unwrap_or_else(|error| panic!("cannot migrate {}: {error}", test_db.name));
        all.push(test_db);
    }
    all
}

/// Like [`databases`], but without any table.
pub async fn empty_databases() -> Vec<TestDb> {
    let mut all = vec![sqlite().await.unwrap_or_else(|error| panic!("cannot make a SQLite database: {error}"))];
    match tokio::task::spawn_blocking(cluster::find).await {
        Ok(Ok(server)) => match postgres(&server.admin_url, server.outlives_us).await {
            Ok(test_db) => all.push(test_db),
            Err(error) => panic!("cannot make a PostgreSQL database: {error}"),
        },
        Ok(Err(missing)) if std::env::var("TENOR_REQUIRE_PG").is_ok_and(|value| value == "1") => {
            panic!("TENOR_REQUIRE_PG=1, but {missing}")
        }
        Ok(Err(missing)) => eprintln!("tested on SQLite only: {missing}"),
        Err(error) => panic!("{error}"),
    }
    all
}

async fn sqlite() -> Result<TestDb, Error> {
    let folder = tempfile::Builder::new().prefix("tenor-test-").tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("tenor.db").display());
    let db = Db::connect(&url, &Options { max_connections: 8, ..Options::default() }).await?;
    Ok(TestDb { db, name: "sqlite", url, keep: Keep::Folder(folder) })
}

async fn postgres(admin_url: &str, outlives_us: bool) -> Result<TestDb, Error> {
    let database = format!("t_{}", tenor_domain::RunId::new().as_str().replace('-', ""));
    let admin = sqlx::PgPool::connect(admin_url).await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {database}"))).execute(&admin).await?;
    admin.close().await;
    let url = cluster::with_database(admin_url, &database);
    let options =
        Options { max_connections: 12, acquire_timeout: std::time::Duration::from_secs(60), ..Options::default() };
    let db = Db::connect(&url, &options).await?;
    let keep = if outlives_us { Keep::Database { admin_url: admin_url.to_owned(), database } } else { Keep::Cluster };
    Ok(TestDb { db, name: "postgres", url, keep })
}

/// Runs SQL that no use case would, to break rows; how many it changed.
pub async fn execute(db: &Db, sql: &str) -> Result<u64, Error> {
    let sql = sqlx::AssertSqlSafe(sql);
    Ok(match db {
        Db::Pg(pool) => sqlx::raw_sql(sql).execute(pool).await?.rows_affected(),
        Db::Lite { write, .. } => sqlx::raw_sql(sql).execute(write).await?.rows_affected(),
    })
}

/// Returns when `count` connections to this database wait for a lock. SQLite has one writer, so nobody waits for rows there.
pub async fn lock_waiters(db: &Db, count: i64) -> Result<(), Error> {
    let Db::Pg(pool) = db else { return Ok(()) };
    let waiting =
        "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(pool).await? < count {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Prepares every statement on the databases it is written for; panics with the names of those that are refused.
/// PostgreSQL checks types, SQLite names.
pub async fn check_statements(db: &Db, statements: impl IntoIterator<Item = Statement>) {
    let mut refused = Vec::new();
    let mut checked = 0;
    for statement in statements {
        let sql = statement.sql.into_sql_str();
        let outcome = match (db, statement.dialect) {
            (Db::Pg(pool), Dialect::Both | Dialect::Pg) => pool.prepare(sql).await.map(|_| ()),
            (Db::Lite { write, .. }, Dialect::Both | Dialect::Lite) => write.prepare(sql).await.map(|_| ()),
            _ => continue,
        };
        checked += 1;
        if let Err(error) = outcome {
            refused.push(format!("{}: {error}", statement.name));
        }
    }
    assert!(checked > 0, "no statement was checked");
    assert!(refused.is_empty(), "statements refused:\n{}", refused.join("\n"));
}
