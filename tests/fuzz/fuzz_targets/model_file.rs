//! A model file of any bytes is refused or loads; it never panics, and what loads can predict. Bytes alone hardly come past the
//! checksum, so they also say how to change a good file, which is then sealed anew.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tenor_features::arrays::Array;
use tenor_learn::{ModelFile, Registry, Scratch};

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| Registry::new(tenor_learn_classic::trainers()));
static GOOD: LazyLock<ModelFile> =
    LazyLock::new(|| ModelFile::from_bytes(include_bytes!("../../golden/model_v1.safetensors")).expect("a model file"));

fuzz_target!(|bytes: &[u8]| {
    load(bytes);
    if let Ok(Some(file)) = changed(&mut Unstructured::new(bytes)) {
        load(&file);
    }
});

fn load(bytes: &[u8]) {
    let Ok((model, _)) = REGISTRY.load(bytes) else { return };
    let contract = model.contract();
    if let Ok(prepared) = contract.prepare_for_training("good book".to_owned(), &vec![None; contract.numeric.len()]) {
        let mut probabilities = vec![0.0; model.classes().len()];
        model.predict(&prepared, &mut Scratch::default(), &mut probabilities);
    }
}

/// The good file with some parts replaced; `None` when the header is none any more.
fn changed(draw: &mut Unstructured<'_>) -> Result<Option<Vec<u8>>> {
    let mut file = GOOD.clone();
    let mut header = serde_json::to_value(&file.header).expect("a header is JSON");
    for _ in 0..draw.int_in_range(1..=3)? {
        if draw.ratio(1, 2)? {
            change_value(&mut header, draw)?;
        } else {
            let names: Vec<String> = file.arrays.iter().map(|(name, _)| name.to_owned()).collect();
            let name = draw.choose(&names)?;
            let array = file.arrays.iter().find(|(found, _)| found == name).expect("a name of it").1.clone();
            file.arrays.insert(name, change_array(array, draw)?);
        }
    }
    let Ok(mut header) = serde_json::from_value::<tenor_learn::file::Header>(header) else { return Ok(None) };
    header.contract_hash = header.contract.hash();
    file.header = header;
    Ok(file.to_bytes().ok())
}

/// Replaces a value somewhere below `value`.
fn change_value(value: &mut Value, draw: &mut Unstructured<'_>) -> Result<()> {
    match value {
        Value::Object(entries) if !entries.is_empty() && draw.ratio(9, 10)? => {
            let at = draw.choose_index(entries.len())?;
            change_value(entries.values_mut().nth(at).expect("an index of it"), draw)
        }
        Value::Array(items) if !items.is_empty() && draw.ratio(9, 10)? => {
            let at = draw.choose_index(items.len())?;
            match draw.int_in_range(0..=4)? {
                0 => drop(items.remove(at)),
                1 => items.insert(at, items[at].clone()),
                _ => change_value(&mut items[at], draw)?,
            }
            Ok(())
        }
        value => {
            *value = match draw.int_in_range(0..=6)? {
                0 => Value::Null,
                1 => draw.arbitrary::<bool>()?.into(),
                2 => draw.arbitrary::<u64>()?.into(),
                3 => draw.arbitrary::<i8>()?.into(),
                4 => draw.arbitrary::<f64>()?.into(),
                5 => draw.arbitrary::<&str>()?.into(),
                _ => Value::Array(Vec::new()),
            };
            Ok(())
        }
    }
}

/// Another array, or the same with another length or another element.
fn change_array(mut array: Array, draw: &mut Unstructured<'_>) -> Result<Array> {
    macro_rules! change {
        ($data:expr) => {
            match draw.int_in_range(0..=2)? {
                0 if !$data.is_empty() => {
                    let at = draw.choose_index($data.len())?;
                    $data[at] = draw.arbitrary()?;
                }
                1 => $data.truncate(draw.choose_index($data.len() + 1)?),
                _ => $data.push(draw.arbitrary()?),
            }
        };
    }
    match &mut array {
        _ if draw.ratio(1, 8)? => return Ok(Array::U64(draw.arbitrary()?)),
        Array::U8(data) => change!(data),
        Array::U64(data) => change!(data),
        Array::F32(data) => change!(data),
        Array::F64(data) => change!(data),
    }
    Ok(array)
}
