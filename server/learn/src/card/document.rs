//! A card as headings, facts and tables, before it is Markdown or HTML. All texts are plain: each writer escapes them.

/// The heading of [`Document::warnings`].
pub(super) const WARNINGS: &str = "Before You Rely on It";

/// A whole card.
#[derive(Debug)]
pub(super) struct Document {
    pub title: String,
    pub subtitle: String,
    /// The few numbers that stand at the top.
    pub headline: Vec<Tile>,
    /// What the numbers themselves give reason to doubt.
    pub warnings: Vec<String>,
    pub sections: Vec<Section>,
}

/// One number of the headline.
#[derive(Debug)]
pub(super) struct Tile {
    pub name: String,
    pub value: String,
    pub detail: String,
}

#[derive(Debug)]
pub(super) struct Section {
    pub title: &'static str,
    pub blocks: Vec<Block>,
}

#[derive(Debug)]
pub(super) enum Block {
    Heading(&'static str),
    Text(String),
    /// A text about what is not known.
    Missing(String),
    List(Vec<String>),
    Facts(Vec<(&'static str, Cell)>),
    Table(Table),
    /// A picture, and the table that says the same.
    Picture(String, Table),
    /// Lines of JSON.
    Code(String),
}

#[derive(Debug, Default)]
pub(super) struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Cell>>,
    /// Place of the row to be marked.
    pub marked: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Column {
    pub title: String,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Text,
    Number,
    /// Holds [`Cell::Range`]s, which Markdown leaves out.
    Drawn,
}

#[derive(Debug)]
pub(super) enum Cell {
    Text(String),
    Code(String),
    /// A number from 0 to 1 with its interval and what guessing gives, as a bar.
    Range {
        value: f64,
        low: f64,
        high: f64,
        guess: Option<f64>,
    },
    Empty,
}

impl Section {
    pub fn new(title: &'static str) -> Self {
        Self { title, blocks: Vec::new() }
    }
    pub fn heading(&mut self, title: &'static str) {
        self.blocks.push(Block::Heading(title));
    }
    pub fn text(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Text(text.into()));
    }
    pub fn missing(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Missing(text.into()));
    }
    /// The paragraphs that somebody wrote, or that there are none.
    pub fn written(&mut self, text: Option<&str>, missing: &str) {
        let paragraphs = text.unwrap_or_default().lines().map(str::trim).filter(|line| !line.is_empty());
        let before = self.blocks.len();
        self.blocks.extend(paragraphs.map(|line| Block::Text(line.to_owned())));
        if self.blocks.len() == before {
            self.missing(missing);
        }
    }
}

impl Table {
    pub fn new(columns: &[(&str, Kind)]) -> Self {
        let columns = columns.iter().map(|(title, kind)| Column { title: (*title).to_owned(), kind: *kind });
        Self { columns: columns.collect(), ..Self::default() }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
