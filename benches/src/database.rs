//! Empty databases: both sides of a bench begin with one on the same PostgreSQL.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

#[derive(Debug, clap::Args)]
pub struct Database {
    /// A PostgreSQL database whose user may create others
    #[arg(long)]
    url: String,
    /// Of the new database; one of that name is dropped first
    #[arg(long)]
    name: String,
}

impl Database {
    pub async fn run(self) -> anyhow::Result<Value> {
        let Self { url, name } = self;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        ensure!(!name.is_empty() && name.bytes().all(plain), "--name must be of a-z, 0-9 and _, got `{name}`");
        let (server, _) = url.rsplit_once('/').context("--url names no database")?;
        // The driver's own message may repeat the password.
        let mut connection = PgConnection::connect(&url).await.ok().context("cannot connect to PostgreSQL")?;
        for statement in [format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), format!("CREATE DATABASE {name}")] {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
        }
        let mut settings = serde_json::Map::new();
        for setting in ["server_version", "fsync", "synchronous_commit", "full_page_writes"] {
            let value: String =
                sqlx::query_scalar("SELECT current_setting($1)").bind(setting).fetch_one(&mut connection).await?;
            settings.insert(setting.to_owned(), value.into());
        }
        connection.close().await?;
        Ok(json!({ "url": format!("{server}/{name}"), "settings": settings }))
    }
}
