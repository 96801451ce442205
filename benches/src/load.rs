//! A closed loop of predictions over HTTP/2 from one thread: each connection sends its next call when the last one is
//! answered, and all walk through the same texts.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use tenor_benches::measure::{Percentiles, cpu_seconds};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use crate::requests::{self, Calls};

#[derive(Debug, clap::Args)]
pub struct Load {
    /// host:port of a server without TLS
    #[arg(long)]
    address: String,
    #[arg(long)]
    deployment: String,
    /// JSON lines with `reviewText`
    #[arg(long)]
    bodies: PathBuf,
    /// Connections, each with one call at a time
    #[arg(long, default_value_t = 1)]
    concurrency: usize,
    /// Texts a call
    #[arg(long, default_value_t = 1)]
    batch: usize,
    #[arg(long, default_value_t = 6.0)]
    seconds: f64,
    /// Process whose processor time is counted
    #[arg(long)]
    server_pid: Option<u32>,
}

/// What the connections share.
struct Shared {
    calls: Calls,
    request: Request<()>,
    next: Cell<usize>,
    label: Cell<Option<String>>,
}

/// What one connection saw.
#[derive(Default)]
struct Seen {
    latencies_ms: Vec<f64>,
    errors: usize,
    first_error: Option<String>,
}

impl Load {
    pub async fn run(self) -> anyhow::Result<Value> {
        ensure!(self.concurrency > 0, "--concurrency must be at least 1");
        let calls = requests::calls(&self.deployment, &requests::texts(&self.bodies)?, self.batch)?;
        let request = Request::post(format!("http://{}{}", self.address, calls.path))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
        let shared = Rc::new(Shared { calls, request, next: Cell::new(0), label: Cell::new(None) });
        LocalSet::new().run_until(self.measure(shared)).await
    }

    async fn measure(&self, shared: Rc<Shared>) -> anyhow::Result<Value> {
        let mut connections = Vec::with_capacity(self.concurrency);
        for _ in 0..self.concurrency {
            connections.push(connect(&self.address).await?);
        }
        let server_cpu = || self.server_pid.map(cpu_seconds).transpose().context("the server's processor time");
        let (server_before, client_before) = (server_cpu()?, cpu_seconds(std::process::id())?);
        let began = Instant::now();
        let until = began + Duration::from_secs_f64(self.seconds);
        let mut clients = JoinSet::new();
        for connection in connections {
            clients.spawn_local(closed_loop(connection, Rc::clone(&shared), until));
        }
        let mut all = Seen::default();
        while let Some(seen) = clients.join_next().await {
            let seen = seen??;
            all.latencies_ms.extend(seen.latencies_ms);
            all.errors += seen.errors;
            all.first_error = all.first_error.or(seen.first_error);
        }
        let took = began.elapsed().as_secs_f64();
        let (server_after, client_after) = (server_cpu()?, cpu_seconds(std::process::id())?);
        if let Some(error) = &all.first_error {
            eprintln!("{} calls failed, the first with: {error}", all.errors);
        }
        let requests = all.latencies_ms.len();
        ensure!(requests > 0, "no call succeeded: {}", all.first_error.unwrap_or_default());
        let us_a_request = |cpu: f64| cpu * 1e6 / requests as f64;
        let latency = Percentiles::of(all.latencies_ms);
        Ok(json!({
            "batch": self.batch,
            "concurrency": self.concurrency,
            "requests": requests,
            "rps": requests as f64 / took,
            "rows_s": (requests * self.batch) as f64 / took,
            "p50_ms": latency.p50,
            "p99_ms": latency.p99,
            "errors": all.errors,
            "server_cpu_us_per_request": server_after.zip(server_before).map(|(after, before)| us_a_request(after - before)),
            "client_cpu_us_per_request": us_a_request(client_after - client_before),
            "label": shared.label.take(),
        }))
    }
}

async fn connect(address: &str) -> anyhow::Result<SendRequest<Bytes>> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("no connection to {address}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = h2::client::Builder::new()
        .initial_window_size(4 << 20)
        .initial_connection_window_size(4 << 20)
        .handshake(stream)
        .await?;
    // It ends with the last sender; what goes wrong before is told to the calls.
    tokio::task::spawn_local(async move { connection.await.ok() });
    Ok(sender)
}

/// Calls until the time is over. A refused call is counted, a broken connection ends the measurement.
async fn closed_loop(mut sender: SendRequest<Bytes>, shared: Rc<Shared>, until: Instant) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    let mut answer = Vec::new();
    let mut unread = true;
    while Instant::now() < until {
        let at = shared.next.get();
        shared.next.set((at + 1) % shared.calls.messages.len());
        let began = Instant::now();
        sender = sender.ready().await.context("the connection broke")?;
        match call(&mut sender, &shared, at, &mut answer).await {
            Ok(()) => seen.latencies_ms.push(began.elapsed().as_secs_f64() * 1e3),
            Err(error) => {
                seen.errors += 1;
                seen.first_error.get_or_insert_with(|| format!("{error:#}"));
                continue;
            }
        }
        if unread {
            shared.label.set(Some(shared.calls.check(&answer)?));
            unread = false;
        }
    }
    Ok(seen)
}

/// One call; its answer, with status OK, ends in `answer`.
async fn call(sender: &mut SendRequest<Bytes>, shared: &Shared, at: usize, answer: &mut Vec<u8>) -> anyhow::Result<()> {
    let (response, mut upload) = sender.send_request(shared.request.clone(), false)?;
    upload.send_data(shared.calls.messages[at].clone(), true)?;
    let (head, mut body) = response.await?.into_parts();
    answer.clear();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        answer.extend_from_slice(&data);
    }
    // A call that is refused at once has its status in the head.
    let trailers = body.trailers().await?.unwrap_or_else(|| head.headers.clone());
    if head.status != StatusCode::OK || trailers.get("grpc-status").is_none_or(|status| status != "0") {
        bail!(
            "HTTP {}, gRPC status {}: {}",
            head.status,
            text(&trailers, "grpc-status"),
            text(&trailers, "grpc-message")
        );
    }
    ensure!(Calls::whole(answer), "an answer of {} bytes is not one gRPC message", answer.len());
    Ok(())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-")
}
