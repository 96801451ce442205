//! Cards as one HTML page.

use super::document::{Block, Cell, Document, Kind, Section, Table, WARNINGS};
use crate::html::Html;

/// Writes the whole card.
pub(super) fn write(document: &Document) -> String {
    let mut page = Html::default();
    page.open("header", &[]).element("p", "subtitle", &document.subtitle).element("h1", "", &document.title);
    page.close("header").line();
    if !document.headline.is_empty() {
        page.open("div", &[("class", "tiles")]);
        for tile in &document.headline {
            page.open("div", &[("class", "tile")]).element("span", "name", &tile.name);
            page.element("span", "value", &tile.value).element("span", "detail", &tile.detail).close("div");
        }
        page.close("div").line();
    }
    if !document.warnings.is_empty() {
        page.open("aside", &[("class", "warnings")]).element("h2", "", WARNINGS);
        list(&mut page, &document.warnings);
        page.close("aside").line();
    }
    for section in &document.sections {
        write_section(&mut page, section);
    }
    page.finish(&format!("{} - {}", document.title, document.subtitle))
}

fn write_section(page: &mut Html, section: &Section) {
    page.open("section", &[]).element("h2", "", section.title).line();
    for block in &section.blocks {
        match block {
            Block::Heading(title) => {
                page.element("h3", "", title);
            }
            Block::Text(text) => {
                page.element("p", "", text);
            }
            Block::Missing(text) => {
                page.element("p", "missing", text);
            }
            Block::List(items) => list(page, items),
            Block::Facts(facts) => {
                page.open("dl", &[]);
                for (name, cell) in facts {
                    page.element("dt", "", name).open("dd", &[]);
                    write_cell(page, cell);
                    page.close("dd");
                }
                page.close("dl");
            }
            Block::Table(table) => write_table(page, table),
            Block::Picture(svg, table) => {
                page.open("figure", &[]).picture(svg).close("figure").line();
                page.open("details", &[]).element("summary", "", "The same as a table");
                write_table(page, table);
                page.close("details");
            }
            Block::Code(text) => {
                page.open("pre", &[]).element("code", "", text).close("pre");
            }
        }
        page.line();
    }
    page.close("section").line();
}

fn list(page: &mut Html, items: &[String]) {
    page.open("ul", &[]);
    for item in items {
        page.element("li", "", item);
    }
    page.close("ul");
}

fn write_table(page: &mut Html, table: &Table) {
    let class = |kind: Kind| match kind {
        Kind::Text => "text",
        Kind::Number => "number",
        Kind::Drawn => "drawn",
    };
    page.open("div", &[("class", "scroll")]).open("table", &[]).open("thead", &[]).open("tr", &[]);
    for column in &table.columns {
        page.element("th", class(column.kind), &column.title);
    }
    page.close("tr").close("thead").open("tbody", &[]).line();
    for (index, row) in table.rows.iter().enumerate() {
        page.open("tr", if table.marked == Some(index) { &[("class", "marked")] } else { &[] });
        for (column, cell) in table.columns.iter().zip(row) {
            page.open("td", &[("class", class(column.kind))]);
            write_cell(page, cell);
            page.close("td");
        }
        page.close("tr").line();
    }
    page.close("tbody").close("table").close("div");
}

fn write_cell(page: &mut Html, cell: &Cell) {
    match cell {
        Cell::Text(text) => {
            page.text(text);
        }
        Cell::Code(text) => {
            page.element("code", "", text);
        }
        Cell::Range { value, low, high, guess } => write_range(page, (*value, *low, *high), *guess),
        Cell::Empty => {}
    }
}

/// A track from 0 to 1 with the value, its interval, and a tick where guessing stands.
fn write_range(page: &mut Html, (value, low, high): (f64, f64, f64), guess: Option<f64>) {
    let mark = |page: &mut Html, class: &'static str, style: String| {
        page.open("i", &[("class", class), ("style", &style)]).close("i");
    };
    page.open("span", &[("class", "range"), ("aria-hidden", "true")]);
    mark(page, "bar", format!("width:{:.1}%", value * 100.0));
    if high > low {
        mark(page, "band", format!("left:{:.1}%;width:{:.1}%", low * 100.0, (high - low) * 100.0));
    }
    if let Some(guess) = guess {
        mark(page, "guess", format!("left:{:.1}%", guess * 100.0));
    }
    page.close("span");
}
