//! First pass: reads every row once, decides its class and its part.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use tenor_domain::Task;
use tenor_features::text::clean;
use xxhash_rust::xxh3::xxh3_64;

use super::{ProcessOptions, SplitMethod};
use crate::aggregate::FOLDS;
use crate::minhash::{Groups, Shingles, Signature, join_near};
use crate::split::{mix, stratified, temporal};
use crate::table::{ROW_GROUP_ROWS, TableReader};
use crate::work::ordered;
use crate::{Error, Work};

/// Rows that a worker takes at once.
pub(super) const SLICE_ROWS: usize = ROW_GROUP_ROWS / 4;
/// Part of a row that was dropped.
pub(super) const DROPPED: u8 = u8::MAX;

/// What the second pass needs to know of each row of the file.
pub(super) struct Plan {
    pub(super) rows_in: usize,
    /// By row of the file: 0 train, 1 validation, 2 test, or [`DROPPED`].
    pub(super) parts: Vec<u8>,
    /// By row of the file; counts from 0 within `classes`.
    pub(super) class_of: Vec<u32>,
    pub(super) fold_of: Vec<u8>,
    /// Id of the first row of the row's group: copies, near copies, and in a grouped split the rows of a user or item.
    pub(super) group_of: Vec<i64>,
    pub(super) user_of: Vec<u64>,
    pub(super) item_of: Vec<u64>,
    pub(super) chars_of: Vec<u32>,
    pub(super) classes: Vec<String>,
    pub(super) stars: Option<Vec<f64>>,
    pub(super) dropped: BTreeMap<String, u64>,
    pub(super) classes_before: BTreeMap<String, u64>,
    pub(super) grouped_rows: u64,
    pub(super) largest_group: u64,
}

/// Hash of a missing user or item.
pub(super) const NO_KEY: u64 = 0;

#[derive(Default)]
struct Facts {
    id: Vec<u64>,
    /// Index into `names`.
    label: Vec<u32>,
    /// The labels in order of appearance.
    names: Vec<String>,
    user: Vec<u64>,
    item: Vec<u64>,
    time: Vec<Option<i64>>,
    chars: Vec<u32>,
    /// Hash of the cleaned text; 0 when nothing is left.
    text: Vec<u64>,
    signature: Vec<Signature>,
}

impl Facts {
    /// Index of a label; there are few, so a scan is enough.
    fn name(&mut self, label: &str) -> u32 {
        let found = self.names.iter().position(|name| name == label);
        let at = found.unwrap_or_else(|| {
            self.names.push(label.to_owned());
            self.names.len() - 1
        });
        at as u32
    }
}

pub(super) fn slices(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).step_by(SLICE_ROWS).map(move |start| (start, SLICE_ROWS.min(rows - start)))
}

fn read_facts(table: &TableReader, offset: usize, rows: usize, options: &ProcessOptions) -> Result<Facts, Error> {
    let columns = ["row_id", "text", "label", "user", "item", "time"].map(str::to_owned);
    let frame = table.read(offset, rows, Some(&columns))?;
    let key = |v: Option<&str>| v.map_or(NO_KEY, |v| xxh3_64(v.as_bytes()).max(1));
    let mut facts = Facts {
        id: frame.column("row_id")?.i64()?.iter().map(|v| v.unwrap_or(0).cast_unsigned()).collect(),
        user: frame.column("user")?.str()?.iter().map(key).collect(),
        item: frame.column("item")?.str()?.iter().map(key).collect(),
        time: frame.column("time")?.i64()?.iter().collect(),
        ..Facts::default()
    };
    for label in frame.column("label")?.str()?.iter() {
        let label = facts.name(label.unwrap_or(""));
        facts.label.push(label);
    }
    let near = options.near_duplicates_together && options.split != SplitMethod::Temporal;
    let mut shingles = Shingles::default();
    for text in frame.column("text")?.str()?.iter() {
        let text = text.unwrap_or("");
        let cleaned = clean(options.cleaning, text);
        facts.chars.push(text.chars().count() as u32);
        facts.text.push(if cleaned.is_empty() { 0 } else { xxh3_64(cleaned.as_bytes()).max(1) });
        if near {
            facts.signature.push(shingles.signature_of(&cleaned));
        }
    }
    Ok(facts)
}

/// Maps a stored label to the task's class name; `None` drops the row.
fn class_name(task: Task, label: &str) -> Result<Option<String>, Error> {
    let wrong = |need: &str| {
        Err(Error::option("task", format!("{task} needs {need}, but a label is `{label}`; use task `label`")))
    };
    let stars: Option<u8> = label.parse().ok().filter(|star| (1..=5).contains(star));
    match (task, stars) {
        (Task::Label, _) | (Task::Star, Some(_)) => Ok(Some(label.to_owned())),
        (Task::Star, None) => wrong("stars from 1 to 5"),
        (Task::Binary, Some(star)) => Ok(match star {
            4.. => Some("positive".to_owned()),
            3 => None,
            _ => Some("negative".to_owned()),
        }),
        (Task::Binary, None) => match label.to_ascii_lowercase().as_str() {
            "positive" | "pos" => Ok(Some("positive".to_owned())),
            "negative" | "neg" => Ok(Some("negative".to_owned())),
            "neutral" | "mixed" => Ok(None),
            _ => wrong("stars from 1 to 5 or the labels positive and negative"),
        },
    }
}

pub(super) fn plan(accepted: &Path, options: &ProcessOptions, work: &Work<'_>) -> Result<Plan, Error> {
    let table = TableReader::open(accepted)?;
    let rows = table.rows();
    if rows == 0 {
        return Err(Error::NoRows("the dataset version has no accepted rows".into()));
    }
    let mut next = slices(rows);
    let mut all = Facts::default();
    ordered(
        work,
        || Ok(next.next()),
        |(offset, rows)| read_facts(&table, offset, rows, options),
        |facts| {
            all.id.extend(facts.id);
            let names: Vec<u32> = facts.names.iter().map(|name| all.name(name)).collect();
            all.label.extend(facts.label.into_iter().map(|label| names[label as usize]));
            all.user.extend(facts.user);
            all.item.extend(facts.item);
            all.time.extend(facts.time);
            all.chars.extend(facts.chars);
            all.text.extend(facts.text);
            all.signature.extend(facts.signature);
            (work.progress)(0.4 * all.id.len() as f64 / rows as f64, "read");
            Ok(())
        },
    )?;

    let mut dropped = BTreeMap::<String, u64>::new();
    let mut drop_row = |reason: &str| *dropped.entry(reason.to_owned()).or_default() += 1;
    let (classes, class_of, mut kept) = classes(&all, options, &mut drop_row)?;
    let stars = (options.task == Task::Star).then(|| classes.iter().filter_map(|c| c.parse().ok()).collect());
    let mut counts = vec![0u64; classes.len()];
    kept.iter().for_each(|row| counts[class_of[*row as usize] as usize] += 1);
    let classes_before = classes.iter().cloned().zip(counts).collect();
    if let Some(most) = options.balance {
        kept = balance(kept, &class_of, &all.id, classes.len(), most, options.seed);
        let lost = rows as u64 - kept.len() as u64 - dropped.values().sum::<u64>();
        if lost > 0 {
            dropped.insert("balance".into(), lost);
        }
    }
    work.check()?;
    (work.progress)(0.45, "split");
    let mut plan = Plan {
        rows_in: rows,
        parts: vec![DROPPED; rows],
        fold_of: vec![0; rows],
        group_of: vec![0; rows],
        grouped_rows: 0,
        largest_group: 0,
        class_of,
        classes,
        stars,
        dropped,
        classes_before,
        user_of: Vec::new(),
        item_of: Vec::new(),
        chars_of: Vec::new(),
    };
    assign(&mut plan, &kept, &mut all, options);
    (plan.user_of, plan.item_of, plan.chars_of) = (all.user, all.item, all.chars);
    for (part, name) in ["train", "validation", "test"].iter().enumerate() {
        if !plan.parts.iter().any(|p| usize::from(*p) == part) {
            let count = kept.len();
            return Err(Error::NoRows(format!(
                "no row is left for {name} ({count} rows to share); bring more rows or other fractions"
            )));
        }
    }
    Ok(plan)
}

type Classes = (Vec<String>, Vec<u32>, Vec<u32>);

/// Class names in order, the class of each row, the rows that have one.
fn classes(all: &Facts, options: &ProcessOptions, drop_row: &mut impl FnMut(&str)) -> Result<Classes, Error> {
    let mut by_label = Vec::with_capacity(all.names.len());
    for label in &all.names {
        by_label.push(class_name(options.task, label)?);
    }
    let mut names: Vec<String> = by_label.iter().flatten().cloned().collect();
    names.sort_unstable();
    names.dedup();
    let mut class_of = vec![0u32; all.label.len()];
    let mut kept = Vec::with_capacity(all.label.len());
    let mut present = vec![false; names.len()];
    for (row, label) in all.label.iter().enumerate() {
        let Some(name) = &by_label[*label as usize] else {
            drop_row("neutral_label");
            continue;
        };
        if all.text[row] == 0 {
            drop_row("empty_after_cleaning");
            continue;
        }
        if options.split == SplitMethod::Temporal && all.time[row].is_none() {
            drop_row("no_time");
            continue;
        }
        let class = names.partition_point(|n| n < name);
        class_of[row] = class as u32;
        present[class] = true;
        kept.push(row as u32);
    }
    let present_count = present.iter().filter(|p| **p).count();
    if present_count < 2 || present_count < names.len() {
        let have = names.iter().zip(&present).filter(|(_, p)| **p).map(|(n, _)| format!("`{n}`")).collect::<Vec<_>>();
        if present_count < 2 {
            let have = if have.is_empty() { "none".to_owned() } else { have.join(", ") };
            return Err(Error::NoRows(format!("a classifier needs two classes or more; the rows have {have}")));
        }
        // A class whose rows were all dropped is no class.
        let remap: Vec<u32> = present
            .iter()
            .scan(0, |n, p| {
                let at = *n;
                *n += u32::from(*p);
                Some(at)
            })
            .collect();
        kept.iter().for_each(|row| class_of[*row as usize] = remap[class_of[*row as usize] as usize]);
        let mut present = present.iter();
        names.retain(|_| present.next() == Some(&true));
    }
    Ok((names, class_of, kept))
}

/// At most `most` rows a class, those of the least hash.
fn balance(kept: Vec<u32>, class_of: &[u32], ids: &[u64], classes: usize, most: u64, seed: u64) -> Vec<u32> {
    let mut by_class = vec![Vec::new(); classes];
    for row in kept {
        by_class[class_of[row as usize] as usize].push((mix(ids[row as usize], seed ^ 0xBA1A), row));
    }
    let mut rows: Vec<u32> = by_class
        .into_iter()
        .flat_map(|mut rows| {
            rows.sort_unstable();
            rows.truncate(most as usize);
            rows.into_iter().map(|(_, row)| row)
        })
        .collect();
    rows.sort_unstable();
    rows
}

fn assign(plan: &mut Plan, kept: &[u32], all: &mut Facts, options: &ProcessOptions) {
    let of = |values: &[u64]| kept.iter().map(|row| values[*row as usize]).collect::<Vec<u64>>();
    let (ids, texts) = (of(&all.id), of(&all.text));
    let mut groups = Groups::new(kept.len());
    let join_equal = |groups: &mut Groups, keys: &[u64]| {
        let mut first = HashMap::with_capacity(keys.len());
        for (at, key) in keys.iter().enumerate().filter(|(_, key)| **key != NO_KEY) {
            groups.join(*first.entry(*key).or_insert(at as u32), at as u32);
        }
    };
    let unit = match options.split {
        SplitMethod::GroupedByUser => Some(of(&all.user)),
        SplitMethod::GroupedByItem => Some(of(&all.item)),
        SplitMethod::Stratified | SplitMethod::Temporal => None,
    };
    join_equal(&mut groups, &texts);
    if options.split == SplitMethod::Temporal {
        let times: Vec<i64> = kept.iter().map(|row| all.time[*row as usize].unwrap_or(0)).collect();
        let parts = temporal(&times, options.fractions);
        let mut earliest: HashMap<u64, u8> = HashMap::new();
        for (part, text) in parts.iter().zip(&texts) {
            earliest.entry(*text).and_modify(|p| *p = (*p).min(*part)).or_insert(*part);
        }
        for ((row, part), text) in kept.iter().zip(parts).zip(&texts) {
            if earliest.get(text) == Some(&part) {
                plan.parts[*row as usize] = part;
            } else {
                *plan.dropped.entry("duplicate_across_split".into()).or_default() += 1;
            }
        }
    } else {
        if let Some(keys) = &unit {
            join_equal(&mut groups, keys);
        }
        if options.near_duplicates_together {
            // Rows are kept in order, so the signatures can move down in place.
            for (at, row) in kept.iter().enumerate() {
                all.signature.swap(at, *row as usize);
            }
            all.signature.truncate(kept.len());
            join_near(&all.signature, &mut groups);
            all.signature = Vec::new();
        }
        let class_of: Vec<u32> = kept.iter().map(|row| plan.class_of[*row as usize]).collect();
        let parts = stratified(&ids, &class_of, &mut groups, plan.classes.len(), options.fractions, options.seed);
        for (row, part) in kept.iter().zip(parts) {
            plan.parts[*row as usize] = part;
        }
        let mut sizes = vec![0u64; kept.len()];
        (0..kept.len() as u32).for_each(|at| sizes[groups.find(at) as usize] += 1);
        plan.grouped_rows = sizes.iter().filter(|size| **size > 1).sum();
        plan.largest_group = sizes.into_iter().max().unwrap_or(0);
    }
    for (at, row) in kept.iter().enumerate() {
        // In a grouped split the folds are grouped as well: a train row then knows as little of its user as a test row.
        let key = unit.as_ref().map_or(ids[at], |keys| if keys[at] == NO_KEY { ids[at] } else { keys[at] });
        plan.fold_of[*row as usize] = (mix(key, options.seed ^ 0xF01D) % FOLDS as u64) as u8;
        plan.group_of[*row as usize] = ids[groups.find(at as u32) as usize].cast_signed();
    }
}
