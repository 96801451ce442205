//! The features, which all kinds share: their parameters and their fit.

mod block;

use serde_json::{Map, Value, json};
use tenor_domain::{Digest, Error};
use tenor_features::contract::FeatureContract;
use tenor_features::pipeline::{Matrix, Vectorizer, VectorizerParams};
use tenor_features::svd::SvdParams;
use tenor_features::tfidf::{Analyzer, KnownCounts, TfidfParams, Unit};
use tenor_learn::params::Params;
use tenor_learn::{BUILD, Blocks, FitContext, TrainingData, onnx};

/// What rows a kind learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Sparse rows of terms alone.
    Terms,
    /// Sparse rows of terms and numbers.
    TermsAndNumbers,
    /// Sparse rows of terms and numbers or, with `svd_components`, dense ones of components and numbers.
    Either,
    /// Dense rows of components and numbers.
    Dense,
}

/// The parameters of the features with their defaults. `numeric_weight` over sparse rows is measured:
/// docs/adr/0001-defaults-of-logistic-regression.md.
pub(crate) fn defaults(takes: Takes) -> Map<String, Value> {
    let mut defaults = object(json!({
        "analyzer": "word",
        "ngram_min": 1,
        "ngram_max": 2,
        "char_ngrams": null,
        "min_df": 2,
        "max_df": 1.0,
        "max_features": 20_000,
        "sublinear": true,
        "stemming": null,
        "stop_words": null,
        "hash_bits": null,
        "text_weight": 1.0,
    }));
    if takes != Takes::Terms {
        let weight = if takes == Takes::Dense { 1.0 } else { 0.05 };
        defaults.extend(object(json!({ "numeric_weight": weight, "use_numeric": true })));
    }
    match takes {
        Takes::Terms | Takes::TermsAndNumbers => None,
        Takes::Either => defaults.insert("svd_components".into(), Value::Null),
        Takes::Dense => defaults.insert("svd_components".into(), json!(100)),
    };
    defaults
}

/// The fields of `value`, which is an object.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Reads the parameters of [`defaults`].
pub(crate) fn read(params: &mut Params<'_>, takes: Takes) -> Result<VectorizerParams, Error> {
    let unit = unit(params)?;
    let longest = if unit == Unit::Word { TfidfParams::MAX_NGRAM } else { TfidfParams::MAX_CHAR_NGRAM };
    let ngram_min = params.u32("ngram_min", 1..=longest)?;
    let mut read = VectorizerParams {
        tfidf: TfidfParams {
            ngram_min,
            ngram_max: params.u32("ngram_max", ngram_min..=longest)?,
            min_df: params.u32("min_df", 1..=u32::MAX)?,
            max_df: params.f64("max_df", 1e-9..=1.0)?,
            max_features: params.optional_u32("max_features", 1..=50_000_000)?,
            sublinear: params.bool("sublinear")?,
            analyzer: Analyzer { unit, stemming: stemming(params)?, stop_words: stop_words(params)? },
            hash_bits: params.optional_u32("hash_bits", TfidfParams::HASH_BITS)?,
        },
        char_ngrams: char_ngrams(params)?,
        text_weight: params.f64("text_weight", 1e-3..=1e3)?,
        use_numeric: false,
        ..VectorizerParams::default()
    };
    if takes != Takes::Terms {
        read.numeric_weight = params.f64("numeric_weight", 1e-3..=1e3)?;
        read.use_numeric = params.bool("use_numeric")?;
    }
    let components = 1..=SvdParams::MAX_COMPONENTS;
    let components = match takes {
        Takes::Terms | Takes::TermsAndNumbers => None,
        Takes::Either => params.optional_u32("svd_components", components)?,
        Takes::Dense => Some(params.u32("svd_components", components)?),
    };
    read.svd = components.map(|components| SvdParams { components, ..SvdParams::default() });
    read.check().map_err(|error| of_params(&error))?;
    Ok(read)
}

/// The error about a field of the features as one about a parameter.
fn of_params(error: &Error) -> Error {
    match error.violations.first() {
        Some(violation) => Error::invalid(format!("params.{}", violation.field), violation.description.clone()),
        None => error.clone(),
    }
}

fn unit(params: &mut Params<'_>) -> Result<Unit, Error> {
    let name = "analyzer";
    let unit = match params.value(name).as_str() {
        Some("word") => Unit::Word,
        Some("char") => Unit::Char,
        Some("char_wb") => Unit::CharWb,
        _ => return Err(params.wrong(name, "`word`, `char` or `char_wb`")),
    };
    params.record(name, params.value(name).clone());
    Ok(unit)
}

fn stemming(params: &mut Params<'_>) -> Result<Option<String>, Error> {
    let name = "stemming";
    let language = match params.value(name) {
        Value::Null => None,
        Value::String(language) if Analyzer::LANGUAGES.contains(&language.as_str()) => Some(language.clone()),
        _ => return Err(params.wrong(name, format!("null or one of {}", Analyzer::LANGUAGES.join(", ")))),
    };
    params.record(name, json!(language));
    Ok(language)
}

fn stop_words(params: &mut Params<'_>) -> Result<Vec<String>, Error> {
    let name = "stop_words";
    let wrong = |params: &Params<'_>| params.wrong(name, "null, `english` or a list of words");
    let value = params.value(name);
    let words = match value {
        Value::Null => Vec::new(),
        Value::String(language) if language == "english" => Analyzer::english_stop_words(),
        Value::Array(words) => {
            let words: Option<Vec<String>> = words.iter().map(|word| word.as_str().map(str::to_owned)).collect();
            words.ok_or_else(|| wrong(params))?
        }
        _ => return Err(wrong(params)),
    };
    params.record(name, value.clone());
    Ok(words)
}

fn char_ngrams(params: &mut Params<'_>) -> Result<Option<(u32, u32)>, Error> {
    let name = "char_ngrams";
    let value = params.value(name);
    let range: Option<(u32, u32)> = match value {
        Value::Null => None,
        _ => match serde_json::from_value(value.clone()) {
            Ok(range) => Some(range),
            Err(_) => return Err(params.wrong(name, "null or two lengths, e.g. [3, 5]")),
        },
    };
    params.record(name, json!(range));
    Ok(range)
}

/// Fits the features on the training rows, or takes them from an earlier training over the same rows, and tells how many there are.
pub(crate) fn vectorize(
    data: &TrainingData,
    params: &VectorizerParams,
    context: &FitContext<'_>,
) -> Result<(Vectorizer, Matrix), Error> {
    let rows = data.train.rows();
    let fit = |known| Vectorizer::fit_text(rows, params, context.seed, known, context.stop);
    let (vectorizer, text) = match context.blocks {
        None => fit(None)?,
        Some(blocks) => {
            let key = block_key(data, params, &blocks, context.seed)?;
            // A block that does not fit, of whatever origin, is made anew.
            let kept = blocks.store.get(&key)?.and_then(|block| block::read(&block, data).ok());
            context.metric("train/feature_block_hits", f64::from(u8::from(kept.is_some())), 0);
            match kept {
                Some(kept) => kept,
                None => {
                    let known = blocks.counts.map(|cache| KnownCounts { cache, texts: blocks.rows });
                    let made = fit(known)?;
                    blocks.store.put(&key, &block::write(&made.0, &made.1))?;
                    made
                }
            }
        }
    };
    let vectorizer = vectorizer.weighted(params);
    let matrix = vectorizer.join(&text, rows, context.stop)?;
    context.metric("train/features", vectorizer.width() as f64, 0);
    if let Some(share) = vectorizer.explained_variance() {
        context.metric("train/explained_variance", share, 0);
    }
    Ok((vectorizer, matrix))
}

/// Everything that a block depends on, which weights are not part of; the seed only where there is chance.
fn block_key(data: &TrainingData, params: &VectorizerParams, blocks: &Blocks<'_>, seed: u64) -> Result<Digest, Error> {
    let seed = params.svd.is_some().then_some(seed);
    let unweighted = VectorizerParams { text_weight: 1.0, numeric_weight: 1.0, ..params.clone() };
    let key = json!({
        "build": BUILD, "rows": blocks.rows, "contract": data.contract.hash(), "features": unweighted, "seed": seed,
    });
    Ok(Digest::of(&serde_json::to_vec(&key).map_err(Error::internal)?))
}

/// The names of all columns.
pub(crate) fn names(vectorizer: &Vectorizer, contract: &FeatureContract) -> Vec<String> {
    (0..vectorizer.width()).map(|column| vectorizer.feature(column, contract).1).collect()
}

/// What an ONNX file says besides the model.
pub(crate) fn onnx_options<'a>(
    contract: &'a FeatureContract,
    features: &'a [String],
    temperature: Option<f64>,
) -> onnx::Options<'a> {
    let contract_hash = Some(contract.hash());
    onnx::Options { classes: &contract.classes, features, contract_hash, temperature }
}

/// The places of the `top_k` largest magnitudes that are not zero, largest first. Features ascend by text within each block, so equals
/// stay in that order.
pub(crate) fn strongest(weights: &[f64], top_k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..weights.len()).filter(|&feature| weights[feature] != 0.0).collect();
    let larger = |&a: &usize, &b: &usize| weights[b].abs().total_cmp(&weights[a].abs()).then(a.cmp(&b));
    if top_k < order.len() {
        order.select_nth_unstable_by(top_k, larger);
        order.truncate(top_k);
    }
    order.sort_by(larger);
    order
}
