//! Model files across versions: what was written once still loads and answers as it did.

use std::path::Path;

use tenor_domain::{ContractMode, Digest};
use tenor_features::contract::{Input, NumericValue, Prepared};
use tenor_learn::{ModelFile, Scratch};

/// As `examples/golden_model.rs` wrote it.
#[derive(serde::Deserialize)]
struct Golden {
    digest: Digest,
    answers: Vec<Recorded>,
}

#[derive(serde::Deserialize)]
struct Recorded {
    text: String,
    numeric: Vec<(String, f64)>,
    probabilities: Vec<f64>,
}

#[test]
fn a_model_file_of_every_format_so_far_loads_and_predicts_what_it_did_when_it_was_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    for format in 1..=ModelFile::FORMAT {
        let read = |extension: &str| {
            let path = folder.join(format!("model_v{format}.{extension}"));
            std::fs::read(&path)
                .unwrap_or_else(|error| panic!("{}: {error}; see examples/golden_model.rs", path.display()))
        };
        let (bytes, golden) = (read("safetensors"), serde_json::from_slice::<Golden>(&read("json")).unwrap());
        assert_eq!(Digest::of(&bytes), golden.digest, "the file of format {format} was written anew");
        let (model, file) = tenor_server::registry().load(&bytes).unwrap();
        assert_eq!(file.header.format, format);
        assert!(file.header.metrics["test/macro_f1"] > 0.2, "{:?}", file.header.metrics);
        assert!(golden.answers.len() >= 5);
        for Recorded { text, numeric, probabilities } in golden.answers {
            let given: Vec<_> =
                numeric.iter().map(|(name, value)| (name.as_str(), NumericValue::Number(*value))).collect();
            let mut prepared = Prepared::default();
            model.contract().apply(ContractMode::Warn, &Input { text: &text, numeric: &given }, &mut prepared).unwrap();
            let mut found = vec![0.0; model.classes().len()];
            model.predict(&prepared, &mut Scratch::default(), &mut found);
            assert_eq!(found.len(), probabilities.len());
            for (found, recorded) in found.iter().zip(&probabilities) {
                assert!((found - recorded).abs() <= 1e-12, "format {format}, `{text}`: {found} instead of {recorded}");
            }
        }
    }
}
