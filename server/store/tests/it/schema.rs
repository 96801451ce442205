//! Migrations, statements, and what connections promise.

use tenor_store::testing::{Column, check_statements, columns, databases, empty_databases};
use tenor_store::{Db, Error, Options};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_servers_may_start_at_once() {
    for test_db in empty_databases().await {
        let starts = (0..4).map(|_| {
            let url = test_db.url.clone();
            tokio::spawn(async move {
                let options = Options { max_connections: 2, ..Options::default() };
                let db = Db::connect(&url, &options).await?;
                db.migrate().await?;
                db.now_ms().await
            })
        });
        for start in futures::future::join_all(starts.collect::<Vec<_>>()).await {
            start.unwrap().unwrap_or_else(|error| panic!("{}: {error}", test_db.name));
        }
        test_db.migrate().await.unwrap();
        assert!(!columns(&test_db).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_database_of_a_newer_server_is_refused() {
    const NEWER: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                         VALUES (9000, 'from the future', TRUE, $1, 0)";
    for test_db in databases().await {
        let checksum = vec![0u8; 48];
        match &*test_db {
            Db::Pg(pool) => drop(sqlx::query(NEWER).bind(checksum).execute(pool).await.unwrap()),
            Db::Lite { write, .. } => drop(sqlx::query(NEWER).bind(checksum).execute(write).await.unwrap()),
        }
        let error = test_db.migrate().await.unwrap_err();
        assert!(matches!(error, Error::NewerSchema { found: 9000, .. }), "{error}");
        assert!(error.to_string().contains("start a server that is at least as new"), "{error}");
    }
}

#[tokio::test]
async fn both_databases_have_the_same_logical_schema() {
    let all = databases().await;
    let [lite, pg] = &all[..] else { return };
    let (lite, pg) = (columns(lite).await.unwrap(), columns(pg).await.unwrap());
    let only = |a: &[Column], b: &[Column]| a.iter().filter(|column| !b.contains(column)).cloned().collect::<Vec<_>>();
    assert_eq!((only(&lite, &pg), only(&pg, &lite)), (vec![], vec![]), "(only in SQLite, only in PostgreSQL)");
    assert!(lite.len() > 30);
}

#[tokio::test]
async fn every_statement_is_accepted_by_its_databases() {
    for test_db in databases().await {
        check_statements(&test_db, tenor_store::statements()).await;
    }
}

#[tokio::test]
async fn the_database_clock_is_close_to_ours() {
    for test_db in databases().await {
        let ours = tenor_domain::Clock::now(&tenor_domain::SystemClock).0;
        let theirs = test_db.now_ms().await.unwrap();
        assert!((ours - theirs).abs() < 5_000, "{}: {ours} {theirs}", test_db.name);
    }
}

#[tokio::test]
async fn a_dropped_transaction_changes_nothing_and_a_reader_cannot_write() {
    const INSERT: &str = "INSERT INTO uploads (id, file_name, received_bytes, created_at) VALUES ('u', 'f', 0, 0)";
    const COUNT: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM uploads";
    for test_db in databases().await {
        let mut tx = test_db.begin_write().await.unwrap();
        tenor_store::on!(&mut tx, connection => {
            sqlx::query(INSERT).execute(connection).await.unwrap();
        });
        drop(tx);
        let mut tx = test_db.begin_read().await.unwrap();
        let count: i64 =
            tenor_store::on!(&mut tx, connection => sqlx::query_scalar(COUNT).fetch_one(connection).await.unwrap());
        assert_eq!(count, 0);
        if let tenor_store::Tx::Lite(held) = &mut tx {
            assert!(sqlx::query(INSERT).execute(&mut **held).await.is_err());
        }
    }
}

#[tokio::test]
async fn a_wrong_database_url_is_refused_without_repeating_the_password() {
    for url in ["mysql://root:hunter2@h/d", "postgres://u:hunter2@h:port/d", "sqlite::memory:", "sqlite://", "hunter2"]
    {
        let error = Db::connect(url, &Options::default()).await.unwrap_err().to_string();
        assert!(!error.contains("hunter2") || url == "hunter2", "{error}");
    }
}
