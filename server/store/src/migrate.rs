//! Bringing the schema up to date: embedded migrations, one at a time, by one server at a time.

use std::fs::File;

use sqlx::migrate::{MigrateError, Migrator};

use crate::{Db, Error};

static POSTGRES: Migrator = sqlx::migrate!("../../migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// The newest schema version that this server knows.
pub fn known_version() -> i64 {
    POSTGRES.iter().map(|migration| migration.version).max().unwrap_or(0)
}

impl Db {
    /// Applies the migrations that are missing. Servers that start together wait for one another: PostgreSQL has an
    /// advisory lock for it, SQLite has none, so there a lock file beside the database does the same.
    pub async fn migrate(&self) -> Result<(), Error> {
        match self {
            Self::Pg(pool) => POSTGRES.run(pool).await.map_err(explain),
            Self::Lite { write, .. } => {
                let _lock = lite_lock(self.lite_file().await?).await?;
                SQLITE.run(write).await.map_err(explain)
            }
        }
    }

    async fn lite_file(&self) -> Result<String, Error> {
        match self {
            Self::Pg(_) => Ok(String::new()),
            Self::Lite { write, .. } => {
                Ok(sqlx::query_scalar("SELECT file FROM pragma_database_list WHERE name = 'main'")
                    .fetch_one(write)
                    .await?)
            }
        }
    }
}

/// Holds `<database>.migrate.lock` until dropped. The operating system releases it when the process dies.
async fn lite_lock(database: String) -> Result<File, Error> {
    let joined = tokio::task::spawn_blocking(move || {
        let file = File::options().create(true).truncate(false).write(true).open(format!("{database}.migrate.lock"))?;
        file.lock()?;
        Ok::<_, std::io::Error>(file)
    })
    .await;
    match joined {
        Ok(file) => Ok(file?),
        Err(error) => Err(Error::Migrate(error.to_string())),
    }
}

fn explain(error: MigrateError) -> Error {
    match error {
        MigrateError::VersionMissing(found) => Error::NewerSchema { found, known: known_version() },
        MigrateError::VersionMismatch(version) => Error::Migrate(format!(
            "migration {version} was changed after it had been applied to this database; restore the original file"
        )),
        MigrateError::Execute(error) => error.into(),
        other => Error::Migrate(other.to_string()),
    }
}
