//! What the resolvers of one operation share: the use cases, a few connections at a time, and what they loaded.

use std::ops::Deref;
use std::sync::Arc;

use async_graphql::Context;
use tenor_platform::Platform;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::batch::drive;
use crate::error::Result;
use crate::loader::{Key, Tables, batches};

/// Database connections that one operation may hold at a time: the resolvers of a list run all at once, and the pool is
/// everybody's.
const CONNECTIONS: usize = 4;

/// One for each operation, because it remembers what was loaded.
pub(crate) struct Scope {
    platform: Arc<Platform>,
    places: Semaphore,
    pub(crate) tables: Tables,
}

impl Scope {
    pub(crate) fn new(platform: Arc<Platform>) -> Arc<Self> {
        Arc::new(Self { platform, places: Semaphore::new(CONNECTIONS), tables: Tables::default() })
    }

    /// Runs what resolves fields, and its batches.
    pub(crate) async fn drive<T>(self: &Arc<Self>, operation: impl Future<Output = T>) -> T {
        drive(operation, || batches(self)).await
    }

    /// The row with this key, in one statement with all that are wanted at the same time.
    pub(crate) async fn load<K: Key>(&self, key: K) -> Result<Option<K::Row>> {
        K::table(&self.tables).load(key).await
    }

    /// The use cases, for one call. Not to be held while another one, or a row, is waited for.
    pub(crate) async fn read(&self) -> Reading<'_> {
        // The semaphore is never closed.
        Reading { platform: &self.platform, _place: self.places.acquire().await.ok() }
    }
}

/// The scope of the operation.
pub(crate) fn scope<'a>(context: &Context<'a>) -> &'a Scope {
    // The engine gives every operation one; nothing else executes on the schema.
    context.data_unchecked::<Arc<Scope>>()
}

/// The use cases, within the limit on how many run at a time.
pub(crate) struct Reading<'a> {
    platform: &'a Platform,
    _place: Option<SemaphorePermit<'a>>,
}

impl Deref for Reading<'_> {
    type Target = Platform;
    fn deref(&self) -> &Platform {
        self.platform
    }
}
