use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tenor_sdk::types::Split;
use tenor_sdk::{Client, NewImport, NewSplit};

/// A binary of this workspace, beside the test binary.
pub fn binary(name: &str) -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let path = deps.parent().and_then(Path::parent).unwrap().join(name);
    assert!(path.exists(), "{} is missing; `make test` builds it", path.display());
    path
}

/// Settings with which the work of a killed process is taken over soon.
pub const QUICK: [(&str, &str); 3] =
    [("TENOR_QUEUE__LEASE_MS", "1500"), ("TENOR_QUEUE__HEARTBEAT_MS", "300"), ("TENOR_QUEUE__SQLITE_POLL_MS", "20")];

/// A server as a process of its own. Killed when dropped.
pub struct ServerProcess {
    pub url: String,
    pub client: Client,
    child: Child,
    log: PathBuf,
}

impl ServerProcess {
    /// Starts `tenor-server serve` and waits until it answers. `variables` are settings.
    pub async fn start(folder: &Path, database_url: &str, variables: &[(&str, &str)]) -> Self {
        Self::start_role("all", folder, database_url, variables).await
    }

    pub async fn start_role(role: &str, folder: &Path, database_url: &str, variables: &[(&str, &str)]) -> Self {
        let name = format!("server-{}", tenor_domain::RunId::new());
        let (address, log) = (folder.join(format!("{name}.address")), folder.join(format!("{name}.log")));
        let mut child = Command::new(binary("tenor-server"))
            .args(["serve", "--role", role, "--listen", "127.0.0.1:0", "--database", database_url, "--address-file"])
            .arg(&address)
            .arg("--data-dir")
            .arg(folder)
            .env("TENOR_SERVING__REFRESH_MS", "50")
            .env("TENOR_QUEUE__FLUSH_MS", "20")
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while !address.exists() {
            let ended = child.try_wait().unwrap();
            let text = || std::fs::read_to_string(&log).unwrap();
            assert!(ended.is_none(), "the server ended: {}", text());
            assert!(begun.elapsed() < Duration::from_secs(60), "the server did not start: {}", text());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let url = format!("http://{}", std::fs::read_to_string(&address).unwrap());
        let client = Client::connect(&url).unwrap();
        Self { url, client, child, log }
    }

    /// Begins an import of the file and a split for `task`, which waits for it.
    pub async fn split(&self, file: &Path, task: &str) -> Split {
        let datasets = self.client.datasets();
        let upload = datasets.upload_file(file, |_, _| {}).await.unwrap();
        datasets.import(NewImport::new("reviews", upload.id)).await.unwrap();
        datasets.create_split(NewSplit::new("reviews").options(&json!({ "task": task }))).await.unwrap()
    }

    pub fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// Waits for the end of the process.
    pub async fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "the server goes on: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What it wrote to stderr so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Exit code, stdout and stderr of a command.
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `tenor` against a server.
pub fn tenor(url: &str, args: &[&str]) -> Done {
    run(Command::new(binary("tenor")).args(["--server", url]).args(args))
}

pub fn run(command: &mut Command) -> Done {
    let done = command.stdin(Stdio::null()).output().unwrap();
    Done {
        code: done.status.code().unwrap_or(-1),
        stdout: String::from_utf8(done.stdout).unwrap(),
        stderr: String::from_utf8(done.stderr).unwrap(),
    }
}
