//! Searches on problems whose best values are known: how good the search is, and how long it takes to suggest.
//!
//! The problems are those of the peers' `problems.py` and `recorded.py`, number for number.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::{Value, json};
use tenor_domain::ParamValue;
use tenor_tune::history::random_of;
use tenor_tune::pareto::hypervolume;
use tenor_tune::{Assignment, Direction, Domain, History, Param, SamplerKind, Space, Trial, TrialState, When};

use crate::recorded;

#[derive(Debug, Args)]
pub struct Studies {
    /// A problem's name.
    #[arg(long)]
    problem: String,
    /// random, quasi_random, grid, tpe, gp or nsga2.
    #[arg(long, default_value = "tpe")]
    sampler: String,
    #[arg(long, default_value_t = 200)]
    trials: u64,
    /// Numbers of trials to judge at.
    #[arg(long, value_delimiter = ',', default_value = "60,100,200")]
    marks: Vec<usize>,
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// Lengths of history at which a suggestion is timed; the trials are random ones.
    #[arg(long, value_delimiter = ',', default_value = "100,1000")]
    overhead: Vec<u64>,
    /// Instead of any study: the values at so many random points, to be compared with the peers'.
    #[arg(long, value_name = "COUNT")]
    points: Option<u64>,
}

impl Studies {
    pub fn run(&self) -> anyhow::Result<Value> {
        let problem = problem(&self.problem).with_context(|| format!("there is no problem `{}`", self.problem))?;
        if let Some(count) = self.points {
            return Ok(json!({ "problem": self.problem, "points": problem.points(count) }));
        }
        let kind = SamplerKind::ALL.into_iter().find(|kind| kind.as_str() == self.sampler);
        let kind = kind.with_context(|| format!("there is no sampler `{}`", self.sampler))?;
        ensure!(self.marks.iter().all(|mark| *mark as u64 <= self.trials), "a mark lies behind the last trial");
        let mut scores: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for seed in self.first_seed..self.first_seed + self.seeds {
            let values = problem.study(kind, seed, self.trials)?;
            for mark in &self.marks {
                scores.entry(*mark).or_default().push(problem.score(&values[..*mark]));
            }
        }
        let overhead: BTreeMap<u64, f64> = self
            .overhead
            .iter()
            .map(|length| Ok((*length, problem.milliseconds(kind, *length)?)))
            .collect::<anyhow::Result<_>>()?;
        Ok(json!({ "problem": self.problem, "sampler": self.sampler, "scores": scores, "suggest_ms": overhead }))
    }
}

type Objectives = fn(&Assignment) -> Vec<f64>;

struct Problem {
    space: Space,
    objectives: usize,
    /// Of the hypervolume; empty for one objective.
    reference: Vec<f64>,
    value: Objectives,
}

impl Problem {
    fn study(&self, kind: SamplerKind, seed: u64, count: u64) -> anyhow::Result<Vec<Vec<f64>>> {
        let sampler = kind.sampler(&self.space, self.objectives);
        let directions = vec![Direction::Minimize; self.objectives];
        let mut trials = Vec::new();
        for number in 0..count {
            let history = History { directions: &directions, trials: &trials };
            let point = sampler.suggest(&self.space, history, seed, number)?;
            trials.push(self.trial(number, point));
        }
        Ok(trials.into_iter().map(|trial| trial.values).collect())
    }

    fn points(&self, count: u64) -> Vec<Value> {
        let points = (0..count).map(|number| self.space.assignment(&self.space.random(&mut random_of(2, number))));
        points.map(|at| json!({ "params": at, "values": (self.value)(&at) })).collect()
    }

    fn trial(&self, number: u64, point: tenor_tune::Point) -> Trial {
        let values = (self.value)(&self.space.assignment(&point));
        Trial { number, state: TrialState::Complete, point, values, violation: 0.0, reports: Vec::new() }
    }

    fn score(&self, values: &[Vec<f64>]) -> f64 {
        match self.objectives {
            1 => values.iter().map(|value| value[0]).fold(f64::INFINITY, f64::min),
            _ => hypervolume(values, &self.reference),
        }
    }

    /// The median time of a suggestion with `length` random trials of history.
    fn milliseconds(&self, kind: SamplerKind, length: u64) -> anyhow::Result<f64> {
        const ASKS: u64 = 21;
        let sampler = kind.sampler(&self.space, self.objectives);
        let directions = vec![Direction::Minimize; self.objectives];
        let trials: Vec<Trial> =
            (0..length).map(|number| self.trial(number, self.space.random(&mut random_of(1, number)))).collect();
        let history = History { directions: &directions, trials: &trials };
        let mut took = Vec::new();
        for ask in 0..ASKS {
            let started = Instant::now();
            std::hint::black_box(sampler.suggest(&self.space, history, ask, length)?);
            took.push(started.elapsed().as_secs_f64() * 1e3);
        }
        took.sort_by(f64::total_cmp);
        Ok(took[took.len() / 2])
    }
}

fn float(name: &str, low: f64, high: f64, log: bool) -> Param {
    Param { name: name.to_owned(), domain: Domain::Float { low, high, log, step: None }, when: None }
}

fn int(name: &str, low: i64, high: i64, log: bool, step: i64) -> Param {
    Param { name: name.to_owned(), domain: Domain::Int { low, high, log, step }, when: None }
}

fn choices(name: &str, choices: Vec<ParamValue>) -> Param {
    Param { name: name.to_owned(), domain: Domain::Categorical { choices }, when: None }
}

fn texts(texts: &[&str]) -> Vec<ParamValue> {
    texts.iter().map(|text| ParamValue::Text((*text).to_owned())).collect()
}

fn of_model(model: &str, param: Param) -> Param {
    Param { when: Some(When { param: "model".to_owned(), values: texts(&[model]) }), ..param }
}

fn unit(count: usize) -> Vec<Param> {
    (0..count).map(|at| float(&format!("x{at}"), 0.0, 1.0, false)).collect()
}

fn problem(name: &str) -> Option<Problem> {
    let (params, reference, value): (Vec<Param>, Vec<f64>, Objectives) = match name {
        "branin" => (vec![float("x0", -5.0, 10.0, false), float("x1", 0.0, 15.0, false)], vec![], branin),
        "hartmann6" => (unit(6), vec![], hartmann6),
        "clf" => (classifier_space(), vec![], |at| classifier(at)[..1].to_vec()),
        "zdt1" => (unit(10), vec![1.1, 5.0], |at| zdt(at, |ratio| 1.0 - ratio.sqrt())),
        "zdt2" => (unit(10), vec![1.1, 5.0], |at| zdt(at, |ratio| 1.0 - ratio * ratio)),
        "dtlz2" => (unit(7), vec![1.5; 3], dtlz2),
        "clf_mo" => (classifier_space(), vec![0.30, 10f64.ln(), 1e6f64.ln()], classifier),
        "recorded" => (recorded::space(), vec![], recorded::error),
        "recorded_mo" => (recorded::space(), recorded::reference(), recorded::error_and_size),
        _ => return None,
    };
    // Every space above is written here.
    let space = Space::new(params).unwrap_or_else(|error| unreachable!("{error}"));
    Some(Problem { space, objectives: reference.len().max(1), reference, value })
}

fn number(at: &Assignment, name: &str) -> f64 {
    match &at[name] {
        ParamValue::Int(value) => *value as f64,
        ParamValue::Float(value) => *value,
        _ => f64::NAN,
    }
}

fn text<'a>(at: &'a Assignment, name: &str) -> &'a str {
    match &at[name] {
        ParamValue::Text(value) => value,
        _ => "",
    }
}

fn xs(at: &Assignment) -> Vec<f64> {
    (0..at.len()).map(|axis| number(at, &format!("x{axis}"))).collect()
}

fn branin(at: &Assignment) -> Vec<f64> {
    use std::f64::consts::PI;
    let (x, y) = (number(at, "x0"), number(at, "x1"));
    let inner = y - 5.1 / (4.0 * PI * PI) * x * x + 5.0 / PI * x - 6.0;
    vec![inner * inner + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * x.cos() + 10.0]
}

fn hartmann6(at: &Assignment) -> Vec<f64> {
    const A: [f64; 4] = [1.0, 1.2, 3.0, 3.2];
    const B: [[f64; 6]; 4] = [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ];
    const P: [[f64; 6]; 4] = [
        [1312.0, 1696.0, 5569.0, 124.0, 8283.0, 5886.0],
        [2329.0, 4135.0, 8307.0, 3736.0, 1004.0, 9991.0],
        [2348.0, 1451.0, 3522.0, 2883.0, 3047.0, 6650.0],
        [4047.0, 8828.0, 8732.0, 5743.0, 1091.0, 381.0],
    ];
    let x = xs(at);
    let term = |row: usize| {
        let sum: f64 = (0..6).map(|axis| B[row][axis] * (x[axis] - P[row][axis] * 1e-4).powi(2)).sum();
        A[row] * (-sum).exp()
    };
    vec![-(0..4).map(term).sum::<f64>()]
}

fn zdt(at: &Assignment, shape: fn(f64) -> f64) -> Vec<f64> {
    let x = xs(at);
    let g = 1.0 + 9.0 * x[1..].iter().sum::<f64>() / (x.len() - 1) as f64;
    vec![x[0], g * shape(x[0] / g)]
}

fn dtlz2(at: &Assignment) -> Vec<f64> {
    use std::f64::consts::FRAC_PI_2;
    let x = xs(at);
    let g: f64 = x[2..].iter().map(|value| (value - 0.5).powi(2)).sum();
    let (a, b) = (x[0] * FRAC_PI_2, x[1] * FRAC_PI_2);
    vec![(1.0 + g) * a.cos() * b.cos(), (1.0 + g) * a.cos() * b.sin(), (1.0 + g) * a.sin()]
}

fn classifier_space() -> Vec<Param> {
    vec![
        int("max_features", 1_000, 100_000, true, 1),
        choices("ngram_max", vec![ParamValue::Int(1), ParamValue::Int(2), ParamValue::Int(3)]),
        int("svd_dim", 10, 300, false, 10),
        int("min_df", 1, 20, false, 1),
        choices("model", texts(&["logreg", "rf", "hgb", "mlp"])),
        of_model("logreg", float("C", 1e-4, 1e2, true)),
        of_model("logreg", choices("penalty", texts(&["l1", "l2"]))),
        of_model("rf", int("n_estimators", 50, 500, false, 1)),
        of_model("rf", int("max_depth", 2, 32, false, 1)),
        of_model("rf", choices("max_features_rf", texts(&["sqrt", "log2", "half"]))),
        of_model("hgb", float("learning_rate", 1e-3, 1.0, true)),
        of_model("hgb", int("max_leaf_nodes", 4, 256, true, 1)),
        of_model("hgb", float("l2", 1e-8, 10.0, true)),
        of_model("mlp", int("layers", 1, 3, false, 1)),
        of_model("mlp", int("hidden", 8, 512, true, 1)),
        of_model("mlp", float("lr", 1e-5, 1e-1, true)),
        of_model("mlp", float("alpha", 1e-7, 1e-1, true)),
    ]
}

/// Error, ln latency, ln complexity of a made-up response surface.
fn classifier(at: &Assignment) -> Vec<f64> {
    let of = |name: &str| number(at, name);
    let (ngram, svd) = (of("ngram_max"), of("svd_dim"));
    let mut error = 0.02 * (of("max_features").log10() - 4.5).powi(2)
        + [0.02, 0.0, 0.005][ngram as usize - 1]
        + 0.03 * ((svd / 150.0).ln() / 15f64.ln()).powi(2)
        + 0.0005 * (of("min_df") - 3.0).abs();
    let mut latency = 0.2 + 0.05 * ngram + 0.002 * svd;
    let mut size = svd * 10.0;
    match text(at, "model") {
        "logreg" => {
            let sparse = text(at, "penalty") == "l1";
            error += 0.110 + 0.012 * (of("C").log10() - 0.3).powi(2) + if sparse { 0.004 } else { 0.0 };
            size += svd * if sparse { 0.5 } else { 1.0 };
            latency += 0.01;
        }
        "rf" => {
            let (trees, depth) = (of("n_estimators"), of("max_depth"));
            let features = match text(at, "max_features_rf") {
                "sqrt" => 0.0,
                "log2" => 0.004,
                _ => 0.006,
            };
            error += 0.115 + 3.0 / trees + 0.06 * (-depth / 6.0).exp() + features;
            latency += 0.01 * trees + 0.02 * depth;
            size += trees * 2f64.powf(depth.min(12.0));
        }
        "hgb" => {
            let leaves = of("max_leaf_nodes");
            error += 0.095
                + 0.030 * (of("learning_rate").log10() + 1.0).powi(2)
                + 0.008 * (leaves.log2() - 5.0).powi(2) / 4.0
                + 0.001 * (of("l2").log10() + 2.0).powi(2) / 4.0;
            latency += 0.004 * leaves;
            size += 100.0 * leaves;
        }
        _ => {
            let (layers, width) = (of("layers"), of("hidden"));
            error += 0.090
                + 0.025 * (of("lr").log10() + 3.0).powi(2)
                + 0.010 * (width.log2() - 7.0).powi(2) / 4.0
                + 0.002 * (of("alpha").log10() + 4.0).powi(2)
                + 0.004 * (layers - 1.0);
            latency += 0.001 * width * layers;
            size += svd * width + (layers - 1.0) * width * width;
        }
    }
    vec![error, latency.ln(), size.ln()]
}
