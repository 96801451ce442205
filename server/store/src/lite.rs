//! Many rows in one statement on SQLite, which has no arrays.

use sqlx::query_builder::{QueryBuilder, Separated};
use sqlx::{Sqlite, SqliteConnection};

/// Rows a statement. Few sizes, so that the prepared statements are found again; a batch is cut greedily into them.
const SIZES: [usize; 4] = [256, 32, 4, 1];

/// Runs `head VALUES (..), (..) tail` for all rows. `head` and `tail` are constants of the caller.
pub(crate) async fn insert_rows<T>(
    connection: &mut SqliteConnection,
    head: &'static str,
    tail: &'static str,
    rows: &[T],
    bind: impl Fn(&mut Separated<'_, Sqlite, &'static str>, &T),
) -> Result<(), sqlx::Error> {
    let mut rest = rows;
    while !rest.is_empty() {
        let size = SIZES.into_iter().find(|size| *size <= rest.len()).unwrap_or(1);
        let (now, later) = rest.split_at(size);
        rest = later;
        let mut query = QueryBuilder::<Sqlite>::new(head);
        query.push_values(now, |mut row, value| bind(&mut row, value));
        query.push(tail);
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}
