//! Isotonic regression by pooling adjacent violators (Ayer et al. 1955; Best, Chakravarti 1990).

/// A rising curve: straight lines between points, constant beyond the ends.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Steps {
    /// Ascending, no two equal.
    pub x: Vec<f64>,
    /// Ascending.
    pub y: Vec<f64>,
}

/// Neighbouring rows that share one value.
struct Block {
    first: f64,
    last: f64,
    hits: f64,
    rows: f64,
}

impl Block {
    fn mean(&self) -> f64 {
        self.hits / self.rows
    }
}

impl Steps {
    /// The rising function of least squared error to `truth`. Equal scores get one value. A pool is kept as its first and last
    /// score, as scikit-learn does. Needs a row.
    pub fn fit(scores: &[f64], truth: &[bool]) -> Self {
        let mut rows: Vec<(f64, bool)> = scores.iter().copied().zip(truth.iter().copied()).collect();
        // Rows of one score are pooled, so their order does not matter.
        rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut blocks: Vec<Block> = Vec::new();
        for equals in rows.chunk_by(|a, b| a.0 == b.0) {
            let hits = equals.iter().filter(|row| row.1).count() as f64;
            let mut block = Block { first: equals[0].0, last: equals[0].0, hits, rows: equals.len() as f64 };
            while let Some(before) = blocks.pop_if(|before| before.mean() >= block.mean()) {
                block.first = before.first;
                block.hits += before.hits;
                block.rows += before.rows;
            }
            blocks.push(block);
        }
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for block in &blocks {
            x.push(block.first);
            y.push(block.mean());
            if block.last > block.first {
                x.push(block.last);
                y.push(block.mean());
            }
        }
        Self { x, y }
    }

    /// The same curve kept `margin` away from 0 and 1: some rows cannot show that a thing never happens, and a single such
    /// answer would make the log-loss infinite.
    pub fn within(mut self, margin: f64) -> Self {
        self.y.iter_mut().for_each(|y| *y = y.clamp(margin, 1.0 - margin));
        self
    }

    pub fn at(&self, score: f64) -> f64 {
        let above = self.x.partition_point(|x| *x < score);
        if above == 0 {
            return self.y[0];
        }
        if above == self.x.len() {
            return self.y[above - 1];
        }
        let (x, y) = (&self.x[above - 1..=above], &self.y[above - 1..=above]);
        let share = (score - x[0]) / (x[1] - x[0]);
        // Between its ends whatever rounding does, so that the curve never falls.
        (y[0] + (y[1] - y[0]) * share).clamp(y[0], y[1])
    }

    pub fn len(&self) -> usize {
        self.x.len()
    }
}
