//! A writer of HTML pages that stand alone: one file, no script, no request to anywhere.

mod scripted;
#[cfg(test)]
pub(crate) mod tests;

/// What every page allows: its own styles, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
const STYLE: &str = include_str!("page.css");

/// A page being written. Every text and attribute value goes through [`escape`]; tag and attribute names are ours.
#[derive(Debug, Default)]
pub(crate) struct Html {
    body: String,
}

impl Html {
    pub fn open(&mut self, tag: &'static str, attributes: &[(&'static str, &str)]) -> &mut Self {
        self.body.push('<');
        self.body.push_str(tag);
        for (name, value) in attributes {
            self.body.push(' ');
            self.body.push_str(name);
            self.body.push_str("=\"");
            self.body.push_str(&escape(value));
            self.body.push('"');
        }
        self.body.push('>');
        self
    }

    pub fn close(&mut self, tag: &'static str) -> &mut Self {
        self.body.push_str("</");
        self.body.push_str(tag);
        self.body.push('>');
        self
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.body.push_str(&escape(text));
        self
    }

    /// An element with nothing but a text in it.
    pub fn element(&mut self, tag: &'static str, class: &'static str, text: &str) -> &mut Self {
        let attributes = [("class", class)];
        self.open(tag, if class.is_empty() { &[] } else { &attributes }).text(text).close(tag)
    }

    /// A line break in the source, for people who read it.
    pub fn line(&mut self) -> &mut Self {
        self.body.push('\n');
        self
    }

    /// A picture of [`plot`](crate::plot), which escapes its texts itself.
    pub fn picture(&mut self, svg: &str) -> &mut Self {
        self.body.push_str(svg);
        self
    }

    /// The whole page.
    pub fn finish(&self, title: &str) -> String {
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n\
             </head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
            escape(title),
            self.body
        )
    }
}

/// `text` as it may stand between tags and in quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match visible(c) {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// `c`, or what stands in for a character that cannot be shown or would turn the text around it: names come from users.
pub(crate) fn visible(c: char) -> char {
    match c {
        '\t' | '\n' => c,
        '\r' | '\u{2028}' | '\u{2029}' => ' ',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}
