//! What onnxruntime makes of the files. Needs a Python with onnx, onnxruntime and numpy: `TENOR_ONNX_PYTHON=path/to/python`.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::cases::{Case, linear_case, network_case, tree_case};
use crate::label_of;
use crate::onnx::Combine;

/// The probabilities and labels that onnxruntime gives.
fn run(python: &OsString, case: &Case) -> (Vec<f64>, Vec<i64>) {
    let rows = case.rows.len() / case.width;
    let mut input: Vec<u8> =
        [case.bytes.len(), rows, case.width].iter().flat_map(|n| (*n as u64).to_le_bytes()).collect();
    input.extend_from_slice(&case.bytes);
    input.extend(case.rows.iter().flat_map(|value| value.to_le_bytes()));
    let script = ["-c", include_str!("run.py")];
    let mut child =
        Command::new(python).args(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python starts");
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", case.name);
    let (floats, labels) = output.stdout.split_at(rows * case.classes * 4);
    let float = |bytes: &[u8]| f64::from(f32::from_le_bytes(bytes.try_into().unwrap()));
    let label = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().unwrap());
    (floats.chunks(4).map(float).collect(), labels.chunks(8).map(label).collect())
}

/// Within 1e-5, and the label is the most likely class, but where two are as likely within that.
fn check(python: &OsString, case: &Case) {
    let (probabilities, labels) = run(python, case);
    let mut worst = 0.0f64;
    for ((row, wanted), label) in
        probabilities.chunks(case.classes).zip(case.probabilities.chunks(case.classes)).zip(labels)
    {
        for (p, wanted) in row.iter().zip(wanted) {
            assert!((p - wanted).abs() < 1e-5, "{}: {row:?} is not {wanted:?}", case.name);
            worst = worst.max((p - wanted).abs());
        }
        let best = wanted[label_of(wanted)];
        assert!(best - wanted[label as usize] < 1e-5, "{}: label {label} of {wanted:?}", case.name);
    }
    println!("{}: {} bytes, largest difference {worst:.1e}", case.name, case.bytes.len());
}

#[test]
fn onnxruntime_gives_the_same_probabilities() {
    let Some(python) = std::env::var_os("TENOR_ONNX_PYTHON") else {
        println!("skipped: TENOR_ONNX_PYTHON does not name a Python with onnx, onnxruntime and numpy");
        return;
    };
    let three = Combine::Sum { base: &[0.2, -0.1, 0.4] };
    let cases = [
        linear_case(1, None),
        linear_case(1, Some(2.5)),
        linear_case(4, None),
        linear_case(4, Some(0.4)),
        network_case(8),
        network_case(13),
        tree_case(60, 8, Combine::Mean { outputs: 1 }, 2, Some(0.8)),
        tree_case(60, 8, Combine::Mean { outputs: 2 }, 2, None),
        tree_case(60, 8, Combine::Mean { outputs: 5 }, 5, Some(1.7)),
        tree_case(1, 0, Combine::Mean { outputs: 3 }, 3, None),
        tree_case(40, 6, Combine::Sum { base: &[-0.7] }, 2, None),
        tree_case(120, 6, three, 3, Some(1.3)),
        tree_case(3, 0, three, 3, None),
        tree_case(0, 0, three, 3, None),
    ];
    cases.iter().for_each(|case| check(&python, case));
}

#[test]
fn generated_models_are_written_the_same_twice() {
    let trees = || tree_case(4, 3, Combine::Sum { base: &[0.5] }, 2, None).bytes;
    assert_eq!(trees(), trees());
    assert_eq!(network_case(2).bytes, network_case(2).bytes);
}
