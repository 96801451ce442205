//! A client of `graphql-transport-ws`, and the rules of the protocol.

use std::net::SocketAddr;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tenor_graphql::Limits;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// Serves a bench's routes on a port of its own until the test ends.
pub async fn serve(bench: &Bench) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = bench.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

pub struct Client(WebSocketStream<TcpStream>);

impl Client {
    /// A socket without `connection_init`.
    pub async fn connect(address: SocketAddr, protocol: Option<&str>) -> Result<Self, Error> {
        let mut request = format!("ws://{address}/graphql/ws").into_client_request()?;
        if let Some(protocol) = protocol {
            request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        let stream = TcpStream::connect(address).await?;
        Ok(Self(client_async(request, stream).await?.0))
    }

    /// A socket that is ready for operations.
    pub async fn open(address: SocketAddr) -> Self {
        let mut client = Self::connect(address, Some("graphql-transport-ws")).await.unwrap();
        client.say(json!({ "type": "connection_init" })).await;
        assert_eq!(client.hear().await, json!({ "type": "connection_ack" }));
        client
    }

    pub async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    pub async fn ask(&mut self, id: &str, query: &str) {
        self.say(json!({ "type": "subscribe", "id": id, "payload": { "query": query } })).await;
    }

    async fn frame(&mut self) -> Option<Message> {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("nothing came") {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    pub async fn hear(&mut self) -> Value {
        match self.frame().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The code with which the server closes; `None` when it does so without a word.
    pub async fn closed(&mut self) -> Option<u16> {
        match self.frame().await? {
            Message::Close(frame) => frame.map(|frame| frame.code.into()),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn queries_run_over_a_socket_and_pings_are_answered() {
    for bench in benches().await {
        let mut client = Client::open(serve(&bench).await).await;
        client.ask("1", "{ __typename }").await;
        let next = json!({ "type": "next", "id": "1", "payload": { "data": { "__typename": "Query" } } });
        assert_eq!(client.hear().await, next);
        assert_eq!(client.hear().await, json!({ "type": "complete", "id": "1" }));
        client.say(json!({ "type": "ping" })).await;
        assert_eq!(client.hear().await["type"], "pong");
        client.ask("1", "{ nothing").await;
        let error = client.hear().await;
        assert_eq!(refusal(&error["payload"]), ("INVALID_ARGUMENT", "QUERY_INVALID"));
        assert_eq!(client.hear().await["type"], "complete");
    }
}

#[tokio::test]
async fn another_protocol_is_refused() {
    for bench in benches().await {
        let address = serve(&bench).await;
        for protocol in [None, Some("graphql-ws"), Some("soap")] {
            let Err(Error::Http(response)) = Client::connect(address, protocol).await else { panic!("{protocol:?}") };
            assert_eq!(response.status(), 400, "{protocol:?}");
        }
        assert!(Client::connect(address, Some("soap, graphql-transport-ws")).await.is_ok());
    }
}

#[tokio::test]
async fn who_breaks_the_rules_is_closed() {
    let limits = Limits { init_timeout: Duration::from_millis(50), ..Limits::default() };
    for bench in benches_with(limits).await {
        let address = serve(&bench).await;
        let open = || async { Client::connect(address, Some("graphql-transport-ws")).await.unwrap() };
        assert_eq!(open().await.closed().await, Some(4408));
        let mut early = open().await;
        early.ask("1", "{ __typename }").await;
        assert!(early.closed().await.is_some());
        let mut twice = Client::open(address).await;
        twice.say(json!({ "type": "connection_init" })).await;
        assert_eq!(twice.closed().await, Some(4429));
        let mut nonsense = Client::open(address).await;
        nonsense.say(json!({ "type": "ü".repeat(500) })).await;
        assert_eq!(nonsense.closed().await, Some(1002));
        let mut large = Client::open(address).await;
        large.say(json!("x".repeat(300 << 10))).await;
        assert!(!matches!(large.frame().await, Some(Message::Text(_))));
    }
}

#[tokio::test]
async fn a_silent_client_is_closed() {
    let limits = Limits { ping_interval: Duration::from_millis(30), ..Limits::default() };
    for bench in benches_with(limits).await {
        let address = serve(&bench).await;
        let mut answers = Client::open(address).await;
        // Reading answers pings, for longer than two of them.
        let heard = timeout(
            Duration::from_millis(300),
            answers.0.by_ref().filter(|m| std::future::ready(!matches!(m, Ok(Message::Ping(_))))).next(),
        )
        .await;
        assert!(heard.is_err(), "{heard:?}");
        let _silent = Client::open(address).await;
        let gauge = |n: i32| format!("tenor_graphql_sockets {n}");
        assert!(bench.registry.encode().contains(&gauge(2)));
        let ended = async {
            while !bench.registry.encode().contains(&gauge(0)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, ended).await.unwrap();
    }
}

#[tokio::test]
async fn sockets_and_their_operations_are_limited() {
    let limits = Limits { max_sockets: 1, max_operations_per_socket: 2, ..Limits::default() };
    for bench in benches_with(limits).await {
        let job = bench.import("a", "x").await.job_id.unwrap();
        let address = serve(&bench).await;
        let mut client = Client::open(address).await;
        let Err(Error::Http(response)) = Client::connect(address, Some("graphql-transport-ws")).await else { panic!() };
        assert_eq!(response.status(), 503);
        let watch = format!("subscription {{ jobEvents(jobId: {job}, afterSeq: 1000) {{ seq }} }}");
        for id in ["1", "2"] {
            client.ask(id, &watch).await;
        }
        client.ask("3", "{ __typename }").await;
        let refused = client.hear().await;
        assert_eq!((&refused["id"], refusal(&refused["payload"])), (&json!("3"), ("UNAVAILABLE", "SERVER_BUSY")));
        assert_eq!(client.hear().await, json!({ "type": "complete", "id": "3" }));
        client.say(json!({ "type": "complete", "id": "1" })).await;
        assert_eq!(client.hear().await, json!({ "type": "complete", "id": "1" }));
        client.ask("3", "{ __typename }").await;
        assert_eq!(client.hear().await["payload"]["data"]["__typename"], "Query");
    }
}
