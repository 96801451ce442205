use std::sync::Arc;

use proptest::prelude::*;
use tenor_domain::Digest;
use tenor_features::arrays::Array;

use super::*;
use crate::testing::{Toy, ToyTrainer, toy};
use crate::{Registry, Trainer};

fn file() -> ModelFile {
    let mut lineage = Lineage { program: "tenor test".into(), seed: 7, train_rows: 3, ..Lineage::default() };
    lineage.train_digest = Some(Digest::of(b"rows"));
    lineage.notes.insert("why".into(), "tests".into());
    let mut file = toy().save(lineage).unwrap();
    file.header.metrics.insert("test/accuracy".into(), 1.0 / 3.0);
    file
}

fn registry() -> Registry {
    Registry::new([Arc::new(ToyTrainer) as Arc<dyn Trainer>])
}

#[test]
fn a_file_survives_its_bytes_and_writes_the_same_ones_again() {
    let file = file();
    let bytes = file.to_bytes().unwrap();
    let read = ModelFile::from_bytes(&bytes).unwrap();
    assert_eq!(read, file);
    assert_eq!(read.to_bytes().unwrap(), bytes);
    let (model, _) = registry().load(&bytes).unwrap();
    assert_eq!(model.save(file.header.lineage.clone()).unwrap().arrays, file.arrays);
}

#[test]
fn any_safetensors_reader_finds_the_arrays() {
    let bytes = file().to_bytes().unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.tensor("toy.weight").unwrap().data(), 0.25f64.to_le_bytes());
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let bytes = file().to_bytes().unwrap();
    for length in 0..bytes.len() {
        assert!(ModelFile::from_bytes(&bytes[..length]).is_err(), "{length}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(ModelFile::from_bytes(&longer).is_err());
}

#[test]
fn a_file_with_any_bit_turned_is_refused() {
    let bytes = file().to_bytes().unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut turned = bytes.clone();
            turned[at] ^= 1 << bit;
            let error = ModelFile::from_bytes(&turned).expect_err("a turned bit was not seen");
            assert!(["BROKEN_MODEL_FILE", "NEWER_MODEL_FILE"].contains(&error.reason), "{at} {bit}: {error}");
        }
    }
}

#[test]
fn foreign_files_are_refused_without_a_large_allocation() {
    let mut huge = u64::MAX.to_le_bytes().to_vec();
    huge.extend([b'{'; 100]);
    let plain = safetensors::serialize::<&str, safetensors::tensor::TensorView<'_>, _>([], None).unwrap();
    for bytes in [&b""[..], b"PK\x03\x04", &[0; 64], &[0xff; 64], &huge, &plain, b"\x80\x04\x95pickle"] {
        assert_eq!(ModelFile::from_bytes(bytes).unwrap_err().reason, "BROKEN_MODEL_FILE");
    }
}

/// Writes `file` as if it were right, whatever it holds.
fn resealed(change: impl FnOnce(&mut ModelFile)) -> Error {
    let mut file = file();
    change(&mut file);
    registry().load(&file.to_bytes().unwrap()).map(|_| ()).unwrap_err()
}

#[test]
fn a_well_sealed_file_with_wrong_contents_is_refused_too() {
    assert_eq!(resealed(|file| file.header.format = 2).reason, "NEWER_MODEL_FILE");
    assert_eq!(resealed(|file| file.header.format = 0).reason, "BROKEN_MODEL_FILE");
    assert_eq!(resealed(|file| file.header.kind = "other".into()).reason, "UNKNOWN_MODEL_KIND");
    assert_eq!(resealed(|file| file.header.contract_hash = Digest::of(b"x")).reason, "BROKEN_MODEL_FILE");
    assert_eq!(resealed(|file| file.header.contract.classes.clear()).reason, "BROKEN_MODEL_FILE");
    assert_eq!(resealed(|file| file.header.self_test.clear()).reason, "BROKEN_MODEL_FILE");
    assert_eq!(resealed(|file| file.header.self_test[0].probabilities[0] += 1e-6).reason, "BROKEN_MODEL_FILE");
    assert_eq!(resealed(|file| file.header.self_test[0].text.clear()).reason, "BROKEN_MODEL_FILE");
    assert_eq!(resealed(|file| file.arrays.insert("toy.weight", Array::F64(vec![0.26]))).reason, "BROKEN_MODEL_FILE");
    assert_eq!(resealed(|file| file.arrays.insert("toy.weight", Array::F32(vec![0.25]))).reason, "BROKEN_MODEL_FILE");
    assert_eq!(resealed(|file| file.arrays = Arrays::default()).reason, "BROKEN_MODEL_FILE");
}

#[test]
fn what_cannot_be_written_is_refused_before() {
    let mut file = file();
    file.header.metrics.insert("test/roc_auc".into(), f64::NAN);
    assert_eq!(file.to_bytes().unwrap_err().violations[0].field, "metrics.test/roc_auc");
}

#[test]
fn the_self_test_notices_a_model_that_answers_otherwise() {
    let file = file();
    file.run_self_test(&toy()).unwrap();
    let other = Toy { weight: 0.250_001, ..toy() };
    let error = file.run_self_test(&other).unwrap_err();
    assert!(error.message.contains("self-test"), "{error}");
    assert!(file.header.self_test.len() >= 3);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = ModelFile::from_bytes(&bytes);
    }

    #[test]
    fn a_file_with_bytes_exchanged_is_refused(changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6)) {
        let bytes = file().to_bytes().unwrap();
        let mut changed = bytes.clone();
        for (at, byte) in changes {
            let at = at % changed.len();
            changed[at] = byte;
        }
        prop_assert_eq!(ModelFile::from_bytes(&changed).is_ok(), changed == bytes);
    }
}
