//! The network in a model file.

use tenor_domain::Error;
use tenor_features::arrays::{Array, Arrays, broken};

use super::forward::{Layer, Mlp};
use super::options::{Activation, MAX_LAYERS, MAX_UNITS};
use crate::dense::importance::read_importances;

const SIZES: &str = "mlp.sizes";
const ACTIVATION: &str = "mlp.activation";
const IMPORTANCES: &str = "mlp.importances";

/// Adds `mlp.sizes` (inputs, units of each hidden layer, classes), `mlp.activation` (its name), `mlp.importances`, and for each layer
/// `mlp.<n>.weights` (inputs x outputs, row-major) and `mlp.<n>.biases`.
pub(super) fn save(network: &Mlp, arrays: &mut Arrays) {
    let inputs = network.layers.iter().take(1).map(|layer| layer.inputs);
    let sizes = inputs.chain(network.layers.iter().map(|layer| layer.outputs));
    arrays.insert(SIZES, Array::U64(sizes.map(|size| size as u64).collect()));
    arrays.insert(ACTIVATION, Array::U8(network.activation.name().as_bytes().to_vec()));
    arrays.insert(IMPORTANCES, Array::F64(network.importances.clone()));
    for (index, layer) in network.layers.iter().enumerate() {
        arrays.insert(weights_of(index), Array::F32(layer.weights.clone()));
        arrays.insert(biases_of(index), Array::F32(layer.biases.clone()));
    }
}

/// Reads what [`save`] wrote, for rows of `width` numbers and `classes` classes. Trusts nothing.
pub(super) fn load(arrays: &Arrays, width: usize, classes: usize) -> Result<Mlp, Error> {
    let sizes: Vec<usize> =
        arrays.u64s(SIZES)?.iter().map(|&size| usize::try_from(size).unwrap_or(usize::MAX)).collect();
    let [inputs, hidden @ .., outputs] = sizes.as_slice() else {
        return Err(broken(SIZES, "holds fewer than three numbers"));
    };
    if !(1..=MAX_LAYERS).contains(&hidden.len()) || hidden.iter().any(|size| !(1..=MAX_UNITS).contains(size)) {
        return Err(broken(SIZES, "has too many layers or units"));
    }
    if (*inputs, *outputs) != (width, classes) || classes < 2 {
        return Err(broken(SIZES, "does not fit the features and classes"));
    }
    let name = arrays.u8s(ACTIVATION)?;
    let activation = Activation::ALL.into_iter().find(|one| one.name().as_bytes() == name);
    let activation = activation.ok_or_else(|| broken(ACTIVATION, "names no activation"))?;
    let layers = sizes.windows(2).enumerate().map(|(index, pair)| {
        let (inputs, outputs) = (pair[0], pair[1]);
        let weights = numbers(arrays, &weights_of(index), inputs.checked_mul(outputs))?;
        let biases = numbers(arrays, &biases_of(index), Some(outputs))?;
        Ok(Layer { inputs, outputs, weights, biases })
    });
    let importances = read_importances(arrays, IMPORTANCES, width)?;
    Ok(Mlp { activation, layers: layers.collect::<Result<_, Error>>()?, importances })
}

fn weights_of(layer: usize) -> String {
    format!("mlp.{layer}.weights")
}

fn biases_of(layer: usize) -> String {
    format!("mlp.{layer}.biases")
}

fn numbers(arrays: &Arrays, name: &str, len: Option<usize>) -> Result<Vec<f32>, Error> {
    let numbers = arrays.f32s(name)?;
    if Some(numbers.len()) != len {
        return Err(broken(name, "does not have the length that the layers ask for"));
    }
    if !numbers.iter().all(|number| number.is_finite()) {
        return Err(broken(name, "holds a number that is not finite"));
    }
    Ok(numbers.to_vec())
}
