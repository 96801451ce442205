//! The accept loop: HTTP/1.1 and HTTP/2 with upgrades on one port, bounded, drained at the end.
//!
//! Ours, because `axum::serve` has no knobs and tonic's server cannot upgrade to WebSocket.

use std::future::Future;
use std::io::{self, Cursor};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use prometheus::IntGauge;
use tokio::io::{AsyncReadExt as _, join};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, debug, warn};

use crate::linger::Lingering;

/// Bounds of connections.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// Open connections; more wait in the kernel's backlog.
    pub max_connections: usize,
    /// Streams of one HTTP/2 connection at a time.
    pub max_streams: u32,
    /// How long a new connection may take until it is clear what it speaks, and HTTP/1.1 to send its headers.
    pub header_timeout: Duration,
    /// HTTP/2 pings a silent peer this often, and gives it up after `keepalive_timeout`.
    pub keepalive_interval: Duration,
    pub keepalive_timeout: Duration,
    /// How long running requests may take after the shutdown began.
    pub drain: Duration,
    /// Counts open connections.
    pub connections: Option<IntGauge>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            max_connections: 4_096,
            max_streams: 1_024,
            header_timeout: Duration::from_secs(10),
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            drain: Duration::from_secs(10),
            connections: None,
        }
    }
}

/// Serves `router` until `shutdown`, then accepts nothing more, lets running requests finish for `options.drain` and cuts the
/// rest. Errors of single connections are logged, never returned.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
    options: ListenOptions,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(options.max_connections));
    let builder = Arc::new(builder(&options));
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    loop {
        let place = tokio::select! {
            () = shutdown.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        // The semaphore is never closed.
        let Ok(place) = place else { break };
        let stream = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    after_failed_accept(&error).await;
                    continue;
                }
            },
        };
        let connection =
            connection(stream, router.clone(), Arc::clone(&builder), shutdown.clone(), options.header_timeout);
        let (cut, open) = (cut.clone(), options.connections.clone().map(Counted::new));
        connections.spawn(
            async move {
                tokio::select! {
                    () = connection => {}
                    () = cut.cancelled() => debug!("connection cut at the end of the drain"),
                }
                drop((place, open));
            }
            .instrument(tracing::Span::none()),
        );
    }
    drop(listener);
    connections.close();
    if timeout(options.drain, connections.wait()).await.is_err() {
        warn!(connections = connections.len(), "requests still running at the end of the drain are cut");
        cut.cancel();
        connections.wait().await;
    }
    Ok(())
}

fn builder(options: &ListenOptions) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(options.header_timeout).max_buf_size(64 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(options.keepalive_interval)
        .keep_alive_timeout(options.keepalive_timeout)
        .max_concurrent_streams(options.max_streams)
        .max_header_list_size(16 << 10)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20);
    builder
}

async fn connection(
    mut stream: TcpStream,
    router: Router,
    builder: Arc<auto::Builder<TokioExecutor>>,
    shutdown: CancellationToken,
    header_timeout: Duration,
) {
    let _ = stream.set_nodelay(true);
    let opening = tokio::select! {
        opening = timeout(header_timeout, opening(&mut stream)) => match opening {
            Ok(Ok(opening)) => opening,
            _ => return,
        },
        () = shutdown.cancelled() => return,
    };
    let (rest, answers) = stream.into_split();
    let stream = join(Cursor::new(opening).chain(rest), answers);
    let io = TokioIo::new(Lingering::new(stream, shutdown.clone()));
    let mut served = pin!(builder.serve_connection_with_upgrades(io, TowerToHyperService::new(router)));
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = shutdown.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = result {
        debug!(error = %error, "connection ended");
    }
}

/// What every HTTP/2 connection begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first bytes, until they say which version it is. hyper would wait for them without a limit while they are the beginning
/// of [`PREFACE`].
async fn opening(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut opening = vec![0; PREFACE.len()];
    let mut filled = 0;
    while filled < PREFACE.len() && PREFACE.starts_with(&opening[..filled]) {
        match stream.read(&mut opening[filled..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    opening.truncate(filled);
    Ok(opening)
}

/// Errors of one connection (it was reset in the backlog) are nothing; others, like too many open files, need a pause.
fn after_failed_accept(error: &io::Error) -> impl Future<Output = ()> + use<> {
    let of_the_peer = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    );
    if !of_the_peer {
        warn!(error = %error, "cannot accept connections; trying again in a second");
    }
    async move {
        if !of_the_peer {
            sleep(Duration::from_secs(1)).await;
        }
    }
}

/// One in the gauge while it lives.
struct Counted(IntGauge);

impl Counted {
    fn new(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
