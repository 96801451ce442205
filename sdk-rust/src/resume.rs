//! Streams of the server that go on after a broken connection where they were.

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use tonic::{Response, Status, Streaming};

use crate::client::backoff;
use crate::error::broken;
use crate::{Client, Result};

/// Reconnections in a row without an item.
const FRUITLESS: u32 = 8;

/// An open call.
pub(crate) type Opened<T> = BoxFuture<'static, std::result::Result<Response<Streaming<T>>, Status>>;

struct Resumed<T, O> {
    client: Client,
    /// Opens the stream after a place.
    open: O,
    /// Where an item stands; places rise.
    place: fn(&T) -> i64,
    after: i64,
    live: Option<Streaming<T>>,
    fruitless: u32,
    ended: bool,
}

/// The items after the place `after`, each once, until the server ends the stream.
pub(crate) fn resumed<T: Send + 'static>(
    client: Client,
    after: i64,
    place: fn(&T) -> i64,
    open: impl Fn(&Client, i64) -> Opened<T> + Send + 'static,
) -> BoxStream<'static, Result<T>> {
    let resumed = Resumed { client, open, place, after, live: None, fruitless: 0, ended: false };
    stream::unfold(resumed, |mut resumed| async move { resumed.next().await.map(|item| (item, resumed)) }).boxed()
}

impl<T, O: Fn(&Client, i64) -> Opened<T>> Resumed<T, O> {
    async fn next(&mut self) -> Option<Result<T>> {
        while !self.ended {
            match self.step().await {
                Ok(Some(item)) => {
                    self.fruitless = 0;
                    let place = (self.place)(&item);
                    if place > self.after {
                        self.after = place;
                        return Some(Ok(item));
                    }
                }
                Ok(None) => self.ended = true,
                Err(status) if broken(&status) && self.fruitless < FRUITLESS => {
                    self.live = None;
                    self.fruitless += 1;
                    tokio::time::sleep(backoff(self.fruitless)).await;
                }
                Err(status) => {
                    self.ended = true;
                    return Some(Err(self.client.explain(status)));
                }
            }
        }
        None
    }
    async fn step(&mut self) -> std::result::Result<Option<T>, Status> {
        let live = match &mut self.live {
            Some(live) => live,
            None => {
                let stream = (self.open)(&self.client, self.after).await?.into_inner();
                self.live.insert(stream)
            }
        };
        live.message().await
    }
}
