//! Pages of a list. The cursor is what the store continues from; the API wraps it in an opaque token.

/// How much to read and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// 1 to 1,000.
    pub size: u32,
    /// The cursor of the last page's `next`, or `None` for the first page.
    pub cursor: Option<String>,
}

impl PageRequest {
    pub const DEFAULT_SIZE: u32 = 50;
    pub const MAX_SIZE: u32 = 1_000;

    /// The first page of `size` rows; 0 means the default, more than the maximum is lowered to it.
    pub fn first(size: u32) -> Self {
        let size = if size == 0 { Self::DEFAULT_SIZE } else { size.min(Self::MAX_SIZE) };
        Self { size, cursor: None }
    }
}

/// One page. The list ends where `next` is `None`, and only there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// One an item, in the same order: a list with this cursor goes on after the item.
    pub cursors: Vec<String>,
    /// The cursor of the last item, when there are more.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// `more`: whether the list goes on after the last item.
    pub fn new(items: Vec<T>, cursors: Vec<String>, more: bool) -> Self {
        debug_assert_eq!(items.len(), cursors.len());
        let next = if more { cursors.last().cloned() } else { None };
        Self { items, cursors, next }
    }

    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), cursors: self.cursors, next: self.next }
    }
}
