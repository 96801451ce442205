//! Text to tokens, each with the character at which it begins.

use tenor_domain::Error;

use super::{MAX_CHARS, wrong};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A keyword or the name of a field, up to the first dot.
    Word(String),
    /// A field with a key: `metrics`, `f1`.
    Key(String, String),
    Text(String),
    /// As written: it becomes an integer or a float by what it is compared with.
    Number(String),
    Symbol(&'static str),
    End,
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short = |text: &str| text.chars().take(40).flat_map(char::escape_debug).collect::<String>();
        match self {
            Self::Word(word) => write!(f, "`{}`", short(word)),
            Self::Key(field, key) => write!(f, "`{}.{}`", short(field), short(key)),
            Self::Text(text) => write!(f, "the text '{}'", short(text)),
            Self::Number(number) => write!(f, "the number {}", short(number)),
            Self::Symbol(symbol) => write!(f, "`{symbol}`"),
            Self::End => f.write_str("the end"),
        }
    }
}

/// Longer ones first.
const SYMBOLS: [&str; 10] = ["<=", ">=", "!=", "<>", "=", "<", ">", "(", ")", ","];

struct Lexer<'a> {
    field: &'static str,
    chars: &'a [char],
    at: usize,
}

/// All tokens of `text` and where they begin (from 1), ending with [`Token::End`]. `field` is for messages.
pub(super) fn tokens(field: &'static str, text: &str) -> Result<Vec<(Token, usize)>, Error> {
    let chars: Vec<char> = text.chars().take(MAX_CHARS + 1).collect();
    if chars.len() > MAX_CHARS {
        return Err(Error::invalid(field, format!("must have at most {MAX_CHARS} characters")));
    }
    let mut lexer = Lexer { field, chars: &chars, at: 0 };
    let mut tokens = Vec::new();
    loop {
        while lexer.peek(0).is_some_and(char::is_whitespace) {
            lexer.at += 1;
        }
        let begin = lexer.at + 1;
        let token = lexer.next()?;
        let last = token == Token::End;
        tokens.push((token, begin));
        if last {
            return Ok(tokens);
        }
    }
}

fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn in_key(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':')
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Result<Token, Error> {
        let Some(first) = self.peek(0) else { return Ok(Token::End) };
        for symbol in SYMBOLS {
            if symbol.chars().enumerate().all(|(ahead, c)| self.peek(ahead) == Some(c)) {
                self.at += symbol.len();
                return Ok(Token::Symbol(symbol));
            }
        }
        match first {
            '\'' | '"' => self.quoted(first).map(Token::Text),
            '+' | '-' | '.' | '0'..='9' => self.number(),
            c if c.is_ascii_alphabetic() || c == '_' => self.word(),
            other => {
                Err(wrong(self.field, self.at + 1, format_args!("`{}` has no meaning here", other.escape_debug())))
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, Error> {
        let begin = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            match (self.peek(0), self.peek(1)) {
                (None, _) => {
                    return Err(wrong(self.field, begin + 1, format_args!("this quote {quote} is never closed")));
                }
                (Some(c), Some(next)) if c == quote && next == quote => {
                    text.push(quote);
                    self.at += 2;
                }
                (Some(c), _) if c == quote => {
                    self.at += 1;
                    return Ok(text);
                }
                (Some('\0'), _) => return Err(wrong(self.field, self.at + 1, "NUL is not allowed")),
                (Some(c), _) => {
                    text.push(c);
                    self.at += 1;
                }
            }
        }
    }

    fn word(&mut self) -> Result<Token, Error> {
        let mut word = String::new();
        while let Some(c) = self.peek(0).filter(|c| in_word(*c)) {
            word.push(c);
            self.at += 1;
        }
        if self.peek(0) != Some('.') {
            return Ok(Token::Word(word));
        }
        self.at += 1;
        let begin = self.at + 1;
        let key = match self.peek(0) {
            Some(quote @ ('"' | '`')) => self.quoted(quote)?,
            _ => {
                let mut key = String::new();
                while let Some(c) = self.peek(0).filter(|c| in_key(*c)) {
                    key.push(c);
                    self.at += 1;
                }
                key
            }
        };
        if key.is_empty() {
            return Err(wrong(self.field, begin, format_args!("a key must follow `{word}.`")));
        }
        Ok(Token::Key(word, key))
    }

    /// A sign, digits with at most one dot, an exponent. What it is worth is found later.
    fn number(&mut self) -> Result<Token, Error> {
        let begin = self.at;
        let mut text = String::new();
        while let Some(c) = self.peek(0) {
            let after_exponent = matches!(text.chars().last(), Some('e' | 'E'));
            let belongs = c.is_ascii_digit()
                || matches!(c, '.' | 'e' | 'E')
                || (matches!(c, '+' | '-') && (text.is_empty() || after_exponent));
            if !belongs {
                break;
            }
            text.push(c);
            self.at += 1;
        }
        let runs_on = self.peek(0).is_some_and(|c| c.is_alphanumeric() || c == '_');
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() && !runs_on => Ok(Token::Number(text)),
            Ok(value) if !value.is_finite() => {
                Err(wrong(self.field, begin + 1, format_args!("the number {text} is too large")))
            }
            _ => Err(wrong(
                self.field,
                begin + 1,
                format_args!("`{}` is not a number; put text in single quotes", text.escape_debug()),
            )),
        }
    }
}
