//! The statements: each can be prepared, and the claim stays an index scan.

use sqlx::Row as _;
use tenor_store::Db;
use tenor_store::testing::{check_statements, databases};

use crate::sql;

#[tokio::test]
async fn every_statement_can_be_prepared() {
    for test_db in databases().await {
        check_statements(&test_db, sql::statements()).await;
    }
}

#[tokio::test]
async fn the_claim_stays_an_index_scan_on_a_large_analysed_table() {
    for test_db in databases().await {
        let Db::Pg(pool) = test_db.db() else { continue };
        sqlx::raw_sql(
            "INSERT INTO jobs (queue, kind, payload, state, priority, max_attempts, created_at, run_at)
             SELECT 'default', 'probe', '{}', CASE WHEN n % 5 = 0 THEN 'succeeded' ELSE 'ready' END, n % 3, 3, n, n
             FROM generate_series(1, 100000) AS n;
             ANALYZE jobs",
        )
        .execute(&pool)
        .await
        .unwrap();
        let mut connection = pool.acquire().await.unwrap();
        // The plan of a bound statement once the server stops planning for each value; the worst case.
        let explain = format!(
            "SET plan_cache_mode = force_generic_plan; PREPARE claim (TEXT, TEXT, BIGINT, TEXT, BIGINT) AS {}",
            sql::PG_CLAIM
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(explain)).execute(&mut *connection).await.unwrap();
        let rows = sqlx::raw_sql("EXPLAIN EXECUTE claim ('[\"probe\"]', 'default', 10, 'w', 1000)")
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        let plan = rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n");
        assert!(plan.contains("Index Scan using jobs_ready on jobs"), "{plan}");
        assert!(plan.contains("jobs_pkey"), "{plan}");
        assert!(!plan.contains("Seq Scan on jobs"), "{plan}");
        // No sort of all ready jobs either: the one sort is that of the claimed rows.
        assert_eq!(plan.matches("Sort Key").count(), 1, "{plan}");
    }
}
