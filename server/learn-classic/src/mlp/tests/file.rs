//! Saving, loading, hostile files.

use proptest::prelude::*;
use serde_json::json;
use tenor_features::arrays::{Array, Arrays};
use tenor_learn::FitContext;

use super::*;

#[test]
fn what_was_saved_is_what_is_loaded() {
    let data = clouds(50, 4, 3, 1);
    let mlp =
        fit(&data, 3, json!({"hidden_layer_sizes": [5, 6], "activation": "tanh"}), &FitContext::quiet(1)).unwrap();
    let mut arrays = Arrays::default();
    mlp.save(&mut arrays);
    assert_eq!(Mlp::load(&arrays, 4, 3).unwrap(), mlp);
    assert_eq!(mlp.size().parameters, 4 * 5 + 5 + 5 * 6 + 6 + 6 * 3 + 3);
    assert!(Mlp::load(&arrays, 5, 3).is_err() && Mlp::load(&arrays, 4, 2).is_err());
    assert!(Mlp::load(&Arrays::default(), 4, 3).is_err());
    for (name, array) in [
        ("mlp.sizes", Array::U64(vec![4, 3])),
        ("mlp.sizes", Array::U64(vec![])),
        ("mlp.sizes", Array::U64(vec![4, 5, u64::MAX, 3])),
        ("mlp.sizes", Array::U64(vec![4, 5, 6, 6, 6, 6, 3])),
        ("mlp.sizes", Array::U64(vec![4, 0, 6, 3])),
        ("mlp.activation", Array::U8(b"step".to_vec())),
        ("mlp.activation", Array::U8(vec![0xff])),
        ("mlp.0.weights", Array::F32(vec![0.0; 19])),
        ("mlp.1.weights", Array::F32(vec![f32::NAN; 30])),
        ("mlp.2.weights", Array::F64(vec![0.0; 18])),
        ("mlp.0.biases", Array::F32(vec![0.0; 6])),
        ("mlp.2.biases", Array::F32(vec![f32::INFINITY; 3])),
    ] {
        let mut spoiled = arrays.clone();
        spoiled.insert(name, array);
        assert_eq!(Mlp::load(&spoiled, 4, 3).unwrap_err().reason, "BROKEN_MODEL_FILE", "{name}");
    }
}

fn numbers() -> impl Strategy<Value = f32> {
    prop_oneof![Just(0.0), Just(f32::MAX), Just(f32::MIN), Just(f32::MIN_POSITIVE), -10.0..10.0f32, any::<f32>()]
}

proptest! {
    #[test]
    fn hostile_arrays_are_refused_or_answer_with_finite_probabilities(
        sizes in prop_oneof![Just(vec![2, 3, 2]), Just(vec![2, 1, 2]), proptest::collection::vec(0u64..5, 0..7)],
        weights in [proptest::collection::vec(numbers(), 0..9), proptest::collection::vec(numbers(), 6)],
        biases in [proptest::collection::vec(numbers(), 3), proptest::collection::vec(numbers(), 2)],
        row in [numbers(), numbers()],
    ) {
        let mut arrays = Arrays::default();
        arrays.insert("mlp.sizes", Array::U64(sizes));
        arrays.insert("mlp.activation", Array::U8(b"relu".to_vec()));
        for (layer, (weights, biases)) in weights.into_iter().zip(biases).enumerate() {
            arrays.insert(format!("mlp.{layer}.weights"), Array::F32(weights));
            arrays.insert(format!("mlp.{layer}.biases"), Array::F32(biases));
        }
        if let Ok(mlp) = Mlp::load(&arrays, 2, 2) {
            let mut probabilities = [0.0; 2];
            mlp.predict_into(&row, &mut Vec::new(), &mut probabilities);
            prop_assert!(probabilities.iter().all(|p| (0.0..=1.0).contains(p)), "{probabilities:?}");
            prop_assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }
}
