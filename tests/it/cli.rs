//! The commands of the README, as a user types them.

use serde_json::Value;
use tenor_store::testing::databases;

use crate::support::*;

/// Runs a command that must succeed.
async fn ok(url: &str, args: &[&str]) -> Done {
    let (url, args) = (url.to_owned(), args.iter().map(ToString::to_string).collect::<Vec<_>>());
    let done = tokio::task::spawn_blocking(move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let done = tenor(&url, &args);
        assert_eq!(done.code, 0, "tenor {args:?}: {}{}", done.stdout, done.stderr);
        done
    });
    done.await.unwrap()
}

async fn fails(url: &str, args: &[&str]) -> Done {
    let (url, args) = (url.to_owned(), args.iter().map(ToString::to_string).collect::<Vec<_>>());
    let done = move || tenor(&url, &args.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(done).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_five_steps_work_by_hand_and_print_what_programs_can_read() {
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 1_200, 0.02);
    let file = file.to_str().unwrap();
    for database in databases().await {
        let server = Server::start(database, |_| {}).await;
        let url = server.url.as_str();
        let shown = ok(url, &["dataset", "import", file, "--dataset", "reviews"]).await;
        assert!(shown.stdout.contains("rows_quarantined") && shown.stdout.contains("RULE"), "{}", shown.stdout);
        let line = shown.stdout.lines().find(|line| line.starts_with("languages ")).unwrap_or_default();
        assert!(line.contains("eng ") && line.ends_with(" %"), "{}", shown.stdout);
        ok(url, &["dataset", "split", "reviews", "--task", "binary"]).await;
        let train = [
            "run",
            "train",
            "--dataset",
            "reviews",
            "--kind",
            "logreg",
            "--experiment",
            "first",
            "--register",
            "reviews",
            "--alias",
            "champion",
        ];
        let shown = ok(url, &train).await;
        assert!(shown.stdout.contains("macro_f1") && shown.stdout.contains("95 % INTERVAL"), "{}", shown.stdout);
        assert!(shown.stdout.contains("confusion") && shown.stdout.contains("MAJORITY BASELINE"), "{}", shown.stdout);
        let shown = ok(url, &["deployment", "create", "reviews", "--model", "reviews", "--alias", "champion"]).await;
        assert!(shown.stdout.lines().any(|line| line.starts_with("loaded_version") && line.ends_with(" 1")));
        for list in [&["run", "list"][..], &["model", "versions", "reviews"]] {
            let shown = ok(url, list).await.stdout;
            for column in ["TEST/MACRO_F1", "TEST/ACCURACY"] {
                let score: f64 = cell(&shown, column).parse().unwrap_or_else(|_| panic!("no number: {shown}"));
                assert!(score > 0.0 && score <= 1.0, "{shown}");
            }
        }
        let filter = r#"metrics."test/macro_f1" > 0 AND params.C > 0"#;
        let sorted = ["run", "list", "--filter", filter, "--order-by", r#"metrics."test/macro_f1" DESC, create_time"#];
        assert!(ok(url, &sorted).await.stdout.contains("succeeded"));
        let text = "I could not put it down";
        let shown = ok(url, &["predict", "reviews", "--explain", "5", text]).await;
        assert!(shown.stdout.contains(text) && shown.stdout.contains("why: logit of"), "{}", shown.stdout);

        // Data to stdout, the rest to stderr: every list and description is JSON when asked for.
        for command in [
            &["dataset", "list"][..],
            &["dataset", "describe", "reviews"],
            &["dataset", "versions", "reviews"],
            &["dataset", "splits", "reviews"],
            &["dataset", "preview", "reviews"],
            &["experiment", "list"],
            &["run", "list"],
            &["model", "list"],
            &["model", "versions", "reviews"],
            &["alias", "history", "reviews", "champion"],
            &["deployment", "list"],
            &["job", "list"],
            &["predict", "reviews", text],
        ] {
            let json: Vec<&str> = command.iter().copied().chain(["--output", "json"]).collect();
            let value: Value = serde_json::from_str(&ok(url, &json).await.stdout).unwrap();
            assert!(value.is_object() || value.as_array().is_some_and(|list| !list.is_empty()), "{command:?}");
            let lines: Vec<&str> = command.iter().copied().chain(["--output", "ndjson"]).collect();
            for line in ok(url, &lines).await.stdout.lines() {
                serde_json::from_str::<Value>(line).unwrap();
            }
        }
    }
}

/// What stands below `column`, which is wider than its cells, in the first row of a table.
fn cell<'a>(table: &'a str, column: &str) -> &'a str {
    let mut lines = table.lines();
    let at = lines.next().and_then(|header| header.find(column)).unwrap_or_else(|| panic!("no {column}: {table}"));
    let row = lines.next().unwrap_or_default();
    row.get(at..row.len().min(at + column.len())).unwrap_or_default().trim()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_shown_again_after_its_job_was_swept() {
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 600, 0.0);
    let file = file.to_str().unwrap();
    let (request, imported) = (tenor_domain::RunId::new(), tenor_domain::RunId::new());
    for database in databases().await {
        let server = Server::start(database, |_| {}).await;
        let commands = [
            &["dataset", "import", file, "--dataset", "reviews", "--request-id", imported.as_str()][..],
            &["dataset", "split", "reviews", "--task", "binary"],
            &["run", "train", "--dataset", "reviews", "--experiment", "e", "--request-id", request.as_str()],
        ];
        let mut ids = Vec::new();
        for round in 0..2 {
            for command in commands {
                let json: Vec<&str> = command.iter().copied().chain(["--output", "json"]).collect();
                let shown: Value = serde_json::from_str(&ok(&server.url, &json).await.stdout).unwrap();
                ids.push((round, shown["id"].clone()));
            }
            // What the sweeper does to jobs that ended long ago.
            tenor_store::testing::execute(server.platform().db(), "DELETE FROM jobs").await.unwrap();
        }
        let (first, again) = ids.split_at(commands.len());
        assert!(first.iter().zip(again).all(|(first, again)| first.1 == again.1), "{ids:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_has_its_exit_code_and_says_what_to_do() {
    let files = tempfile::tempdir().unwrap();
    let empty = files.path().join("empty.csv");
    std::fs::write(&empty, "").unwrap();
    let server = Server::start(databases().await.remove(0), |_| {}).await;
    let url = server.url.as_str();
    for (args, code, says) in [
        (&["dataset", "describe", "none"][..], tenor_cli::exit::NOT_FOUND, "`none` does not exist"),
        (&["predict", "none", "text"], tenor_cli::exit::NOT_FOUND, "no deployment `none`"),
        (&["dataset", "create", "No Name"], tenor_cli::exit::INVALID, "lowercase"),
        (&["dataset", "import", empty.to_str().unwrap(), "--dataset", "d"], tenor_cli::exit::FAILURE, "empty"),
        (&["dataset", "import", "/no/such/file", "--dataset", "d"], tenor_cli::exit::FAILURE, "/no/such/file"),
        (&["job", "describe", "99"], tenor_cli::exit::NOT_FOUND, "99"),
        (&["nonsense"], tenor_cli::exit::USAGE, "nonsense"),
    ] {
        let done = fails(url, args).await;
        assert_eq!(done.code, i32::from(code), "{args:?}: {}", done.stderr);
        assert!(done.stderr.contains(says) && done.stdout.is_empty(), "{args:?}: {}", done.stderr);
    }
    let done = fails("http://127.0.0.1:1", &["dataset", "list"]).await;
    assert_eq!(done.code, i32::from(tenor_cli::exit::UNAVAILABLE), "{}", done.stderr);
    assert!(done.stderr.contains("hint:"), "{}", done.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_long_steps_show_bars_and_end() {
    if std::process::Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: no `script`, which gives a command a terminal");
        return;
    }
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 3_000, 0.0);
    let server = Server::start(databases().await.remove(0), |_| {}).await;
    let command = format!(
        "{} --server {} dataset import {} --dataset reviews",
        binary("tenor").display(),
        server.url,
        file.display()
    );
    let done = tokio::task::spawn_blocking(move || {
        run(std::process::Command::new("timeout").args(["60", "script", "-qec", &command, "/dev/null"]))
    });
    let done = done.await.unwrap();
    assert_eq!(done.code, 0, "{}", done.stdout);
    for shown in ["upload", "import", "%", "rows_accepted"] {
        assert!(done.stdout.contains(shown), "{shown}: {}", done.stdout);
    }
}
