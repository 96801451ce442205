//! Cards as Markdown: CommonMark with the tables of GitHub.

use super::document::{Block, Cell, Document, Kind, Table, WARNINGS};
use crate::html::visible;

/// Writes the whole card.
pub(super) fn write(document: &Document) -> String {
    let mut out = format!("# {}\n\n{}\n", escape(&document.title), escape(&document.subtitle));
    if !document.headline.is_empty() {
        out.push('\n');
    }
    for tile in &document.headline {
        let (name, value, detail) = (escape(&tile.name), escape(&tile.value), escape(&tile.detail));
        out.push_str(&format!("- **{name}**: {value} ({detail})\n"));
    }
    if !document.warnings.is_empty() {
        out.push_str(&format!("\n## {WARNINGS}\n\n"));
        list(&mut out, &document.warnings);
    }
    for section in &document.sections {
        out.push_str(&format!("\n## {}\n", section.title));
        for block in &section.blocks {
            out.push('\n');
            write_block(&mut out, block);
        }
    }
    out
}

fn write_block(out: &mut String, block: &Block) {
    match block {
        Block::Heading(title) => out.push_str(&format!("### {title}\n")),
        Block::Text(text) => out.push_str(&format!("{}\n", escape(text))),
        Block::Missing(text) => out.push_str(&format!("*{}*\n", escape(text))),
        Block::List(items) => list(out, items),
        Block::Facts(facts) => {
            facts.iter().for_each(|(name, cell)| out.push_str(&format!("- {name}: {}\n", cell_text(cell))));
        }
        Block::Table(table) | Block::Picture(_, table) => write_table(out, table),
        Block::Code(text) => {
            let fence = "`".repeat(longest_run(text).max(2) + 1);
            out.push_str(&format!("{fence}json\n{text}\n{fence}\n"));
        }
    }
}

fn list(out: &mut String, items: &[String]) {
    items.iter().for_each(|item| out.push_str(&format!("- {}\n", escape(item))));
}

fn write_table(out: &mut String, table: &Table) {
    let shown = |index: &usize| table.columns[*index].kind != Kind::Drawn;
    let columns: Vec<usize> = (0..table.columns.len()).filter(shown).collect();
    let mut line = |cells: Vec<String>| out.push_str(&format!("| {} |\n", cells.join(" | ")));
    line(columns.iter().map(|&at| escape(&table.columns[at].title)).collect());
    let rule = |at: &usize| if table.columns[*at].kind == Kind::Number { "---:" } else { "---" }.to_owned();
    line(columns.iter().map(rule).collect());
    for (index, row) in table.rows.iter().enumerate() {
        let strong = table.marked == Some(index);
        let cell = |at: &usize| row.get(*at).map_or_else(String::new, cell_text);
        let mark = |text: String| if strong && !text.is_empty() { format!("**{text}**") } else { text };
        line(columns.iter().map(|at| mark(cell(at))).collect());
    }
}

fn cell_text(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => escape(text),
        // Codes are digests, kinds and numbers: none has a backtick, but a kind could be anything.
        Cell::Code(text) if !text.contains(['`', '|', '\n', '\r']) => format!("`{text}`"),
        Cell::Code(text) => escape(text),
        Cell::Range { .. } | Cell::Empty => String::new(),
    }
}

/// `text` on one line, so that nothing of it is markup: neither Markdown nor HTML nor a link that readers make by themselves.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let chars: Vec<char> = text.chars().map(visible).map(|c| if c == '\n' || c == '\t' { ' ' } else { c }).collect();
    let digits = chars.iter().take_while(|c| c.is_ascii_digit()).count();
    for (at, &c) in chars.iter().enumerate() {
        let word = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(|c: &char| c.is_alphanumeric());
        let next = chars.get(at + 1).copied().unwrap_or(' ');
        let special = match c {
            '\\' | '`' | '*' | '[' | ']' | '~' | '$' | '#' | '@' => true,
            // Between letters it is no emphasis, and names of features are full of it.
            '_' => !(word(at.checked_sub(1)) && word(Some(at + 1))),
            // What begins a list, a heading's underline or a rule.
            '-' | '+' | '=' => at == 0 && (next == ' ' || next == c),
            '.' | ')' if at == digits && digits > 0 => next == ' ',
            // What begins an address.
            '.' => at >= 3 && chars[at - 3..at].iter().all(|c| c.eq_ignore_ascii_case(&'w')),
            ':' => next == '/',
            '!' => next == '[',
            _ => false,
        };
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // An entity, because not every reader understands a backslash here.
            '|' => out.push_str("&#124;"),
            _ if special => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out.trim().to_owned()
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}
