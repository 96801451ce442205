//! The logical schema as each database reports it, for the test that compares them.

use crate::{Db, Error};

/// A column, without what differs by nature between the databases.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Column {
    pub table: String,
    pub name: String,
    pub nullable: bool,
    /// `int`, `float`, `text`, `bool` or `bytes`; anything else is shown as the database says it.
    pub class: String,
}

const PG: &str = "\
SELECT table_name, column_name, is_nullable = 'YES', data_type
FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name <> '_sqlx_migrations'";

// A column of the primary key is reported as nullable; `pk` tells it.
const LITE: &str = "\
SELECT t.name, c.name, c.\"notnull\" = 0 AND c.pk = 0, c.type
FROM sqlite_master t, pragma_table_info(t.name) c
WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name <> '_sqlx_migrations'";

/// All columns of all tables, sorted.
pub async fn columns(db: &Db) -> Result<Vec<Column>, Error> {
    let rows: Vec<(String, String, bool, String)> = match db {
        Db::Pg(pool) => sqlx::query_as(PG).fetch_all(pool).await?,
        Db::Lite { read, .. } => sqlx::query_as(LITE).fetch_all(read).await?,
    };
    let mut columns: Vec<Column> = rows
        .into_iter()
        .map(|(table, name, nullable, kind)| Column { table, name, nullable, class: class(&kind) })
        .collect();
    columns.sort();
    Ok(columns)
}

fn class(kind: &str) -> String {
    let class = match kind.to_ascii_lowercase().as_str() {
        "bigint" | "integer" | "int" | "smallint" => "int",
        "double precision" | "real" => "float",
        "text" | "character varying" => "text",
        "boolean" => "bool",
        "bytea" | "blob" => "bytes",
        other => return other.to_owned(),
    };
    class.to_owned()
}
