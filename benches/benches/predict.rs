//! The hot path of a prediction in process; the target is a median below 15 µs a text.
//!
//! `cargo bench --workspace --bench predict`

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tenor_benches::hot_path::fitted;

fn predict(criterion: &mut Criterion) {
    let (mut path, texts) = match fitted(20_000) {
        Ok(fitted) => fitted,
        Err(error) => panic!("no model to measure: {error:#}"),
    };
    eprintln!("{:?} over {} texts", path.model().size(), texts.len());
    let mut texts = texts.iter().cycle();
    criterion.bench_function("text to probabilities, TF-IDF 20k", |bencher| {
        bencher.iter(|| {
            let text = texts.next().map_or("", String::as_str);
            black_box(path.answer(black_box(text)).map(<[f64]>::len).unwrap_or(0))
        });
    });
}

criterion_group!(benches, predict);
criterion_main!(benches);
