//! The dice, and what they can make.

use tenor_domain::Run;

use super::{Expr, Field, Literal, Test};

/// SplitMix64: the same seed, the same searches.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }
    pub fn chance(&mut self, percent: usize) -> bool {
        self.roll(100) < percent
    }
}

pub const METRICS: [&str; 4] = ["f1", "test/f1.macro", "a b", "ü"];
pub const PARAMS: [&str; 3] = ["C", "solver", "quo\"te`"];
pub const TAGS: [&str; 2] = ["team", "x-y:z"];
pub const NUMBERS: [f64; 12] =
    [0.0, -0.0, 1.0, 0.5, 0.1 + 0.2, 0.3, -3.5, 1e300, 5e-324, 9_007_199_254_740_993.0, 1e18, -1e-7];
pub const TEXTS: [&str; 20] = [
    "",
    "a",
    "A",
    "ab",
    "aB",
    "a%b",
    "a_b",
    "a\\b",
    "\\",
    "ä",
    "Äb",
    "日本",
    "🦀",
    "it's",
    "\"q\"",
    "1",
    "true",
    "NaN",
    "lbfgs",
    "'; DROP TABLE runs; --",
];
const STATES: [&str; 5] = ["pending", "running", "succeeded", "failed", "cancelled"];

/// A random field, a random test of it, and combinations down to `depth`. Ids and times come from `runs`.
pub fn filter(dice: &mut Dice, runs: &[Run], depth: usize) -> Expr {
    if depth == 0 || dice.chance(40) {
        return is(dice, runs);
    }
    let parts = |dice: &mut Dice| (0..2 + dice.roll(2)).map(|_| filter(dice, runs, depth - 1)).collect();
    match dice.roll(3) {
        0 => Expr::And(parts(dice)),
        1 => Expr::Or(parts(dice)),
        _ => Expr::Not(Box::new(filter(dice, runs, depth - 1))),
    }
}

pub fn field(dice: &mut Dice) -> Field {
    match dice.roll(10) {
        0..=2 => Field::Metric(dice.pick(&METRICS)),
        3..=4 => Field::Param(dice.pick(&PARAMS)),
        5 => Field::Tag(dice.pick(&TAGS)),
        6 => Field::State,
        7 => Field::Time(dice.pick(&["create_time", "start_time", "finish_time"])),
        8 if dice.chance(20) => Field::Job,
        _ => Field::Text(dice.pick(&[
            "id",
            "experiment",
            "parent_run_id",
            "name",
            "kind",
            "note",
            "error",
            "split_id",
            "name",
            "note",
        ])),
    }
}

fn is(dice: &mut Dice, runs: &[Run]) -> Expr {
    let field = field(dice);
    // All literals of one test are of one kind.
    let kind = dice.roll(3);
    let literal = |dice: &mut Dice| match field {
        Field::Metric(_) => Literal::Number(dice.pick(&NUMBERS)),
        Field::Param(_) if kind == 0 => Literal::Number(dice.pick(&NUMBERS)),
        Field::Param(_) if kind == 1 && dice.chance(20) => Literal::Bool(dice.chance(50)),
        Field::State => Literal::Text((dice.pick(&STATES)).to_owned()),
        Field::Job => Literal::Integer(i64::try_from(dice.roll(8)).unwrap()),
        Field::Time(_) if kind == 0 => Literal::Integer(runs[dice.roll(runs.len())].created_at.0),
        Field::Time(_) => Literal::Time(runs[dice.roll(runs.len())].created_at.0),
        Field::Text("id" | "parent_run_id") => Literal::Text(runs[dice.roll(runs.len())].id.to_string()),
        Field::Text("experiment") => Literal::Text((dice.pick(&["e0", "e1", "E0", "training"])).to_owned()),
        Field::Text("kind") => Literal::Text((dice.pick(&["", "logreg"])).to_owned()),
        _ => Literal::Text((dice.pick(&TEXTS)).to_owned()),
    };
    let textual = !matches!(field, Field::Metric(_) | Field::Job | Field::Time(_));
    let (negated, test) = match dice.roll(10) {
        0 => (dice.chance(50), Test::Null),
        1 => (dice.chance(50), Test::Between(literal(dice), literal(dice))),
        2 => (dice.chance(50), Test::In((0..=dice.roll(4)).map(|_| literal(dice)).collect())),
        3 | 4 if textual => (dice.chance(30), Test::Like { pattern: pattern(dice), ignore_case: dice.chance(50) }),
        _ => (false, Test::Compare(dice.pick(&["=", "!=", "<>", "<", "<=", ">", ">="]), literal(dice))),
    };
    Expr::Is { field, negated, test }
}

fn pattern(dice: &mut Dice) -> String {
    const PARTS: [&str; 14] = ["%", "%", "_", "a", "A", "b", "\\%", "\\_", "\\\\", "ä", "日", "🦀", "'", "u"];
    (0..dice.roll(5)).map(|_| dice.pick(&PARTS)).collect()
}
