//! Counts that were made before, kept in memory.

use std::sync::{Arc, Mutex, PoisonError};

use tenor_domain::{Digest, Error};

use super::fit::Counted;
use super::{Analyzer, TfidfParams};

/// Counts of texts by what they depend on, so that fits with other columns need not read the same texts again. The last used ones, in
/// bounded memory.
pub struct CountCache {
    max_bytes: usize,
    /// The last used at the end.
    kept: Mutex<Vec<(Key, Arc<Counted>)>>,
}

/// The counts of one set of texts.
#[derive(Clone, Copy)]
pub struct KnownCounts<'a> {
    pub cache: &'a CountCache,
    /// Identity of the texts, in their order.
    pub texts: Digest,
}

#[derive(PartialEq)]
struct Key {
    texts: Digest,
    analyzer: Analyzer,
    ngram_max: u32,
    min_df: u32,
}

impl CountCache {
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, kept: Mutex::default() }
    }

    fn get(&self, key: &Key) -> Option<Arc<Counted>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| known == key)?;
        let found = kept.remove(at);
        let counted = Arc::clone(&found.1);
        kept.push(found);
        Some(counted)
    }

    fn put(&self, key: Key, counted: &Arc<Counted>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Two fits may have counted the same.
        kept.retain(|(known, _)| *known != key);
        kept.push((key, Arc::clone(counted)));
        let mut bytes = 0;
        let newest = kept.iter().rev().take_while(|(_, counted)| {
            bytes += counted.bytes();
            bytes <= self.max_bytes
        });
        let newest = newest.count();
        let old = kept.len() - newest;
        kept.drain(..old);
    }
}

impl KnownCounts<'_> {
    /// The counts that `params` need, made by `count` if they are not known.
    pub(super) fn get_or(
        &self,
        params: &TfidfParams,
        count: impl FnOnce() -> Result<Counted, Error>,
    ) -> Result<Arc<Counted>, Error> {
        let TfidfParams { analyzer, ngram_max, min_df, .. } = params;
        let key = Key { texts: self.texts, analyzer: analyzer.clone(), ngram_max: *ngram_max, min_df: *min_df };
        if let Some(counted) = self.cache.get(&key) {
            return Ok(counted);
        }
        let counted = Arc::new(count()?);
        self.cache.put(key, &counted);
        Ok(counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stop;
    use crate::tfidf::fit_transform;

    fn texts(number: usize) -> Vec<String> {
        (0..60).map(|row| format!("good book {} and number {} of {number}", row % 7, row % 5)).collect()
    }

    #[test]
    fn known_counts_give_the_same_columns_and_values_as_counting() {
        let cache = CountCache::new(1 << 20);
        for number in [1, 2] {
            let known = KnownCounts { cache: &cache, texts: Digest::of(&[number]) };
            let texts = texts(number.into());
            for ngram_min in [1, 2] {
                for (max_features, min_df) in [(None, 2), (Some(10), 2), (Some(4), 3)] {
                    let params =
                        TfidfParams { ngram_min, ngram_max: 3, max_features, min_df, ..TfidfParams::default() };
                    let (fresh, matrix) = fit_transform(&texts, &params, None, Stop::never()).unwrap();
                    for _ in 0..2 {
                        let (found, of_known) = fit_transform(&texts, &params, Some(known), Stop::never()).unwrap();
                        assert_eq!(found.terms().collect::<Vec<_>>(), fresh.terms().collect::<Vec<_>>());
                        assert_eq!(found.idf(), fresh.idf());
                        assert_eq!(of_known, matrix);
                    }
                }
            }
        }
        assert_eq!(cache.kept.lock().unwrap().len(), 4, "two sets of texts, two numbers of documents");
    }

    #[test]
    fn the_longest_unused_counts_go_first_and_too_large_ones_are_not_kept() {
        let params = TfidfParams::default();
        let using = |cache: &CountCache, number: u8| {
            let known = KnownCounts { cache, texts: Digest::of(&[number]) };
            known.get_or(&params, || Counted::new(&texts(number.into()), &params, Stop::never())).unwrap().bytes()
        };
        let has = |cache: &CountCache, number: u8| {
            let (texts, analyzer) = (Digest::of(&[number]), Analyzer::default());
            cache.get(&Key { texts, analyzer, ngram_max: params.ngram_max, min_df: params.min_df }).is_some()
        };
        let bytes = using(&CountCache::new(usize::MAX), 1);
        let cache = CountCache::new(bytes * 5 / 2);
        for number in [1, 2, 1, 3] {
            using(&cache, number);
        }
        assert!(has(&cache, 1) && !has(&cache, 2) && has(&cache, 3));
        let small = CountCache::new(bytes / 2);
        using(&small, 1);
        assert!(!has(&small, 1));
    }
}
