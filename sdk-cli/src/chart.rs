//! Charts for a terminal: text only, no colours, no line longer than asked for.

/// How a point of a scatter is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    Plain,
    Front,
    Best,
}

/// Smallest plots; asking for less gives these.
const MIN_WIDTH: usize = 10;
const MIN_HEIGHT: usize = 2;
const DOT: char = '·';
const FRONT: char = 'o';
const BEST: char = '*';
/// Numbers beyond this are drawn at the edge: differences of larger ones overflow.
const LARGEST: f64 = 1e300;
/// Fewer values than this are never cut off.
const FEWEST_TO_CUT: usize = 12;

/// Values (trial number, value) as dots and the best so far as a line: `height` rows, then the x axis and a legend
/// where it fits. A few far worse values do not press the others flat: they stand at the edge, which then says `≤` or `≥`.
pub fn history(values: &[(i64, f64)], maximize: bool, width: usize, height: usize) -> Vec<String> {
    let mut values: Vec<(i64, f64)> = values.iter().copied().filter(|(_, value)| !value.is_nan()).collect();
    if values.is_empty() {
        return vec![clip("no values", width.max(MIN_WIDTH))];
    }
    values.sort_by_key(|(number, _)| *number);
    let full = range(values.iter().map(|(_, value)| *value));
    let shown = without_far(&values, maximize, full);
    let (first, last) = (values[0].0, values[values.len() - 1].0);
    let (mut bottom, mut top) = ends(shown);
    if shown.1 < full.1 {
        top.insert(0, '≥');
    }
    if shown.0 > full.0 {
        bottom.insert(0, '≤');
    }
    let mut grid = Grid::new(width, height, &top, &bottom);
    let x = Scale::new((first as f64, last as f64), grid.columns * 2);
    let y = Scale::new(shown, grid.rows * 4);
    let mut best: Option<f64> = None;
    // The row of the best so far at the end of each column.
    let mut ends: Vec<Option<usize>> = vec![None; grid.columns];
    for &(number, value) in &values {
        let (column, row) = (x.place(number as f64), grid.rows * 4 - 1 - y.place(value));
        grid.dot(column, row);
        if best.is_none_or(|best| if maximize { value > best } else { value < best }) {
            best = Some(value);
        }
        ends[column / 2] = best.map(|best| (grid.rows * 4 - 1 - y.place(best)) / 4);
    }
    let mut before: Option<usize> = None;
    for (column, end) in ends.into_iter().enumerate() {
        let Some(row) = end.or(before) else { continue };
        grid.step(column, before.unwrap_or(row), row);
        before = Some(row);
    }
    let mut lines = grid.lines();
    lines.push(grid.below(&first.to_string(), "trial", &if first == last { String::new() } else { last.to_string() }));
    let mean = format!("{:indent$}{DOT} value  ─ best so far", "", indent = grid.indent + 1);
    if mean.chars().count() <= grid.width {
        lines.push(mean);
    }
    lines
}

/// Points (x, y) with the front as `o` and the best as `*`; `labels` name the axes. `height` rows, a line above them
/// and two or three below.
pub fn scatter(points: &[(f64, f64, Mark)], labels: (&str, &str), width: usize, height: usize) -> Vec<String> {
    let mut points: Vec<_> = points.iter().copied().filter(|(x, y, _)| !x.is_nan() && !y.is_nan()).collect();
    if points.is_empty() {
        return vec![clip("no points", width.max(MIN_WIDTH))];
    }
    // What matters most is drawn last, over the others.
    points.sort_by_key(|(_, _, mark)| *mark);
    let across = range(points.iter().map(|(x, _, _)| *x));
    let up = range(points.iter().map(|(_, y, _)| *y));
    let ((left, right), (bottom, top)) = (ends(across), ends(up));
    let mut grid = Grid::new(width, height, &top, &bottom);
    let (x, y) = (Scale::new(across, grid.columns * 2), Scale::new(up, grid.rows * 4));
    for &(at_x, at_y, mark) in &points {
        let (column, row) = (x.place(at_x), grid.rows * 4 - 1 - y.place(at_y));
        match mark {
            Mark::Plain => grid.dot(column, row),
            Mark::Front => grid.set(column / 2, row / 4, FRONT),
            Mark::Best => grid.set(column / 2, row / 4, BEST),
        }
    }
    let mut lines = vec![clip(&format!("{:indent$}{}", "", plain(labels.1), indent = grid.indent), grid.width)];
    lines.extend(grid.lines());
    lines.push(grid.below(&left, &plain(labels.0), if left == right { "" } else { &right }));
    let has = |mark| points.iter().any(|(_, _, other)| *other == mark);
    let mut mean = format!("{:indent$}", "", indent = grid.indent + 1);
    for (mark, text) in [(Mark::Front, "o on the front  "), (Mark::Best, "* best")] {
        mean.push_str(if has(mark) { text } else { "" });
    }
    let mean = mean.trim_end();
    if !mean.is_empty() && mean.chars().count() <= grid.width {
        lines.push(mean.to_owned());
    }
    lines
}

/// Shares from 0 to 1 as bars, a row each in the given order: name, bar, percent.
pub fn bars(rows: &[(String, f64)], width: usize) -> Vec<String> {
    const PERCENT: usize = 7;
    let width = width.max(MIN_WIDTH);
    let longest = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let names = longest.min((width - PERCENT) * 2 / 5).max(1);
    let room = (width - PERCENT).saturating_sub(names + 1);
    let line = |(name, share): &(String, f64)| {
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        let name = clip(&plain(name), names);
        let bar = bar(share, room);
        let percent = format!("{:.1}%", share * 100.0);
        format!("{name:names$} {bar:room$}{percent:>PERCENT$}")
    };
    rows.iter().map(line).collect()
}

/// A bar in eighths of a character; what is not nothing is seen.
fn bar(share: f64, room: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share * room as f64 * 8.0).round() as usize;
    let eighths = if share > 0.0 && room > 0 { eighths.max(1) } else { eighths };
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// The cells of a plot and the labels of its y axis.
struct Grid {
    width: usize,
    columns: usize,
    rows: usize,
    /// Characters before the axis.
    indent: usize,
    labels: (String, String),
    /// Dots of a cell as the low bits of its braille character.
    dots: Vec<u8>,
    /// Characters that stand over dots.
    over: Vec<Option<char>>,
}

impl Grid {
    fn new(width: usize, height: usize, top: &str, bottom: &str) -> Self {
        let (width, rows) = (width.max(MIN_WIDTH), height.max(MIN_HEIGHT));
        // The labels may take half of the line.
        let indent = top.chars().count().max(bottom.chars().count()).min(width / 2);
        let labels = (clip(top, indent), clip(bottom, indent));
        let columns = width - indent - 1;
        Self { width, columns, rows, indent, labels, dots: vec![0; columns * rows], over: vec![None; columns * rows] }
    }

    /// A dot; a cell has two columns and four rows of them.
    fn dot(&mut self, column: usize, row: usize) {
        const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
        self.dots[row / 4 * self.columns + column / 2] |= BITS[row % 4][column % 2];
    }

    fn set(&mut self, column: usize, row: usize, c: char) {
        self.over[row * self.columns + column] = Some(c);
    }

    /// One column of the line that goes from row `from` to row `to`.
    fn step(&mut self, column: usize, from: usize, to: usize) {
        if from == to {
            return self.set(column, to, '─');
        }
        let (leave, arrive) = if to < from { ('╯', '╭') } else { ('╮', '╰') };
        for row in from.min(to)..=from.max(to) {
            self.set(column, row, '│');
        }
        self.set(column, from, leave);
        self.set(column, to, arrive);
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for row in 0..self.rows {
            let (label, axis) = match row {
                0 => (self.labels.0.as_str(), '┤'),
                row if row + 1 == self.rows => (self.labels.1.as_str(), '┤'),
                _ => ("", '│'),
            };
            let mut line = format!("{label:>indent$}{axis}", indent = self.indent);
            for cell in row * self.columns..(row + 1) * self.columns {
                let braille = char::from_u32(0x2800 + u32::from(self.dots[cell])).filter(|_| self.dots[cell] > 0);
                line.push(self.over[cell].or(braille).unwrap_or(' '));
            }
            lines.push(line.trim_end().to_owned());
        }
        lines.push(format!("{:indent$}└{}", "", "─".repeat(self.columns), indent = self.indent));
        lines
    }

    /// The labels of the x axis: both ends and, where there is room, its name between them.
    fn below(&self, low: &str, name: &str, high: &str) -> String {
        let (low, high) = (clip(low, self.columns), clip(high, self.columns));
        let used = low.chars().count() + high.chars().count();
        let start = format!("{:indent$}{low}", "", indent = self.indent + 1);
        let Some(free) = self.columns.checked_sub(used).filter(|free| *free > 0) else { return start };
        let name = if free > 6 { clip(name, free - 4) } else { String::new() };
        format!("{start}{name:^free$}{high}").trim_end().to_owned()
    }
}

/// From values to `cells` places.
struct Scale {
    low: f64,
    high: f64,
    cells: usize,
}

impl Scale {
    fn new((low, high): (f64, f64), cells: usize) -> Self {
        Self { low, high, cells }
    }

    /// The place of `value`: the middle when all values are equal, an edge when it is outside.
    fn place(&self, value: f64) -> usize {
        let share = if value == f64::INFINITY {
            1.0
        } else if value == f64::NEG_INFINITY {
            0.0
        } else if self.high > self.low {
            ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
        } else {
            0.5
        };
        (share * (self.cells - 1) as f64).round() as usize
    }
}

/// The least and the largest finite value.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values = values.filter(|value| value.is_finite()).map(|value| value.clamp(-LARGEST, LARGEST));
    let ends = values.fold(None, |ends: Option<(f64, f64)>, value| {
        let (low, high) = ends.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    });
    ends.unwrap_or((0.0, 0.0))
}

/// The range without a few values that are far worse than all others.
fn without_far(values: &[(i64, f64)], maximize: bool, (low, high): (f64, f64)) -> (f64, f64) {
    let mut sorted: Vec<f64> = values.iter().map(|(_, value)| *value).filter(|value| value.is_finite()).collect();
    if sorted.len() < FEWEST_TO_CUT {
        return (low, high);
    }
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize].clamp(-LARGEST, LARGEST);
    if maximize {
        let body = high - at(0.1);
        if body > 0.0 && at(0.1) - low > 2.0 * body { (at(0.1) - 0.5 * body, high) } else { (low, high) }
    } else {
        let body = at(0.9) - low;
        if body > 0.0 && high - at(0.9) > 2.0 * body { (low, at(0.9) + 0.5 * body) } else { (low, high) }
    }
}

/// Both ends as texts, with as many digits as it takes to tell them apart.
fn ends((low, high): (f64, f64)) -> (String, String) {
    let texts = |digits| (number(low, digits), number(high, digits));
    (4..12).map(texts).find(|(low, high)| low != high).unwrap_or_else(|| texts(4))
}

/// `value` in at most so many significant digits.
fn number(value: f64, digits: usize) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e6).contains(&size) {
        let text = format!("{value:.*e}", digits - 1);
        let Some((digits, exponent)) = text.split_once('e') else { return text };
        return format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'));
    }
    let decimals = (digits as f64 - 1.0 - size.log10().floor()).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// `text` without characters that drive a terminal or turn the text around.
fn plain(text: &str) -> String {
    let is_strange = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if is_strange(c) { '?' } else { c }).collect()
}

/// `text` cut to `limit` characters, with an ellipsis where something is missing.
fn clip(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    text.chars().take(limit.saturating_sub(1)).chain(['…']).take(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that no line is longer than asked for, nor anything but what a terminal prints.
    fn check(lines: &[String], width: usize) {
        for line in lines {
            assert!(line.chars().count() <= width.max(MIN_WIDTH), "{width}: {lines:#?}");
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }

    #[test]
    fn the_best_so_far_is_a_line_of_steps() {
        let lines = history(&[(0, 0.0), (1, 1.0), (2, 0.5), (3, 2.0)], true, 20, 4);
        assert!(lines[0].starts_with("2┤ ") && lines[0].ends_with('╭'), "{lines:#?}");
        let rest =
            [" │      ╭──────────╯", " │      │    ⢀", "0┤──────╯", " └──────────────────", "  0     trial      3"];
        assert_eq!(lines[1..], rest);
        let falling = history(&[(0, 2.0), (1, 1.0), (2, 1.5)], false, 40, 4);
        assert!(falling[0].contains('╮') && falling[3].contains('╰'), "{falling:#?}");
        assert!(falling.last().unwrap().contains("best so far"));
    }

    #[test]
    fn a_far_worse_value_stands_at_the_edge() {
        let mut values: Vec<(i64, f64)> = (0..30).map(|at| (at, 1.0 + at as f64 / 100.0)).collect();
        values.push((30, 1e9));
        let lines = history(&values, false, 60, 8);
        assert!(lines[0].starts_with('≥'), "{lines:#?}");
        let lines = history(&values, true, 60, 8);
        assert!(lines[0].contains("1e9┤"), "{lines:#?}");
        // Labels of close values differ.
        assert!(history(&[(0, 0.900_001), (1, 0.900_002)], true, 40, 4)[0].starts_with("0.900002┤"));
    }

    #[test]
    fn a_scatter_marks_the_front_and_the_best() {
        let points = [(0.0, 0.0, Mark::Front), (1.0, 10.0, Mark::Best), (0.5, 5.0, Mark::Plain)];
        let lines = scatter(&points, ("milliseconds", "macro_f1"), 40, 5);
        check(&lines, 40);
        assert_eq!(lines[0].trim(), "macro_f1");
        assert!(lines[1].starts_with("10┤") && lines[1].ends_with(BEST), "{lines:#?}");
        assert!(lines[5].starts_with(" 0┤o"), "{lines:#?}");
        assert!(lines[3].chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "{lines:#?}");
        assert!(lines[7].contains("milliseconds") && lines[7].ends_with('1'), "{lines:#?}");
        assert_eq!(lines[8].trim(), "o on the front  * best");
    }

    #[test]
    fn bars_have_names_and_percent() {
        let rows = [("algorithm".to_owned(), 0.5), ("l2".to_owned(), 0.001), ("none".to_owned(), 0.0)];
        let lines = bars(&rows, 37);
        assert_eq!(lines[0], "algorithm ██████████            50.0%");
        assert_eq!(lines[1], "l2        ▏                      0.1%");
        assert_eq!(lines[2], "none                             0.0%");
        assert!(bars(&[], 40).is_empty());
    }

    #[test]
    fn every_size_and_value_holds() {
        let far = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::MAX, f64::MIN, 0.0, -1.5, 1e-300];
        let many: Vec<f64> = (0..40).map(|at| far[at % far.len()]).collect();
        let lists: [&[f64]; 6] = [&[], &[0.5], &[0.5; 30], &far, &many, &[f64::INFINITY, f64::INFINITY]];
        for values in lists {
            for (width, height) in [(0, 0), (10, 3), (11, 1), (40, 10), (120, 30)] {
                let numbered: Vec<(i64, f64)> = (0..).zip(values.iter().copied()).collect();
                check(&history(&numbered, true, width, height), width);
                check(&history(&numbered, false, width, height), width);
                let marks = [Mark::Plain, Mark::Front, Mark::Best];
                let points: Vec<_> = (0..).zip(values).map(|(at, &it)| (it, -it, marks[at % 3])).collect();
                check(&scatter(&points, ("x\u{1b}[2J", &"long ".repeat(50)), width, height), width);
                let rows: Vec<_> = values.iter().map(|&it| ("\u{1b}[31mname 学習率".to_owned(), it)).collect();
                let lines = bars(&rows, width);
                check(&lines, width);
                assert_eq!(lines.len(), values.len());
            }
        }
        check(&history(&[(i64::MIN, 1.0), (i64::MAX, 2.0)], true, 30, 5), 30);
    }
}
