//! Lists as streams of items.

use std::future::Future;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

use crate::Result;

/// The items of a list; the next page is fetched when it is needed.
pub type Items<T> = BoxStream<'static, Result<T>>;

enum Next {
    Page(String),
    End,
}

/// A stream over all pages. `fetch` gets a page token and answers with the items and the next token.
pub(crate) fn items<T, F, Fut>(fetch: F) -> Items<T>
where
    T: Send + 'static,
    F: Fn(String) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(Vec<T>, String)>> + Send + 'static,
{
    stream::unfold((Next::Page(String::new()), fetch), |(next, fetch)| async move {
        let Next::Page(token) = next else { return None };
        let (page, next) = match fetch(token).await {
            Ok((items, next)) => {
                let next = if next.is_empty() { Next::End } else { Next::Page(next) };
                (items.into_iter().map(Ok).collect(), next)
            }
            Err(error) => (vec![Err(error)], Next::End),
        };
        Some((stream::iter::<Vec<Result<T>>>(page), (next, fetch)))
    })
    .flatten()
    .boxed()
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;
    use crate::{Error, Kind};

    #[tokio::test]
    async fn pages_are_joined_and_an_empty_page_does_not_end_the_list() {
        let all: Vec<i32> = items(|token: String| async move {
            Ok(match token.as_str() {
                "" => (vec![1, 2], "b".to_owned()),
                "b" => (vec![], "c".to_owned()),
                _ => (vec![3], String::new()),
            })
        })
        .try_collect()
        .await
        .unwrap();
        assert_eq!(all, [1, 2, 3]);
    }

    #[tokio::test]
    async fn an_error_ends_the_list() {
        let all: Vec<_> = items(|token: String| async move {
            if token.is_empty() {
                Ok((vec![1], "b".to_owned()))
            } else {
                Err(Error::new(Kind::Unavailable, "X", "gone"))
            }
        })
        .collect()
        .await;
        assert_eq!(all.len(), 2);
        assert!(all[0].is_ok() && all[1].is_err());
    }
}
