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
fn weights_come_after_the_fit_and_scaled_values_are_rounded_once() {
    let (texts, numeric): (Vec<String>, Vec<f64>) = (0..50)
        .map(|i| (format!("great book {} of the {}", "slow ".repeat(i % 4), i % 7), (i * i) as f64 / 7.0))
        .unzip();
    let rows = Rows { texts: &texts, numeric: &numeric, width: 1 };
    for svd in [None, Some(SvdParams { components: 3, ..SvdParams::default() })] {
        let params = VectorizerParams { text_weight: 0.3, numeric_weight: 0.05, svd, ..VectorizerParams::default() };
        let (vectorizer, matrix) = Vectorizer::fit(rows, &params, 1, Stop::never()).unwrap();
        let other = VectorizerParams { numeric_weight: 7.0, ..params.clone() };
        let (fitted, text) = Vectorizer::fit_text(rows, &other, 1, None, Stop::never()).unwrap();
        let fitted = fitted.weighted(&params);
        assert_eq!(fitted.join(&text, rows, Stop::never()).unwrap(), matrix);
        assert_eq!(fitted.transform(rows, Stop::never()).unwrap(), matrix);
        let mut scratch = Scratch::default();
        for (index, text) in texts.iter().enumerate() {
            let prepared = Prepared { cleaned: text.clone(), numeric: vec![numeric[index]] };
            fitted.transform_into(&prepared, &mut scratch);
            let last = match &matrix {
                Matrix::Sparse(matrix) => {
                    assert_eq!(scratch.row.as_ref(), matrix.row(index));
                    *matrix.row(index).values.last().unwrap()
                }
                Matrix::Dense(matrix) => {
                    assert_eq!(scratch.dense, matrix.row(index));
                    *matrix.row(index).last().unwrap()
                }
            };
            assert_eq!(last, (vectorizer.scaler.scaled(0, numeric[index]) * 0.05) as f32);
        }
        let wrong = if fitted.is_dense() {
            Matrix::Sparse(CsrMatrix::empty(1))
        } else {
            Matrix::Dense(DenseMatrix::zeros(0, 1))
        };
        assert!(fitted.join(&wrong, rows, Stop::never()).is_err());
    }
}
