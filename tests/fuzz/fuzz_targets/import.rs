//! A file of any bytes is read with every row accounted for, or refused; it never panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tenor_data::{ImportOptions, Work, import};

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = folder.path().join("source");
    std::fs::write(&source, bytes).expect("a temporary file");
    let work = Work { progress: &|_, _| {}, cancelled: &|| false, threads: 1, scratch: folder.path() };
    if let Ok(import) = import(&source, &ImportOptions::default(), &folder.path().join("out"), &work) {
        assert_eq!(import.rows_read, import.rows_accepted + import.rows_quarantined);
    }
});
