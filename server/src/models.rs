//! Every model kind that this server can train and serve.

use std::sync::Arc;

use tenor_learn::Registry;

/// The registry that jobs and serving are given.
pub fn registry() -> Arc<Registry> {
    Arc::new(Registry::new(tenor_learn_classic::trainers()))
}
