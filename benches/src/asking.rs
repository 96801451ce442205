//! How long a server takes to suggest a point, by the trials that a study has already.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use tenor_benches::measure::Percentiles;
use tenor_domain::RunId;
use tenor_sdk::types::{Budget, param_value};
use tenor_sdk::{Client, NewStudy};

#[derive(Debug, clap::Args)]
pub struct Asking {
    /// http://host:port
    #[arg(long)]
    server: String,
    /// Trials at which suggestions are timed
    #[arg(long, value_delimiter = ',', default_value = "100,1000,20000")]
    lengths: Vec<usize>,
    /// Suggestions that are timed at each, the trials before it
    #[arg(long, default_value_t = 80)]
    calls: usize,
    /// One or two
    #[arg(long, default_value_t = 2)]
    objectives: usize,
}

impl Asking {
    pub async fn run(self) -> anyhow::Result<Value> {
        let studies = Client::connect(&self.server)?.studies();
        let name = format!("asking-{}", &RunId::new().as_str()[24..]);
        let param = |name: &str| json!({ "name": name, "type": "float", "low": 0.0, "high": 1.0 });
        let space = json!((0..6).map(|at| param(&format!("x{at}"))).collect::<Vec<_>>());
        let most = self.lengths.iter().copied().max().context("no lengths")?;
        let budget = Budget { max_trials: i32::try_from(most)?, ..Budget::default() };
        let mut new = NewStudy::new(&name).space(&space).minimize("a").budget(budget);
        if self.objectives > 1 {
            new = new.minimize("b");
        }
        studies.create(new).await?;
        let mut timed: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for number in 0..most {
            let started = Instant::now();
            let trial = studies.suggest(&name, "bench").await?.trial.context("no trial")?;
            let took = started.elapsed().as_secs_f64() * 1e3;
            if let Some(length) = self.lengths.iter().find(|length| (**length - self.calls..**length).contains(&number))
            {
                timed.entry(*length).or_default().push(took);
            }
            let values: Vec<f64> = trial
                .params
                .values()
                .filter_map(|param| match param.value {
                    Some(param_value::Value::FloatValue(value)) => Some(value),
                    _ => None,
                })
                .collect();
            let sum = |to: f64| values.iter().map(|value| (value - to).powi(2)).sum::<f64>();
            let metrics = BTreeMap::from([("a".to_owned(), sum(0.3)), ("b".to_owned(), sum(0.6))]);
            studies.complete(&name, trial.number, "bench", metrics).await?;
        }
        let mut answer = Map::new();
        for (length, took) in timed {
            let found = Percentiles::of(took);
            answer.insert(length.to_string(), json!({ "p50_ms": found.p50, "p95_ms": found.p95 }));
        }
        Ok(Value::Object(answer))
    }
}
