use super::*;

fn fit(params: &VectorizerParams) -> (Vectorizer, CsrMatrix, Vec<Prepared>) {
    let texts: Vec<String> =
        (0..50).map(|i| format!("great book {} of the {}", "slow ".repeat(i % 4), i % 7)).collect();
    let numeric: Vec<f64> = (0..100).map(|i| f64::from(i * i) / 7.0).collect();
    let rows = Rows { texts: &texts, numeric: &numeric, width: 2 };
    let (vectorizer, matrix) = Vectorizer::fit(rows, params, 1, Stop::never()).unwrap();
    assert_eq!(vectorizer.transform(rows, Stop::never()).unwrap(), matrix);
    let Matrix::Sparse(matrix) = matrix else { panic!("the rows are sparse") };
    let prepared =
        texts.into_iter().zip(numeric.chunks(2)).map(|(cleaned, row)| Prepared { cleaned, numeric: row.to_vec() });
    (vectorizer, matrix, prepared.collect())
}

#[test]
fn a_row_is_the_same_alone_and_in_a_batch_before_and_after_saving() {
    let params = VectorizerParams { text_weight: 0.3, numeric_weight: 2.5, ..VectorizerParams::default() };
    let (vectorizer, matrix, prepared) = fit(&params);
    let numeric = ["x", "y"].map(|name| {
        serde_json::json!({ "name": name, "source": "caller", "min": 0.0, "max": 1.0, "mean": 0.0, "std": 1.0, "default": 0.0 })
    });
    let contract: FeatureContract = serde_json::from_value(serde_json::json!({
        "format": 1, "text_column": "t", "cleaning": "unicode", "min_chars": 1, "max_chars": 9,
        "lexicon": crate::text::lexicon_digest(), "classes": ["a", "b"], "stars": null,
        "numeric": numeric,
    }))
    .unwrap();
    let mut arrays = Arrays::default();
    vectorizer.save(&mut arrays);
    let loaded = Vectorizer::load(&arrays, &contract).unwrap();
    let mut scratch = Scratch::default();
    for (index, prepared) in prepared.iter().enumerate() {
        for vectorizer in [&vectorizer, &loaded] {
            vectorizer.transform_into(prepared, &mut scratch);
            assert_eq!(scratch.row.as_ref(), matrix.row(index));
        }
    }
    assert_eq!(vectorizer.feature(0, &contract), (FeatureKind::Term, "book".to_owned()));
    assert_eq!(vectorizer.feature(vectorizer.width() - 1, &contract), (FeatureKind::Numeric, "y".to_owned()));
    let mut narrow = contract;
    narrow.numeric.pop();
    assert!(Vectorizer::load(&arrays, &narrow).is_err());
}

#[test]
fn without_the_numeric_block_there_are_only_terms() {
    let (vectorizer, matrix, _) = fit(&VectorizerParams { use_numeric: false, ..VectorizerParams::default() });
    assert_eq!(vectorizer.width(), vectorizer.terms());
    assert_eq!(matrix.width, vectorizer.terms());
}

#[test]
fn rows_of_the_wrong_width_are_refused() {
    let rows = Rows { texts: &["aa bb".to_owned()], numeric: &[1.0], width: 2 };
    assert!(Vectorizer::fit(rows, &VectorizerParams::default(), 1, Stop::never()).is_err());
}

#[test]
fn weights_multiply_the_values_of_their_block_alike_in_a_batch_and_alone() {
    let (prepared, rows) = {
        let (_, _, prepared) = fit(&VectorizerParams::default());
        let texts: Vec<String> = prepared.iter().map(|row| row.cleaned.clone()).collect();
        let numeric: Vec<f64> = prepared.iter().flat_map(|row| row.numeric.clone()).collect();
        (prepared, (texts, numeric))
    };
    let rows = Rows { texts: &rows.0, numeric: &rows.1, width: 2 };
    for svd in [None, Some(SvdParams { components: 3, ..SvdParams::default() })] {
        let params = VectorizerParams { text_weight: 0.3, numeric_weight: 7.0, svd, ..VectorizerParams::default() };
        let (vectorizer, weighted) = Vectorizer::fit(rows, &params, 1, Stop::never()).unwrap();
        let (_, plain) = Vectorizer::fit_unweighted(rows, &params, 1, None, Stop::never()).unwrap();
        assert_eq!(vectorizer.transform(rows, Stop::never()).unwrap(), weighted);
        let numbers_from = vectorizer.width() - vectorizer.numbers();
        let weight = |column: usize| if column < numbers_from { 0.3 } else { 7.0 };
        let mut scratch = Scratch::default();
        for (index, prepared) in prepared.iter().enumerate() {
            vectorizer.transform_into(prepared, &mut scratch);
            match (&weighted, &plain) {
                (Matrix::Sparse(weighted), Matrix::Sparse(plain)) => {
                    assert_eq!(scratch.row.as_ref(), weighted.row(index));
                    for ((column, value), (_, plain)) in weighted.row(index).iter().zip(plain.row(index).iter()) {
                        assert_eq!(value, (f64::from(plain) * weight(column)) as f32);
                    }
                }
                (Matrix::Dense(weighted), Matrix::Dense(plain)) => {
                    assert_eq!(scratch.dense, weighted.row(index));
                    for (column, (value, plain)) in weighted.row(index).iter().zip(plain.row(index)).enumerate() {
                        assert_eq!(*value, (f64::from(*plain) * weight(column)) as f32);
                    }
                }
                _ => panic!("weights change no shape"),
            }
        }
    }
}
