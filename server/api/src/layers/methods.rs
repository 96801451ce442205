//! The known methods, from the descriptors: their names are the only labels and span names there are.

use std::collections::HashMap;
use std::sync::Arc;

use prometheus::{Histogram, IntCounter};
use prost::Message as _;
use prost_types::FileDescriptorSet;

use crate::Metrics;

/// Unary, but made to take long: the first waits, the second hashes and stores the whole file, the third computes.
const WAITING: [&str; 3] =
    ["tenor.v1.JobService/WaitJob", "tenor.v1.DatasetService/CompleteUpload", "tenor.v1.ExperimentService/CompareRuns"];

/// One rpc and its series.
#[derive(Debug)]
pub(crate) struct Method {
    /// `tenor.v1.DatasetService/GetDataset`, or `_OTHER`.
    pub(crate) name: String,
    /// No default deadline; counted against the limit of streams.
    pub(crate) long: bool,
    pub(crate) ok: IntCounter,
    pub(crate) duration: Histogram,
}

/// Every method, by path.
#[derive(Debug)]
pub(crate) struct Methods {
    by_path: HashMap<String, Arc<Method>>,
    other: Arc<Method>,
}

impl Methods {
    /// Reads the methods of encoded `FileDescriptorSet`s. What cannot be decoded has no methods.
    pub(crate) fn new(sets: &[&[u8]], metrics: &Metrics) -> Self {
        let method = |name: String, long: bool| {
            let ok = metrics.requests.with_label_values(&[name.as_str(), "OK"]);
            let duration = metrics.duration.with_label_values(&[name.as_str()]);
            Arc::new(Method { name, long, ok, duration })
        };
        let mut by_path = HashMap::new();
        for file in sets.iter().filter_map(|set| FileDescriptorSet::decode(*set).ok()).flat_map(|set| set.file) {
            for service in &file.service {
                for rpc in &service.method {
                    let name = format!("{}.{}/{}", file.package(), service.name(), rpc.name());
                    let long = rpc.client_streaming() || rpc.server_streaming() || WAITING.contains(&name.as_str());
                    by_path.insert(format!("/{name}"), method(name, long));
                }
            }
        }
        Self { by_path, other: method("_OTHER".to_owned(), false) }
    }

    pub(crate) fn of(&self, path: &str) -> &Arc<Method> {
        self.by_path.get(path).unwrap_or(&self.other)
    }

    /// Full names of the services.
    pub(crate) fn services(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .by_path
            .keys()
            .filter_map(|path| Some(path.trim_start_matches('/').split_once('/')?.0.to_owned()))
            .collect();
        names.sort();
        names.dedup();
        names
    }
}
