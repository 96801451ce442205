use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tenor_sdk::types::{DatasetVersion, Deployment, Job, JobState, Run, Split, State};
use tenor_sdk::{Client, NewDeployment, NewImport, NewSplit, Target, TrainRun};
use tenor_server::{Config, Role, Running};
use tenor_store::testing::{TestDb, databases};
use tokio_util::sync::CancellationToken;

/// A server in process, on a free port, with a database and a folder of its own.
pub struct Server {
    pub client: Client,
    pub url: String,
    pub folder: TempDir,
    running: Option<Running>,
    shutdown: CancellationToken,
    _keep: TestDb,
}

/// A server over each database.
pub async fn servers() -> Vec<Server> {
    let mut all = Vec::new();
    for database in databases().await {
        all.push(Server::start(database, |_| {}).await);
    }
    all
}

/// The configuration of a test: a free port, and times short enough to wait for.
pub fn config(database_url: &str, folder: &std::path::Path) -> Config {
    let mut config = Config::default();
    config.server.listen.set_port(0);
    config.storage.data_dir = folder.to_owned();
    config.storage.database = database_url.to_owned();
    config.serving.refresh_ms = 50;
    config.queue.sqlite_poll_ms = 20;
    config.queue.flush_ms = 20;
    config
}

impl Server {
    pub async fn start(database: TestDb, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(&database.url, folder.path());
        change(&mut config);
        let shutdown = CancellationToken::new();
        let running = tenor_server::start(config, Role::All, shutdown.clone()).await.unwrap();
        let url = format!("http://{}", running.address());
        let client = Client::connect(&url).unwrap();
        Self { client, url, folder, running: Some(running), shutdown, _keep: database }
    }

    /// The use cases behind the API.
    pub fn platform(&self) -> &tenor_platform::Platform {
        self.running.as_ref().expect("the server runs until `stop`").platform()
    }

    /// Where the operator's pages are.
    pub fn operations_url(&self) -> String {
        let running = self.running.as_ref().expect("the server runs until `stop`");
        format!("http://{}", running.operations_address())
    }

    /// Drains the server and waits for its end.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        self.running.take().expect("stopped once").finished().await.unwrap();
    }

    /// Waits for the end of a job, which must be a success.
    #[track_caller]
    pub fn succeeded(&self, job_id: i64) -> impl Future<Output = Job> {
        let (client, caller) = (self.client.clone(), std::panic::Location::caller());
        async move {
            let job = client.jobs().wait(job_id, Duration::from_secs(300)).await.unwrap();
            assert_eq!(job.state(), JobState::Succeeded, "{caller}: {} {}", job.kind, job.error);
            job
        }
    }

    /// Uploads and imports a file; the import must succeed.
    pub async fn import(&self, dataset: &str, path: &std::path::Path, options: &Value) -> DatasetVersion {
        let upload = self.client.datasets().upload_file(path, |_, _| {}).await.unwrap();
        let import = NewImport::new(dataset, upload.id).options(options);
        let version = self.client.datasets().import(import).await.unwrap();
        self.succeeded(version.job_id).await;
        self.client.datasets().version(dataset, version.number).await.unwrap()
    }

    pub async fn split(&self, dataset: &str, options: &Value) -> Split {
        let split = self.client.datasets().create_split(NewSplit::new(dataset).options(options)).await.unwrap();
        self.succeeded(split.job_id).await;
        self.client.datasets().split(split.id).await.unwrap()
    }

    /// Trains; the run must succeed.
    pub async fn train(&self, train: TrainRun) -> Run {
        let run = self.client.experiments().train(train).await.unwrap();
        self.succeeded(run.job_id).await;
        let run = self.client.experiments().run(run.id).await.unwrap();
        assert_eq!(run.state(), State::Succeeded, "{}", run.error);
        run
    }

    /// From a file to version 1 of model `reviews` behind deployment `reviews`.
    pub async fn serve_reviews(&self, path: &std::path::Path, task: &str) -> (Run, Deployment) {
        self.import("reviews", path, &Value::Null).await;
        let split = self.split("reviews", &json!({ "task": task })).await;
        let train = TrainRun::new("it", split.id, "logreg").seed(42).register("reviews").alias("champion");
        let run = self.train(train).await;
        let new = NewDeployment::new("reviews", "reviews", Target::Alias("champion".into()));
        self.client.deployments().create(new).await.unwrap();
        (run, self.loaded("reviews").await)
    }

    /// The deployment once this server serves what it means.
    pub async fn loaded(&self, deployment: &str) -> Deployment {
        let found = self.client.deployments().wait_loaded(deployment, Duration::from_secs(30)).await.unwrap();
        assert_eq!(found.loaded_version, found.current_version, "{}", found.load_error);
        found
    }
}

/// The metrics of a run that do not measure time.
pub fn quality(run: &Run) -> Vec<(String, u64)> {
    let mut metrics: Vec<_> = run
        .metrics
        .iter()
        .filter(|(key, _)| !key.ends_with("seconds"))
        .map(|(key, value)| (key.clone(), value.to_bits()))
        .collect();
    metrics.sort_unstable();
    metrics
}
