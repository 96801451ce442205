//! What every rpc passes, in reading order. `Edge::call` is the list; each step says why it stands where it stands.

mod body;
mod edge;
mod methods;

pub(crate) use edge::EdgeLayer;
pub(crate) use methods::Methods;
