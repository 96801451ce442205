//! Experiment tracking through the SDK: one client, one call at a time unless it says so.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Map, Value, json};
use sqlx::{Connection as _, PgConnection};
use tenor_benches::measure::Percentiles;
use tenor_domain::RunId;
use tenor_sdk::types::{Metric, ParamValue, Run, param_value};
use tenor_sdk::{Client, Experiments, NewRun, RunQuery};
use tokio::sync::Mutex;

#[derive(Debug, clap::Args)]
pub struct Tracking {
    /// http://host:port
    #[arg(long)]
    server: String,
    /// The server's PostgreSQL, to measure what one row and its commit cost there
    #[arg(long)]
    database: Option<String>,
    /// Calls an operation; searches take a tenth
    #[arg(long, default_value_t = 2_000)]
    ops: usize,
    /// Runs of the experiments that are searched, smallest first
    #[arg(long, value_delimiter = ',', default_value = "300,1000")]
    runs: Vec<usize>,
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

const KINDS: [&str; 4] = ["logreg", "rf", "hgb", "mlp"];
const METRICS: [&str; 5] = ["accuracy", "f1", "auc", "latency_ms", "size"];
const FILTER: &str = "metrics.accuracy > 0.8 AND params.model = 'rf'";

impl Tracking {
    pub async fn run(self) -> anyhow::Result<Value> {
        let experiments = Client::connect(&self.server)?.experiments();
        let mut random = Random(self.seed);
        let unique = RunId::new();
        let name = format!("bench-{unique}");
        experiments.create(name.as_str()).await?;
        let run = experiments.create_run(NewRun::new(&name)).await?.id;
        experiments.log_metric_batch(&run, vec![point("warm", 1.0, 0)]).await?;

        let mut ops = Map::new();
        if let Some(url) = &self.database {
            ops.insert("commit".to_owned(), commits(url, self.ops).await?);
        }
        let single =
            timed(self.ops, async |i| experiments.log_metric_batch(&run, vec![point("loss", i as f64, i)]).await)
                .await?;
        ops.insert("log_metric_1".to_owned(), single);
        ops.insert("log_metric_stream".to_owned(), self.streamed(&experiments, &run).await?);
        let batches = (self.ops / 20).max(5);
        let mut batch = timed(batches, async |i| {
            let points = (0..1_000).map(|k| point("m", random.next(), i * 1_000 + k)).collect();
            experiments.log_metric_batch(&run, points).await
        })
        .await?;
        batch["metrics_per_s"] = json!(batch["ops_per_s"].as_f64().unwrap_or_default() * 1e3);
        ops.insert("log_batch_1000".to_owned(), batch);
        ops.insert(
            "create_run".to_owned(),
            timed(self.ops, async |_| experiments.create_run(NewRun::new(&name)).await).await?,
        );
        for &runs in &self.runs {
            let name = format!("search-{runs}-{unique}");
            self.search(&experiments, &name, runs, &mut random, &mut ops).await?;
        }
        Ok(json!({ "ops": ops }))
    }

    /// The same single points as messages of one stream, each a batch of its own that the server acknowledges at the end.
    async fn streamed(&self, experiments: &Experiments, run: &str) -> anyhow::Result<Value> {
        let began = Instant::now();
        let points = stream::iter((0..self.ops).map(|i| vec![point("streamed", i as f64, i)]));
        let done = experiments.log_metrics(run, points).await?;
        ensure!(done.metrics == self.ops as i64, "{} of {} streamed metrics were stored", done.metrics, self.ops);
        Ok(json!({ "n": self.ops, "ops_per_s": self.ops as f64 / began.elapsed().as_secs_f64() }))
    }

    /// Fills an experiment with `runs` runs of five metrics and four parameters and searches it.
    async fn search(
        &self,
        experiments: &Experiments,
        name: &str,
        runs: usize,
        random: &mut Random,
        ops: &mut Map<String, Value>,
    ) -> anyhow::Result<()> {
        experiments.create(name).await?;
        let (mut matching, mut best) = (0, f64::MIN);
        let began = Instant::now();
        for i in 0..runs {
            let (kind, c) = (KINDS[i % KINDS.len()], random.next().to_string());
            let params = [("model", kind), ("C", &c), ("svd", "100"), ("ngram", "2")];
            let params = params.map(|(key, value)| (key.to_owned(), text(value)));
            let run = experiments.create_run(NewRun::new(name).params(BTreeMap::from(params))).await?;
            let metrics: Vec<Metric> = METRICS.iter().map(|key| point(key, random.next(), 0)).collect();
            matching += usize::from(kind == "rf" && metrics[0].value > 0.8);
            best = best.max(metrics[0].value);
            experiments.log_metric_batch(&run.id, metrics).await?;
        }
        let filled = json!({ "n": runs, "ops_per_s": runs as f64 / began.elapsed().as_secs_f64() });
        let searches = (self.ops / 10).max(5);
        let filter = || RunQuery::new().experiment(name).filter(FILTER).page_size(1_000);
        let found: Vec<Run> = experiments.runs(filter()).try_collect().await?;
        ensure!(found.len() == matching, "the filter found {} runs of {matching}", found.len());
        let mut filtered =
            timed(searches, async |_| experiments.runs(filter()).try_collect::<Vec<Run>>().await).await?;
        filtered["found"] = json!(found.len());
        let top = || {
            experiments.runs(RunQuery::new().experiment(name).order_by("metrics.accuracy DESC").page_size(50)).take(50)
        };
        let first: Vec<Run> = top().try_collect().await?;
        let first = first.first().context("no run came first")?;
        ensure!(first.metrics.get("accuracy") == Some(&best), "the first of the best is not the best");
        let top = timed(searches, async |_| top().try_collect::<Vec<Run>>().await).await?;
        ops.insert(format!("create_run_plus_batch_{runs}"), filled);
        ops.insert(format!("search_filter_{runs}"), filtered);
        ops.insert(format!("search_top50_{runs}"), top);
        Ok(())
    }
}

/// Rows that are inserted and committed one by one, by one statement each: no durable write is faster.
async fn commits(url: &str, calls: usize) -> anyhow::Result<Value> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query("CREATE TABLE bench_commits (value DOUBLE PRECISION)").execute(&mut connection).await?;
    let connection = Mutex::new(connection);
    timed(calls, async |i| {
        let mut connection = connection.lock().await;
        sqlx::query("INSERT INTO bench_commits VALUES ($1)").bind(i as f64).execute(&mut *connection).await
    })
    .await
}

/// Calls one after another.
async fn timed<T, E>(calls: usize, mut call: impl AsyncFnMut(usize) -> Result<T, E>) -> anyhow::Result<Value>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut took_ms = Vec::with_capacity(calls);
    let began = Instant::now();
    for i in 0..calls {
        let began = Instant::now();
        call(i).await?;
        took_ms.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let per_s = calls as f64 / began.elapsed().as_secs_f64();
    let latency = Percentiles::of(took_ms);
    Ok(json!({ "n": calls, "ops_per_s": per_s, "p50_ms": latency.p50, "p99_ms": latency.p99 }))
}

fn point(key: &str, value: f64, step: usize) -> Metric {
    Metric { key: key.to_owned(), value, step: step as i64, ..Metric::default() }
}

fn text(value: &str) -> ParamValue {
    ParamValue { value: Some(param_value::Value::TextValue(value.to_owned())) }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    /// The next number from 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
