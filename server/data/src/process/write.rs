//! Second pass: computes the features of each kept row, writes the parts, makes the contract.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use polars::prelude::*;
use tenor_features::contract::{FeatureContract, FeatureSource, NumericFeature};
use tenor_features::text::{AGGREGATE_FEATURES, TEXT_FEATURES, clean, lexicon_digest, text_features};

use super::assign::{DROPPED, NO_KEY, Plan, slices};
use super::{FeatureStatistics, PartReport, ProcessOptions, ProcessReport, Processed, ProcessedPart};
use crate::aggregate::Aggregates;
use crate::split::PARTS;
use crate::table::{TableReader, TableWriter, schema};
use crate::work::ordered;
use crate::{Error, Work};

/// Text features, then aggregates.
pub(crate) const FEATURES: usize = TEXT_FEATURES.len() + AGGREGATE_FEATURES.len();

pub(crate) fn feature_names() -> impl Iterator<Item = &'static str> {
    TEXT_FEATURES.into_iter().chain(AGGREGATE_FEATURES)
}

fn part_schema() -> Schema {
    let mut columns = vec![
        ("row_id", DataType::Int64),
        ("group_id", DataType::Int64),
        ("time", DataType::Int64),
        ("text", DataType::String),
        ("cleaned", DataType::String),
        ("label", DataType::UInt32),
        ("label_text", DataType::String),
    ];
    columns.extend(feature_names().map(|name| (name, DataType::Float64)));
    schema(&columns)
}

struct Slice {
    frames: Vec<DataFrame>,
    /// Feature values of the train rows, by feature; NaN is null.
    train: Vec<Vec<f64>>,
}

struct Context<'a> {
    table: &'a TableReader,
    plan: &'a Plan,
    options: &'a ProcessOptions,
    users: Aggregates,
    items: Aggregates,
}

impl Context<'_> {
    fn slice(&self, offset: usize, rows: usize) -> Result<Slice, Error> {
        let columns = ["row_id", "text", "time"].map(str::to_owned);
        let frame = self.table.read(offset, rows, Some(&columns))?;
        let (ids, texts) = (frame.column("row_id")?.i64()?, frame.column("text")?.str()?);
        let times = frame.column("time")?.i64()?;
        let mut parts: Vec<Rows<'_>> = (0..PARTS).map(|_| Rows::default()).collect();
        for (at, ((id, text), time)) in ids.iter().zip(texts.iter()).zip(times.iter()).enumerate() {
            let row = offset + at;
            if self.plan.parts[row] == DROPPED {
                continue;
            }
            let text = text.unwrap_or("");
            let cleaned = clean(self.options.cleaning, text);
            let part = &mut parts[usize::from(self.plan.parts[row])];
            let mut values = [None; FEATURES];
            for (slot, value) in values.iter_mut().zip(text_features(text, &cleaned)) {
                *slot = Some(value);
            }
            let fold = usize::from(self.plan.fold_of[row]);
            let known = |key: u64| (key != NO_KEY).then_some(key);
            let user = self.users.outside(known(self.plan.user_of[row]), fold);
            let item = self.items.outside(known(self.plan.item_of[row]), fold);
            values[TEXT_FEATURES.len()..].copy_from_slice(&[user[0], user[1], item[0], item[1]]);
            part.values.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
            part.ids.push(id.unwrap_or(0));
            part.groups.push(self.plan.group_of[row]);
            part.times.push(time);
            part.texts.push(text);
            part.cleaned.push(cleaned);
            part.labels.push(self.plan.class_of[row]);
        }
        let frames = parts.iter().map(|part| part.frame(&self.plan.classes)).collect::<Result<_, _>>()?;
        let train = parts[0].values.iter().map(|values| values.iter().map(|v| v.unwrap_or(f64::NAN)).collect());
        Ok(Slice { frames, train: train.collect() })
    }
}

struct Rows<'a> {
    ids: Vec<i64>,
    groups: Vec<i64>,
    times: Vec<Option<i64>>,
    texts: Vec<&'a str>,
    cleaned: Vec<String>,
    labels: Vec<u32>,
    values: Vec<Vec<Option<f64>>>,
}

impl Default for Rows<'_> {
    fn default() -> Self {
        let values = vec![Vec::new(); FEATURES];
        Self {
            ids: Vec::new(),
            groups: Vec::new(),
            times: Vec::new(),
            texts: Vec::new(),
            cleaned: Vec::new(),
            labels: Vec::new(),
            values,
        }
    }
}

impl Rows<'_> {
    fn frame(&self, classes: &[String]) -> Result<DataFrame, Error> {
        let names: Vec<&str> = self.labels.iter().map(|label| classes[*label as usize].as_str()).collect();
        let mut columns = vec![
            Column::new("row_id".into(), &self.ids),
            Column::new("group_id".into(), &self.groups),
            Column::new("time".into(), &self.times),
            Column::new("text".into(), &self.texts),
            Column::new("cleaned".into(), &self.cleaned),
            Column::new("label".into(), &self.labels),
            Column::new("label_text".into(), names),
        ];
        columns.extend(feature_names().zip(&self.values).map(|(name, values)| Column::new(name.into(), values)));
        Ok(DataFrame::new_infer_height(columns)?)
    }
}

pub(super) fn write(
    accepted: &Path,
    options: &ProcessOptions,
    plan: Plan,
    paths: [PathBuf; PARTS],
    work: &Work<'_>,
) -> Result<Processed, Error> {
    let table = TableReader::open(accepted)?;
    let mut context =
        Context { table: &table, plan: &plan, options, users: Aggregates::default(), items: Aggregates::default() };
    for row in (0..plan.rows_in).filter(|row| plan.parts[*row] == 0) {
        let (fold, chars) = (usize::from(plan.fold_of[row]), plan.chars_of[row]);
        for (aggregates, key) in [(&mut context.users, plan.user_of[row]), (&mut context.items, plan.item_of[row])] {
            if key != NO_KEY {
                aggregates.add(key, fold, chars);
            }
        }
    }
    let mut writers = Vec::with_capacity(PARTS);
    for path in &paths {
        writers.push(TableWriter::create(path, &part_schema())?);
    }
    let mut train: Vec<Vec<f64>> = vec![Vec::new(); FEATURES];
    let (mut next, mut done) = (slices(plan.rows_in), 0);
    ordered(
        work,
        || Ok(next.next()),
        |(offset, rows)| Ok((rows, context.slice(offset, rows)?)),
        |(rows, slice)| {
            for (writer, frame) in writers.iter_mut().zip(slice.frames) {
                writer.write(frame)?;
            }
            train.iter_mut().zip(slice.train).for_each(|(all, more)| all.extend(more));
            done += rows;
            (work.progress)(0.5 + 0.5 * done as f64 / plan.rows_in as f64, "features");
            Ok(())
        },
    )?;
    let mut rows = [0u64; PARTS];
    for (count, writer) in rows.iter_mut().zip(writers) {
        *count = writer.finish()?;
    }
    let features: Vec<_> = feature_names().zip(train).map(|(name, values)| statistics(name, values)).collect();
    let contract = contract(options, &plan, &features);
    let report = report(plan, rows, features);
    let [train, validation, test] = paths;
    Ok(Processed {
        train: ProcessedPart { path: train, rows: rows[0] },
        validation: ProcessedPart { path: validation, rows: rows[1] },
        test: ProcessedPart { path: test, rows: rows[2] },
        contract,
        report,
    })
}

fn statistics(name: &str, mut present: Vec<f64>) -> FeatureStatistics {
    let all = present.len() as u64;
    present.retain(|value| !value.is_nan());
    present.sort_unstable_by(f64::total_cmp);
    let n = present.len() as f64;
    let (mut mean, mut std) = (0.0, 0.0);
    if !present.is_empty() {
        mean = present.iter().sum::<f64>() / n;
        // Two passes: no digits are lost to a large mean.
        std = (present.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt();
    }
    let quantile = |share: f64| match present.len() {
        0 => 0.0,
        len => {
            let position = (len - 1) as f64 * share;
            let (low, high) = (present[position.floor() as usize], present[position.ceil() as usize]);
            low + (high - low) * position.fract()
        }
    };
    FeatureStatistics {
        name: name.to_owned(),
        count: present.len() as u64,
        nulls: all - present.len() as u64,
        mean,
        std,
        min: present.first().copied().unwrap_or(0.0),
        max: present.last().copied().unwrap_or(0.0),
        quantiles: [1, 5, 10, 20, 25, 30, 40, 50, 60, 70, 75, 80, 90, 95, 99]
            .into_iter()
            .map(|percent| (format!("p{percent:02}"), quantile(f64::from(percent) / 100.0)))
            .collect(),
    }
}

/// Allowed ranges; the data validation of the replaced system has the same.
fn range(name: &str) -> (f64, f64) {
    match name {
        "text_len" | "user_avg_len" | "item_avg_len" => (0.0, 50_000.0),
        "word_count" => (0.0, 10_000.0),
        "kindle_freq" | "avg_word_length" => (0.0, 50.0),
        "caps_ratio" => (0.0, 1.0),
        "sentiment" => (-1.0, 1.0),
        "exclamation_count" | "question_count" => (0.0, 50_000.0),
        _ => (0.0, 1e9),
    }
}

fn contract(options: &ProcessOptions, plan: &Plan, features: &[FeatureStatistics]) -> FeatureContract {
    let numeric = features.iter().map(|feature| {
        let (min, max) = range(&feature.name);
        let source = match feature.name.as_str() {
            name if TEXT_FEATURES.contains(&name) => FeatureSource::Text,
            name if name.starts_with("user") => FeatureSource::User,
            _ => FeatureSource::Item,
        };
        NumericFeature {
            name: feature.name.clone(),
            source,
            min: min.min(feature.min),
            max: max.max(feature.max),
            mean: feature.mean,
            std: feature.std,
            default: feature.quantiles.get("p50").copied().unwrap_or(0.0),
        }
    });
    FeatureContract {
        format: FeatureContract::FORMAT,
        text_column: "text".to_owned(),
        cleaning: options.cleaning,
        min_chars: 1,
        max_chars: 100_000,
        lexicon: lexicon_digest(),
        numeric: if options.numeric { numeric.collect() } else { Vec::new() },
        classes: plan.classes.clone(),
        stars: plan.stars.clone(),
    }
}

fn report(plan: Plan, rows: [u64; PARTS], features: Vec<FeatureStatistics>) -> ProcessReport {
    let mut counts = vec![vec![0u64; plan.classes.len()]; PARTS];
    for (part, class) in plan.parts.iter().zip(&plan.class_of).filter(|(part, _)| **part != DROPPED) {
        counts[usize::from(*part)][*class as usize] += 1;
    }
    let share = |part: usize, class: usize| counts[part][class] as f64 / rows[part].max(1) as f64;
    let shift =
        |class| (0..PARTS).map(|part| share(part, class)).fold((1.0f64, 0.0f64), |(a, b), s| (a.min(s), b.max(s)));
    let label_shift = (0..plan.classes.len()).map(shift).map(|(least, most)| most - least).fold(0.0, f64::max);
    let mut parts = counts.iter().zip(rows).map(|(counts, rows)| {
        let classes: BTreeMap<_, _> = plan.classes.iter().cloned().zip(counts.iter().copied()).collect();
        PartReport { rows, classes }
    });
    let mut part = || parts.next().unwrap_or(PartReport { rows: 0, classes: BTreeMap::new() });
    let (train, validation, test) = (part(), part(), part());
    let mut warnings = Vec::new();
    if label_shift > 0.1 {
        warnings.push(format!("the share of a class differs by {label_shift:.3} between the parts (more than 0.1)"));
    }
    let rows_out = rows.iter().sum::<u64>();
    if plan.largest_group * 10 > rows_out {
        warnings.push(format!("one group holds {} of {rows_out} rows; the parts are uneven", plan.largest_group));
    }
    for (name, part) in [("train", &train), ("validation", &validation), ("test", &test)] {
        for (class, _) in part.classes.iter().filter(|(_, rows)| **rows == 0) {
            warnings.push(format!("class `{class}` has no row in {name}"));
        }
    }
    ProcessReport {
        rows_in: plan.rows_in as u64,
        rows_out,
        dropped: plan.dropped,
        classes_before: plan.classes_before,
        train,
        validation,
        test,
        grouped_rows: plan.grouped_rows,
        largest_group: plan.largest_group,
        label_shift,
        features,
        warnings,
    }
}
