//! WebSockets that speak `graphql-transport-ws`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_graphql::http::{WebSocket as Protocol, WebSocketProtocols, WsMessage};
use async_graphql::{Data, Executor, Request, Response as Answer, Value};
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures::stream::{BoxStream, SplitSink};
use futures::{SinkExt as _, StreamExt as _};
use tenor_domain::{Error, ErrorKind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use crate::engine::{Engine, draining, one};
use crate::error::Failure;
use crate::http::{Shared, refused, traceparent};

const PROTOCOL: &str = "graphql-transport-ws";
/// Close codes of RFC 6455 and of the protocol.
const GOING_AWAY: u16 = 1001;
const INIT_TIMEOUT: u16 = 4408;

pub(crate) async fn upgrade(
    State(shared): State<Shared>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let engine = &shared.engine;
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade.protocols([PROTOCOL]),
        Err(rejection) => return rejection.into_response(),
    };
    if upgrade.selected_protocol().is_none() {
        let message = format!("the WebSocket protocol must be `{PROTOCOL}`");
        let error = Error::new(ErrorKind::InvalidArgument, "PROTOCOL_UNSUPPORTED", message);
        return refused(engine, StatusCode::BAD_REQUEST, error.into());
    }
    if engine.shutdown.is_cancelled() {
        return refused(engine, StatusCode::SERVICE_UNAVAILABLE, draining());
    }
    let Ok(place) = Arc::clone(&shared.sockets).try_acquire_owned() else {
        return refused(
            engine,
            StatusCode::SERVICE_UNAVAILABLE,
            busy("the server has as many WebSockets as it may have"),
        );
    };
    let limit = engine.limits.max_body_bytes;
    let session = Session {
        places: Arc::new(Semaphore::new(engine.limits.max_operations_per_socket)),
        engine: Arc::clone(engine),
        traceparent: traceparent(&headers).map(Into::into),
    };
    upgrade.max_message_size(limit).max_frame_size(limit).on_upgrade(move |socket| async move {
        let open = Open::new(&session.engine, place);
        serve(socket, session).await;
        drop(open);
    })
}

fn busy(message: &str) -> Failure {
    let mut error = Error::unavailable(format!("{message}; try again"), 250);
    error.reason = "SERVER_BUSY";
    error.into()
}

/// One in the gauge of sockets while it lives.
struct Open {
    engine: Arc<Engine>,
    _place: OwnedSemaphorePermit,
}

impl Open {
    fn new(engine: &Arc<Engine>, place: OwnedSemaphorePermit) -> Self {
        engine.metrics.sockets.with(&[]).inc();
        Self { engine: Arc::clone(engine), _place: place }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.engine.metrics.sockets.with(&[]).dec();
    }
}

/// The operations of one socket.
#[derive(Clone)]
struct Session {
    engine: Arc<Engine>,
    places: Arc<Semaphore>,
    /// Of the handshake. An operation may have one of its own among its extensions.
    traceparent: Option<Arc<str>>,
}

impl Session {
    fn is_idle(&self) -> bool {
        self.places.available_permits() == self.engine.limits.max_operations_per_socket
    }
}

impl Executor for Session {
    async fn execute(&self, request: Request) -> Answer {
        self.engine.query(request, self.traceparent.as_deref()).await
    }

    fn execute_stream(&self, request: Request, _data: Option<Arc<Data>>) -> BoxStream<'static, Answer> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return one(busy("this WebSocket has as many operations as it may have").into_response());
        };
        let own = match request.extensions.get("traceparent") {
            Some(Value::String(text)) => Some(Arc::from(text.as_str())),
            _ => None,
        };
        let traceparent: Option<Arc<str>> = own.or_else(|| self.traceparent.clone());
        let answers = Arc::clone(&self.engine).answers(request, traceparent.as_deref());
        let held = move |answer| {
            // Free when the stream is dropped.
            let _place = &place;
            answer
        };
        answers.map(held).boxed()
    }
}

/// Runs a socket until the client leaves, breaks the rules or answers no more, or the drain has ended its operations.
async fn serve(socket: WebSocket, session: Session) {
    let (engine, limits) = (Arc::clone(&session.engine), session.engine.limits.clone());
    let (mut sink, frames) = socket.split();
    let heard = Arc::new(AtomicBool::new(true));
    let hears = Arc::clone(&heard);
    let messages = frames
        .take_while(|frame| std::future::ready(frame.is_ok()))
        .filter_map(move |frame| {
            hears.store(true, Ordering::Relaxed);
            std::future::ready(match frame {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => Some(message.into_data()),
                _ => None,
            })
        })
        .boxed();
    let mut answers = Protocol::new(session.clone(), messages, WebSocketProtocols::GraphQLWS);
    let mut pings = interval_at(Instant::now() + limits.ping_interval, limits.ping_interval);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let late = sleep(limits.init_timeout);
    tokio::pin!(late);
    let (mut begun, mut drains) = (false, false);
    loop {
        if drains && session.is_idle() {
            send(&mut sink, close(GOING_AWAY, "the server is shutting down".into()), limits.ping_interval).await;
            return;
        }
        let message = tokio::select! {
            answer = answers.next() => match answer {
                Some(WsMessage::Text(text)) => {
                    begun = true;
                    Message::Text(text.into())
                }
                Some(WsMessage::Close(code, reason)) => close(code, reason),
                None => return,
            },
            _ = pings.tick() => {
                if !heard.swap(false, Ordering::Relaxed) {
                    return;
                }
                Message::Ping(Default::default())
            }
            () = &mut late, if !begun => close(INIT_TIMEOUT, "no connection_init came".into()),
            () = engine.shutdown.cancelled(), if !drains => {
                drains = true;
                continue;
            }
        };
        let last = matches!(message, Message::Close(_));
        if !send(&mut sink, message, limits.ping_interval).await || last {
            return;
        }
    }
}

/// A close frame holds at most 123 bytes of reason.
fn close(code: u16, mut reason: String) -> Message {
    reason.truncate(reason.floor_char_boundary(123));
    Message::Close(Some(CloseFrame { code, reason: reason.into() }))
}

/// Whether the client took it in time: one that reads nothing must not keep its operations for ever.
async fn send(sink: &mut SplitSink<WebSocket, Message>, message: Message, patience: Duration) -> bool {
    matches!(timeout(patience, sink.send(message)).await, Ok(Ok(())))
}
