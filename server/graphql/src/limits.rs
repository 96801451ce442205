//! Bounds of the GraphQL edge.

use std::time::Duration;

/// What one operation, one WebSocket and one server may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest request, or WebSocket message, in bytes: query, variables and the rest.
    pub max_body_bytes: usize,
    /// Largest query text in bytes.
    pub max_query_bytes: usize,
    /// Fields within fields. The introspection query of the usual tools has 15.
    pub max_depth: usize,
    /// Fields with fragments written out.
    pub max_fields: usize,
    /// Aliases with fragments written out.
    pub max_aliases: usize,
    /// Directives with fragments written out.
    pub max_directives: usize,
    /// A field costs 1, a page its size times what is asked of a row, a list or a large document 10, a statement of its own 200.
    pub max_complexity: usize,
    /// Time from the request to its answer. Subscriptions have none.
    pub deadline: Duration,
    /// Running operations of one WebSocket.
    pub max_operations_per_socket: usize,
    /// Open WebSockets.
    pub max_sockets: usize,
    /// Time for a WebSocket's first message.
    pub init_timeout: Duration,
    /// How often a WebSocket is pinged; one that answers nothing until the next ping is closed.
    pub ping_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 256 << 10,
            max_query_bytes: 64 << 10,
            max_depth: 16,
            max_fields: 1_000,
            max_aliases: 30,
            max_directives: 30,
            max_complexity: 100_000,
            deadline: Duration::from_secs(30),
            max_operations_per_socket: 32,
            max_sockets: 512,
            init_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(30),
        }
    }
}
