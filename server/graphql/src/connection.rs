//! Relay connections, forward only, over the pages of `platform`. A cursor is a page token of the gRPC API.

use async_graphql::connection::{
    Connection, DefaultConnectionName, DefaultEdgeName, DisableNodesField, Edge, EmptyFields,
};
use async_graphql::{ObjectType, OutputType};
use tenor_domain::{Error, Page, PageRequest};

use crate::error::{Failure, Result};

/// What a statement of its own costs.
const STATEMENT: usize = 200;
/// What a list without pages, or a large document, costs.
const LIST: usize = 10;
/// No sum of costs below the limit of fields overflows.
const MAX_COST: usize = 1 << 40;

/// A connection to nodes of type `N`.
pub(crate) type Paged<N> =
    Connection<String, N, EmptyFields, EmptyFields, DefaultConnectionName, DefaultEdgeName, DisableNodesField>;

/// The page that a field's arguments ask for.
pub(crate) struct Window(PageRequest);

impl Window {
    pub(crate) fn new(first: Option<i32>, after: Option<String>) -> Result<Self> {
        let size = match first.map(u32::try_from) {
            None => PageRequest::DEFAULT_SIZE,
            Some(Ok(size @ 1..=PageRequest::MAX_SIZE)) => size,
            Some(_) => {
                let description = format!("must be 1 to {}, got {}", PageRequest::MAX_SIZE, first.unwrap_or_default());
                return Err(Error::invalid("first", description).into());
            }
        };
        Ok(Self(PageRequest { size, cursor: after }))
    }

    pub(crate) fn request(&self) -> PageRequest {
        self.0.clone()
    }

    /// The page that was found, as a connection.
    pub(crate) fn connect<T, N>(self, page: Result<Page<T>, Error>) -> Result<Option<Paged<N>>>
    where
        N: From<T> + OutputType + ObjectType,
    {
        let Page { items, cursors, next } = page.map_err(after)?;
        let mut connection = Connection::new(self.0.cursor.is_some(), next.is_some());
        let edges = items.into_iter().zip(cursors).map(|(item, cursor)| Edge::new(cursor, N::from(item)));
        connection.edges.extend(edges);
        Ok(Some(connection))
    }
}

/// What `platform` calls a page token is the argument `after` here.
fn after(mut error: Error) -> Failure {
    if let [violation] = &mut error.violations[..]
        && violation.field == "page_token"
    {
        let description = violation.description.replace("without a token", "without it").replace("a token", "a cursor");
        error = Error::invalid("after", description);
    }
    error.into()
}

/// The cost of a connection.
pub(crate) fn page_cost(first: Option<i32>, child_complexity: usize) -> usize {
    let default = PageRequest::DEFAULT_SIZE as usize;
    many_cost(first.map_or(default, |first| usize::try_from(first).unwrap_or(0)), child_complexity)
}

/// The cost of `count` nodes by a statement of their own.
pub(crate) fn many_cost(count: usize, child_complexity: usize) -> usize {
    count.saturating_mul(child_complexity).saturating_add(STATEMENT).min(MAX_COST)
}

/// The cost of a list of unknown length, most often short.
pub(crate) fn list_cost(child_complexity: usize) -> usize {
    child_complexity.saturating_add(1).saturating_mul(LIST).min(MAX_COST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_1_to_1000_rows() {
        for (first, size) in [(None, 50), (Some(1), 1), (Some(1_000), 1_000)] {
            assert_eq!(Window::new(first, None).unwrap().request().size, size);
        }
        for wrong in [0, -1, 1_001, i32::MAX, i32::MIN] {
            assert!(Window::new(Some(wrong), None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn costs_do_not_overflow() {
        let mut cost = 1;
        for _ in 0..100 {
            cost = list_cost(page_cost(Some(i32::MAX), cost));
        }
        assert_eq!(cost, MAX_COST);
        assert_eq!((page_cost(None, 3), page_cost(Some(-5), 3), page_cost(Some(2), 3)), (350, 200, 206));
    }
}
