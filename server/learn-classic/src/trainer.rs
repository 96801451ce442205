//! The one trainer of all kinds: it reads parameters, weighs rows and fits features alike; what a kind learns from them is its own.

use std::marker::PhantomData;

use serde_json::Value;
use tenor_domain::Error;
use tenor_features::pipeline::{Matrix, Vectorizer, VectorizerParams};
use tenor_learn::params::Params;
use tenor_learn::{FitContext, Model, ModelFile, Trainer, TrainingData};

use crate::features::{self, Takes, object, vectorize};
use crate::weights::RowWeights;

/// Share of a training that its features take, for its progress.
const FEATURES_SHARE: f64 = 0.3;

/// A kind of model.
pub(crate) trait Kind: 'static {
    const NAME: &'static str;
    /// The rows that it learns from.
    const TAKES: Takes;
    /// Its own parameters, without those of weights and features.
    type Options: Send + Sync;

    /// Its own parameters with their defaults: a JSON object.
    fn defaults() -> Value;
    fn read(params: &mut Params<'_>) -> Result<Self::Options, Error>;
    /// The metrics that a fit tells step by step.
    fn curves(_: &Self::Options) -> &'static [&'static str] {
        &[]
    }
    fn learn(fit: Fit<'_>, options: &Self::Options) -> Result<Box<dyn Model>, Error>;
    /// The model of a file of this kind, whose parameters are checked; never trusts its arrays.
    fn load(file: &ModelFile, params: Value) -> Result<Box<dyn Model>, Error>;
}

/// What a kind learns from.
pub(crate) struct Fit<'a> {
    pub data: &'a TrainingData,
    /// All parameters, for the model.
    pub params: Value,
    /// One a training row; at least two classes have some.
    pub weights: Vec<f64>,
    pub vectorizer: Vectorizer,
    /// Of the training rows.
    pub matrix: Matrix,
    /// Of this part of the training: its progress goes from 0 to 1.
    pub context: FitContext<'a>,
}

/// The trainer of the kind `K`.
#[derive(Debug)]
pub(crate) struct KindTrainer<K>(PhantomData<fn() -> K>);

impl<K> KindTrainer<K> {
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

struct Options<K: Kind> {
    own: K::Options,
    weights: RowWeights,
    features: VectorizerParams,
}

fn defaults<K: Kind>() -> Value {
    let mut defaults = object(K::defaults());
    defaults.extend(RowWeights::defaults());
    defaults.extend(features::defaults(K::TAKES));
    Value::Object(defaults)
}

/// The options, and the completed parameters.
fn read<K: Kind>(given: &Value) -> Result<(Options<K>, Value), Error> {
    let defaults = defaults::<K>();
    let mut params = Params::new(given, &defaults)?;
    let options = Options {
        own: K::read(&mut params)?,
        weights: RowWeights::read(&mut params)?,
        features: features::read(&mut params, K::TAKES)?,
    };
    Ok((options, params.complete()))
}

impl<K: Kind> Trainer for KindTrainer<K> {
    fn kind(&self) -> &'static str {
        K::NAME
    }

    fn default_params(&self) -> Value {
        defaults::<K>()
    }

    fn check_params(&self, params: &Value) -> Result<Value, Error> {
        Ok(read::<K>(params)?.1)
    }

    fn curves(&self, params: &Value) -> Result<&'static [&'static str], Error> {
        Ok(K::curves(&read::<K>(params)?.0.own))
    }

    fn fit(&self, data: &TrainingData, params: &Value, context: &FitContext<'_>) -> Result<Box<dyn Model>, Error> {
        let (options, params) = read::<K>(params)?;
        data.check()?;
        let weights = options.weights.of(data)?;
        context.in_pool(|| {
            context.progress(0.0, "reading texts");
            let (vectorizer, matrix) = vectorize(data, &options.features, context)?;
            context.progress(FEATURES_SHARE, "fitting the model");
            let on_progress =
                |share: f64, what: &str| context.progress(FEATURES_SHARE + (1.0 - FEATURES_SHARE) * share, what);
            let context = FitContext { on_progress: &on_progress, ..*context };
            let model = K::learn(Fit { data, params, weights, vectorizer, matrix, context }, &options.own)?;
            context.progress(1.0, "fitted");
            Ok(model)
        })
    }

    fn load(&self, file: &ModelFile) -> Result<Box<dyn Model>, Error> {
        file.expect_kind(K::NAME)?;
        let (_, params) = read::<K>(&file.header.params)?;
        K::load(file, params)
    }
}
