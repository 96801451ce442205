use std::io::Write as _;
use std::path::{Path, PathBuf};

use tenor_data::{GenerateOptions, GeneratedFormat};

/// `rows` synthetic reviews as Kaggle CSV in `folder`.
pub fn reviews(folder: &Path, rows: u64, defects: f64) -> PathBuf {
    generated(folder, rows, defects, GeneratedFormat::KaggleCsv)
}

pub fn generated(folder: &Path, rows: u64, defects: f64, format: GeneratedFormat) -> PathBuf {
    let name = match format {
        GeneratedFormat::KaggleCsv => "reviews.csv",
        GeneratedFormat::JsonLines => "reviews.jsonl",
    };
    let path = folder.join(name);
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    let options = GenerateOptions { rows, seed: 7, format, defects, ..GenerateOptions::default() };
    tenor_data::generate(&options, &mut file).unwrap();
    file.flush().unwrap();
    path
}

/// A real file that may not be passed on with the source; `None`, with a line on stderr, where it is not there.
pub fn real(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("TENOR_REAL_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let path = folder.join(name);
    if !path.exists() {
        eprintln!("skipped: no {name}; set TENOR_REAL_DATA to the folder that holds it");
        return None;
    }
    Some(path)
}
