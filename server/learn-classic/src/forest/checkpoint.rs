//! Finished trees of an unfinished forest.

use tenor_domain::Error;
use tenor_features::arrays::{Array, Arrays, broken};

use super::grow::Grown;
use crate::trees::ensemble::Ensemble;
use crate::trees::file;

const PREFIX: &str = "forest_so_far";
const NUMBERS: &str = "forest_so_far.numbers";
const GAINS: &str = "forest_so_far.gains";

/// The state that holds the `trees` there are.
pub(super) fn save(trees: &[Option<Grown>], outputs: usize) -> Arrays {
    let mut arrays = Arrays::default();
    let mut ensemble = Ensemble::new(outputs);
    let (mut numbers, mut gains) = (Vec::new(), Vec::new());
    for (number, grown) in trees.iter().enumerate() {
        let Some(grown) = grown else { continue };
        numbers.push(number as u64);
        gains.extend_from_slice(&grown.gains);
        ensemble.push(&grown.tree);
    }
    file::save(&ensemble, PREFIX, &mut arrays);
    arrays.insert(NUMBERS, Array::U64(numbers));
    arrays.insert(GAINS, Array::F64(gains));
    arrays
}

/// The trees of `state` in their places among `count`.
pub(super) fn load(state: &Arrays, count: usize, width: usize, outputs: usize) -> Result<Vec<Option<Grown>>, Error> {
    let mut trees = vec![None; count];
    let ensemble = file::load(state, PREFIX, width, outputs)?;
    let (numbers, gains) = (state.u64s(NUMBERS)?, state.f64s(GAINS)?);
    if numbers.len() != ensemble.len() || gains.len() != numbers.len() * width {
        return Err(broken(NUMBERS, "must hold one number a tree"));
    }
    for (index, (&number, gains)) in numbers.iter().zip(gains.chunks(width)).enumerate() {
        let place = usize::try_from(number).ok().and_then(|number| trees.get_mut(number));
        let place = place.ok_or_else(|| broken(NUMBERS, "names a tree that is not to be grown"))?;
        *place = Some(Grown { tree: ensemble.tree(index), gains: gains.to_vec() });
    }
    Ok(trees)
}
