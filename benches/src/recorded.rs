//! Searches over recorded trials: how real classifiers scored at the points of a grid, and between them by interpolation.
//!
//! The peers' `recorded.py` has the same, number for number.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use tenor_domain::ParamValue;
use tenor_tune::{Assignment, Domain, Param, When};

/// Made by `make record-trials`.
const TRIALS: &str = include_str!("../tables/kindle_trials.csv");
static TABLE: LazyLock<Table> = LazyLock::new(|| Table::parse(TRIALS));
/// Columns behind the parameters.
const MEASURES: [&str; 5] = ["macro_f1", "accuracy", "log_loss", "latency_us", "model_bytes"];
const CHOICES: [&str; 3] = ["penalty", "stemming", "norm"];
const BY_LOGARITHM: [&str; 3] = ["C", "alpha", "learning_rate"];

/// Error and the logarithm of the model's size.
type Losses = [f64; 2];

#[derive(Default)]
struct Table {
    kinds: BTreeMap<String, Kind>,
}

/// The grid of one kind.
#[derive(Default)]
struct Kind {
    axes: Vec<Axis>,
    rows: Vec<Row>,
}

struct Axis {
    name: String,
    is_choice: bool,
    by_logarithm: bool,
    /// What the rows have, rising; empty for choices.
    levels: Vec<f64>,
}

struct Row {
    /// By axis, as the table has them.
    texts: Vec<String>,
    /// By axis: the index of the level; 0 for choices.
    levels: Vec<usize>,
    losses: Losses,
}

impl Table {
    /// The table is a part of this program: one that is wrong is found by its first test.
    fn parse(text: &str) -> Self {
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<&str>>());
        let header = lines.next().unwrap_or_default();
        let mut table = Self::default();
        for cells in lines {
            let of = |name: &str| header.iter().zip(&cells).find(|it| *it.0 == name).map_or("", |it| it.1);
            let params = header.iter().zip(&cells).skip(1).filter(|it| !MEASURES.contains(it.0) && !it.1.is_empty());
            let (names, texts): (Vec<&str>, Vec<String>) = params.map(|it| (*it.0, (*it.1).to_owned())).unzip();
            let losses = [1.0 - decimal(of("macro_f1")), decimal(of("model_bytes")).ln()];
            let kind = table.kinds.entry(of("kind").to_owned()).or_default();
            kind.axes = names.into_iter().map(Axis::new).collect();
            kind.rows.push(Row { texts, levels: Vec::new(), losses });
        }
        table.kinds.values_mut().for_each(Kind::find_levels);
        table
    }

    fn losses(&self, at: &Assignment) -> Losses {
        let kind = at["kind"].to_string();
        let grid = &self.kinds[&kind];
        let values: Vec<&ParamValue> = grid.axes.iter().map(|axis| &at[&format!("{kind}.{}", axis.name)]).collect();
        let places: Vec<f64> = grid.axes.iter().zip(&values).map(|(axis, value)| axis.place(value)).collect();
        let mut sums = [0.0; 2];
        for row in &grid.rows {
            let mut weight = 1.0;
            for (at, axis) in grid.axes.iter().enumerate() {
                weight *= match axis.is_choice {
                    true => f64::from(u8::from(row.texts[at] == values[at].to_string())),
                    false => (1.0 - (places[at] - row.levels[at] as f64).abs()).max(0.0),
                };
            }
            sums.iter_mut().zip(row.losses).for_each(|(sum, loss)| *sum += weight * loss);
        }
        sums
    }
}

impl Kind {
    fn find_levels(&mut self) {
        let by_axis = |(at, axis): (usize, &mut Axis)| {
            if axis.is_choice {
                self.rows.iter_mut().for_each(|row| row.levels.push(0));
                return;
            }
            let numbers: Vec<f64> = self.rows.iter().map(|row| axis.scaled(decimal(&row.texts[at]))).collect();
            axis.levels = numbers.clone();
            axis.levels.sort_by(f64::total_cmp);
            axis.levels.dedup();
            for (row, number) in self.rows.iter_mut().zip(numbers) {
                row.levels.push(axis.levels.partition_point(|level| *level < number));
            }
        };
        self.axes.iter_mut().enumerate().for_each(by_axis);
    }
}

impl Axis {
    fn new(name: &str) -> Self {
        let (is_choice, by_logarithm) = (CHOICES.contains(&name), BY_LOGARITHM.contains(&name));
        Self { name: name.to_owned(), is_choice, by_logarithm, levels: Vec::new() }
    }

    fn scaled(&self, number: f64) -> f64 {
        if self.by_logarithm { number.ln() } else { number }
    }

    /// Between which levels a value lies: 1.25 is a quarter of the way from level 1 to level 2.
    fn place(&self, value: &ParamValue) -> f64 {
        let number = match value {
            ParamValue::Int(value) => *value as f64,
            ParamValue::Float(value) => *value,
            _ => return 0.0,
        };
        let (number, levels) = (self.scaled(number), &self.levels);
        let upper = levels.partition_point(|level| *level <= number).clamp(1, levels.len() - 1);
        (upper - 1) as f64 + (number - levels[upper - 1]) / (levels[upper] - levels[upper - 1])
    }
}

fn decimal(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

/// The space that kinds of the table are searched in together, as the server's usual ones.
pub fn space() -> Vec<Param> {
    let texts = |texts: &[&str]| texts.iter().map(|text| ParamValue::Text((*text).to_owned())).collect();
    let log = |low, high| Domain::Float { low, high, log: true, step: None };
    let int = |low, high, step| Domain::Int { low, high, log: false, step };
    let choices = |names: &[&str]| Domain::Categorical { choices: texts(names) };
    let terms = || [("max_features", int(2_000, 6_000, 500)), ("stemming", choices(&["null", "english"]))];
    let norms = Domain::Categorical { choices: vec![ParamValue::Bool(false), ParamValue::Bool(true)] };
    let kinds = [
        ("logreg", vec![("C", log(0.01, 100.0)), ("penalty", choices(&["l2", "l1"]))], true),
        (
            "nbsvm",
            vec![("C", log(0.03, 30.0)), ("beta", Domain::Float { low: 0.0, high: 1.0, log: false, step: None })],
            true,
        ),
        ("complement_nb", vec![("alpha", log(0.01, 10.0)), ("norm", norms)], true),
        (
            "hist_gb",
            vec![
                ("learning_rate", log(0.01, 0.3)),
                ("max_iter", int(60, 160, 20)),
                ("svd_components", int(20, 100, 20)),
                ("min_samples_leaf", int(10, 60, 10)),
            ],
            false,
        ),
    ];
    let kind = Domain::Categorical { choices: texts(&kinds.each_ref().map(|(kind, ..)| *kind)) };
    let mut params = vec![Param { name: "kind".to_owned(), domain: kind, when: None }];
    for (kind, own, counts_terms) in kinds {
        for (name, domain) in own.into_iter().chain(terms().into_iter().filter(|_| counts_terms)) {
            let when = Some(When { param: "kind".to_owned(), values: texts(&[kind]) });
            params.push(Param { name: format!("{kind}.{name}"), domain, when });
        }
    }
    params
}

pub fn error(at: &Assignment) -> Vec<f64> {
    TABLE.losses(at)[..1].to_vec()
}

pub fn error_and_size(at: &Assignment) -> Vec<f64> {
    TABLE.losses(at).to_vec()
}

/// The worst of both in the table.
pub fn reference() -> Vec<f64> {
    let rows = || TABLE.kinds.values().flat_map(|kind| &kind.rows);
    (0..2).map(|at| rows().map(|row| row.losses[at]).fold(f64::NEG_INFINITY, f64::max)).collect()
}

#[cfg(test)]
mod tests {
    use tenor_tune::Space;

    use super::*;

    #[test]
    fn a_recorded_point_has_its_recorded_losses() {
        let space = Space::new(space()).unwrap();
        for (kind, grid) in &TABLE.kinds {
            assert!(grid.axes.iter().all(|axis| axis.is_choice || axis.levels.len() > 1));
            for row in &grid.rows {
                let value = |(axis, text): (&Axis, &String)| match text.as_str() {
                    "true" | "false" => ParamValue::Bool(text == "true"),
                    _ if axis.is_choice => ParamValue::Text(text.clone()),
                    _ => text.parse().map_or_else(|_| ParamValue::Float(decimal(text)), ParamValue::Int),
                };
                let named = grid.axes.iter().zip(&row.texts);
                let mut at: Assignment = named.map(|it| (format!("{kind}.{}", it.0.name), value(it))).collect();
                at.insert("kind".to_owned(), ParamValue::Text(kind.clone()));
                space.point(&at).unwrap();
                for (found, recorded) in error_and_size(&at).into_iter().zip(row.losses) {
                    assert!((found - recorded).abs() < 1e-9, "{at:?}: {found} {recorded}");
                }
            }
        }
    }

    #[test]
    fn between_recorded_points_losses_are_between() {
        let text = "kind,C,macro_f1,model_bytes\nlogreg,1,0.5,1\nlogreg,100,0.9,1\n";
        let table = Table::parse(text);
        let at = |c| {
            let kind = ParamValue::Text("logreg".to_owned());
            Assignment::from([("kind".to_owned(), kind), ("logreg.C".to_owned(), ParamValue::Float(c))])
        };
        assert!((table.losses(&at(10.0))[0] - 0.3).abs() < 1e-12);
    }
}
