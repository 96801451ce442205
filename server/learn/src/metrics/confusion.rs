//! What a confusion matrix tells.

/// Counts of (truth, answer).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

/// Precision, recall and F1 of one class, 0 where undefined.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rates {
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
    pub support: u64,
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl Confusion {
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }
    pub fn add(&mut self, truth: usize, answer: usize, rows: u64) {
        self.counts[truth * self.classes + answer] += rows;
    }
    pub fn get(&self, truth: usize, answer: usize) -> u64 {
        self.counts[truth * self.classes + answer]
    }
    pub fn into_rows(self) -> Vec<Vec<u64>> {
        self.counts.chunks(self.classes).map(<[u64]>::to_vec).collect()
    }
    fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
    fn truths(&self, class: usize) -> u64 {
        (0..self.classes).map(|answer| self.get(class, answer)).sum()
    }
    fn answers(&self, class: usize) -> u64 {
        (0..self.classes).map(|truth| self.get(truth, class)).sum()
    }
    pub fn right(&self) -> u64 {
        (0..self.classes).map(|class| self.get(class, class)).sum()
    }

    pub fn accuracy(&self) -> f64 {
        ratio(self.right(), self.total())
    }

    pub fn rates(&self) -> Vec<Rates> {
        (0..self.classes)
            .map(|class| {
                let (hits, truths, answers) = (self.get(class, class), self.truths(class), self.answers(class));
                let f1 = ratio(2 * hits, truths + answers);
                Rates { precision: ratio(hits, answers), recall: ratio(hits, truths), f1, support: truths }
            })
            .collect()
    }

    /// Matthews correlation in Gorodkin's form; 0 when truth or answer is constant.
    pub fn mcc(&self) -> f64 {
        let (total, right) = (self.total() as f64, self.right() as f64);
        let (mut both, mut truths, mut answers) = (0.0, 0.0, 0.0);
        for class in 0..self.classes {
            let (t, a) = (self.truths(class) as f64, self.answers(class) as f64);
            both += t * a;
            truths += t * t;
            answers += a * a;
        }
        let spread = (total * total - truths) * (total * total - answers);
        if spread == 0.0 { 0.0 } else { (right * total - both) / spread.sqrt() }
    }

    /// Mean absolute error in stars, share of answers at most one star off, quadratic kappa (`None` when nothing varies).
    pub fn stars(&self, stars: &[f64]) -> (f64, f64, Option<f64>) {
        let total = self.total() as f64;
        let (mut error, mut near, mut observed, mut expected) = (0.0, 0u64, 0.0, 0.0);
        for (truth, star) in stars.iter().enumerate() {
            for (answer, other) in stars.iter().enumerate() {
                let (count, distance) = (self.get(truth, answer), (star - other).abs());
                error += distance * count as f64;
                near += if distance <= 1.0 { count } else { 0 };
                observed += distance * distance * count as f64;
                expected += distance * distance * self.truths(truth) as f64 * self.answers(answer) as f64 / total;
            }
        }
        (error / total, near as f64 / total, (expected > 0.0).then(|| 1.0 - observed / expected))
    }
}
