//! Real processes: several at once, killed, stopped, and refusing to start.

use std::process::Command;
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tenor_sdk::types::{JobState, State};
use tenor_sdk::{Kind, NewDeployment, NewImport, NewSplit, Target, TrainRun};
use tenor_store::testing::{databases, empty_databases};

use crate::support::*;

/// A dataset with a split to train on, made through `server`.
async fn split_of(server: &ServerProcess, file: &std::path::Path, task: &str) -> String {
    let split = server.split(file, task).await;
    let job = server.client.jobs().wait(split.job_id, Duration::from_secs(120)).await.unwrap();
    assert_eq!(job.state(), JobState::Succeeded, "{}", job.error);
    split.id
}

/// A training that takes seconds.
fn long_training(split: String) -> TrainRun {
    TrainRun::new("e", split, "logreg").param("tol", 1e-12).param("max_iter", 1_000_000).param("C", 1e4)
}

/// Returns once the job's attempt `attempt` computes.
async fn computes(server: &ServerProcess, job_id: i64, attempt: i32) {
    for _ in 0..600 {
        let job = server.client.jobs().get(job_id).await.unwrap();
        assert!(!tenor_sdk::is_final(job.state()), "{} {}", job.state().as_str_name(), job.error);
        if job.state() == JobState::Running && job.attempt >= attempt && job.progress > 0.05 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the job does not compute: {}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn four_servers_that_start_at_once_share_a_new_database() {
    for database in empty_databases().await {
        let folder = tempfile::tempdir().unwrap();
        let started = (0..4).map(|_| ServerProcess::start(folder.path(), &database.url, &[]));
        let servers = join_all(started).await;
        for (number, server) in servers.iter().enumerate() {
            server.client.datasets().create(format!("d{number}").as_str()).await.unwrap();
        }
        for server in &servers {
            server.client.datasets().get("d3").await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_servers_training_is_finished_by_another() {
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 6_000, 0.0);
    for database in databases().await {
        let folder = tempfile::tempdir().unwrap();
        let victim = ServerProcess::start(folder.path(), &database.url, &QUICK).await;
        let split = split_of(&victim, &file, "binary").await;
        let train = TrainRun::new("e", split, "logreg").param("tol", 1e-9).param("max_iter", 3_000).register("reviews");
        let run = victim.client.experiments().train(train.param("C", 1e3)).await.unwrap();
        computes(&victim, run.job_id, 1).await;
        victim.signal("-KILL");
        let other = ServerProcess::start(folder.path(), &database.url, &QUICK).await;
        let job = other.client.jobs().wait(run.job_id, Duration::from_secs(240)).await.unwrap();
        assert_eq!((job.state(), job.attempt), (JobState::Succeeded, 2), "{} {}", job.error, other.log());
        let run = other.client.experiments().run(run.id).await.unwrap();
        assert_eq!(run.state(), State::Succeeded);
        assert_eq!(other.client.models().version("reviews", "latest").await.unwrap().number, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_told_to_end_answers_what_runs_and_gives_its_job_back_uncounted() {
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 20_000, 0.0);
    let small = tempfile::tempdir().unwrap();
    let small_file = reviews(small.path(), 600, 0.0);
    for database in databases().await {
        let folder = tempfile::tempdir().unwrap();
        let quick: Vec<_> = QUICK.iter().copied().chain([("TENOR_WORKER__GRACE_MS", "100")]).collect();
        let mut server = ServerProcess::start(folder.path(), &database.url, &quick).await;
        let split = split_of(&server, &small_file, "binary").await;
        let train = TrainRun::new("e", split, "logreg").register("m").alias("champion");
        let run = server.client.experiments().train(train).await.unwrap();
        server.client.jobs().wait(run.job_id, Duration::from_secs(60)).await.unwrap();
        let new = NewDeployment::new("m", "m", Target::Alias("champion".into()));
        server.client.deployments().create(new).await.unwrap();
        server.client.deployments().wait_loaded("m", Duration::from_secs(20)).await.unwrap();

        let datasets = server.client.datasets();
        let upload = datasets.upload_file(&file, |_, _| {}).await.unwrap();
        let version = datasets.import(NewImport::new("large", upload.id)).await.unwrap();
        server.client.jobs().wait(version.job_id, Duration::from_secs(120)).await.unwrap();
        let split = datasets.create_split(NewSplit::new("large").options(&json!({ "task": "star" }))).await.unwrap();
        let run = server.client.experiments().train(long_training(split.id)).await.unwrap();
        computes(&server, run.job_id, 1).await;

        // Callers that were let in are answered; the others are told that nobody listens any more.
        let predictions = server.client.predictions();
        let load: Vec<_> = (0..4)
            .map(|_| {
                let predictions = predictions.clone();
                tokio::spawn(async move {
                    let mut answered = 0;
                    loop {
                        match predictions.predict("m", "a good book").await {
                            Ok(_) => answered += 1,
                            Err(error) if error.kind() == Kind::Unavailable => return answered,
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.signal("-TERM");
        assert!(server.ended().await.success(), "{}", server.log());
        for caller in load {
            assert!(caller.await.unwrap() > 0);
        }

        let mut next = ServerProcess::start(folder.path(), &database.url, &quick).await;
        computes(&next, run.job_id, 1).await;
        let job = next.client.jobs().get(run.job_id).await.unwrap();
        assert_eq!(job.attempt, 1, "the attempt that was cut short does not count");
        next.client.jobs().cancel(run.job_id).await.unwrap();
        let job = next.client.jobs().wait(run.job_id, Duration::from_secs(20)).await.unwrap();
        assert_eq!(job.state(), JobState::Cancelled);
        next.signal("-INT");
        assert!(next.ended().await.success(), "{}", next.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_a_server_whose_job_would_go_on_for_long() {
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 20_000, 0.0);
    let database = databases().await.remove(0);
    let folder = tempfile::tempdir().unwrap();
    let patient: Vec<_> = QUICK.iter().copied().chain([("TENOR_WORKER__GRACE_MS", "600000")]).collect();
    let mut server = ServerProcess::start(folder.path(), &database.url, &patient).await;
    let split = split_of(&server, &file, "star").await;
    let run = server.client.experiments().train(long_training(split)).await.unwrap();
    computes(&server, run.job_id, 1).await;
    server.signal("-TERM");
    while !server.log().contains("draining") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let begun = std::time::Instant::now();
    server.signal("-TERM");
    server.ended().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn api_and_worker_can_be_processes_of_their_own() {
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 600, 0.0);
    for database in databases().await {
        let folder = tempfile::tempdir().unwrap();
        let api = ServerProcess::start_role("api", folder.path(), &database.url, &QUICK).await;
        let datasets = api.client.datasets();
        let upload = datasets.upload_file(&file, |_, _| {}).await.unwrap();
        let version = datasets.import(NewImport::new("reviews", upload.id)).await.unwrap();
        let job = api.client.jobs().wait(version.job_id, Duration::from_millis(300)).await.unwrap();
        assert_eq!(job.state(), JobState::Ready, "nobody works yet");
        let worker = ServerProcess::start_role("worker", folder.path(), &database.url, &QUICK).await;
        let job = api.client.jobs().wait(version.job_id, Duration::from_secs(60)).await.unwrap();
        assert_eq!(job.state(), JobState::Succeeded, "{} {}", job.error, worker.log());
        assert_eq!(get(&worker.url, "/readyz").await.0, 200);
        assert_eq!(get(&worker.url, "/graphql").await.0, 404);
        // Counted after the end is recorded.
        while !get(&worker.url, "/metrics").await.1.contains("tenor_queue_attempts_total") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let error = worker.client.datasets().get("reviews").await.unwrap_err();
        assert!(matches!(error.kind(), Kind::Unimplemented | Kind::Internal), "{error:?}");
    }
}

#[test]
fn what_is_not_safe_or_cannot_work_ends_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let serve = |arguments: &[&str]| {
        let mut command = Command::new(binary("tenor-server"));
        command.arg("serve").arg("--data-dir").arg(folder.path()).args(arguments);
        run(&mut command)
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (arguments, code, says) in [
        (&["--listen", "0.0.0.0:0"][..], 2, "--insecure"),
        (&["--listen", "nowhere"], 2, "nowhere"),
        (&["--database", "mysql://localhost/x"], 1, "sqlite:///"),
        (&["--database", "postgres://u:secret@127.0.0.1:1/x"], 1, "postgres://u:***@127.0.0.1:1/x"),
        (&["--listen", &taken], 1, "cannot listen"),
        (&["--config", "/no/such/file.toml"], 2, "/no/such/file.toml"),
    ] {
        let done = serve(arguments);
        assert_eq!(done.code, code, "{arguments:?}: {}", done.stderr);
        assert!(done.stderr.contains("error:") && done.stderr.contains(says), "{arguments:?}: {}", done.stderr);
        assert!(!done.stderr.contains("secret") && !done.stderr.contains("panicked"), "{}", done.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_version_is_refused() {
    for database in databases().await {
        let folder = tempfile::tempdir().unwrap();
        // An empty checksum is one that both write alike.
        const INSERT: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
            VALUES (999999, 'from the future', TRUE, '', 0)";
        match database.db() {
            tenor_store::Db::Pg(pool) => sqlx::query(INSERT).execute(&pool).await.map(|_| ()),
            tenor_store::Db::Lite { write, .. } => sqlx::query(INSERT).execute(&write).await.map(|_| ()),
        }
        .unwrap();
        let mut command = Command::new(binary("tenor-server"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--database", &database.url, "--data-dir"])
            .arg(folder.path());
        let done = run(&mut command);
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert!(done.stderr.contains("at least as new"), "{}", done.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_and_two_threads_make_the_same_model_file() {
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 1_500, 0.01);
    let mut digests = Vec::new();
    for threads in ["1", "2"] {
        let database = databases().await.remove(0);
        let folder = tempfile::tempdir().unwrap();
        let server = ServerProcess::start(folder.path(), &database.url, &[("TENOR_WORKER__THREADS", threads)]).await;
        let split = split_of(&server, &file, "star").await;
        let train = TrainRun::new("e", split, "logreg").register("m");
        let run = server.client.experiments().train(train).await.unwrap();
        let job = server.client.jobs().wait(run.job_id, Duration::from_secs(120)).await.unwrap();
        let result: Value = serde_json::from_str(&job.result_json).unwrap();
        digests.push(result["model_digest"].as_str().unwrap().to_owned());
    }
    assert_eq!(digests[0], digests[1]);
}
