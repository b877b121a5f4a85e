//! The syntax of well-known text: keywords with brackets, whatever they mean. WKT1 (OGC 01-009), ESRI's dialect of it,
//! and WKT2 (OGC 12-063r5, 18-010r7) share it.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::error::{Error, Result};

/// Brackets within brackets. EPSG's deepest definitions have nine; each takes a frame of the stack.
const DEPTH: usize = 32;

/// A keyword and what stands in its brackets.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// In upper case.
    pub(super) keyword: String,
    pub(super) items: Vec<Item>,
}

/// What may stand in brackets.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    Node(Node),
    /// Text in quotes, without them.
    Text(String),
    Number(f64),
    /// A word without quotes, in upper case: a direction, the kind of a coordinate system.
    Word(String),
}

impl Node {
    /// The nodes in its brackets.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Self> {
        self.items.iter().filter_map(|item| match item {
            Item::Node(node) => Some(node),
            Item::Text(_) | Item::Number(_) | Item::Word(_) => None,
        })
    }

    /// The first node in its brackets of one of these keywords.
    pub(super) fn node(&self, keywords: &[&str]) -> Option<&Self> {
        self.nodes().find(|node| keywords.contains(&node.keyword.as_str()))
    }

    /// The item at `index`, if it is text.
    pub(super) fn text(&self, index: usize) -> Option<&str> {
        match self.items.get(index)? {
            Item::Text(text) => Some(text),
            Item::Node(_) | Item::Number(_) | Item::Word(_) => None,
        }
    }

    /// The item at `index`, if it is text or a word.
    pub(super) fn word(&self, index: usize) -> Option<&str> {
        match self.items.get(index)? {
            Item::Text(text) | Item::Word(text) => Some(text),
            Item::Node(_) | Item::Number(_) => None,
        }
    }

    /// The item at `index`, if it is a number, in quotes or not.
    pub(super) fn number(&self, index: usize) -> Option<f64> {
        match self.items.get(index)? {
            Item::Number(number) => Some(*number),
            Item::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            Item::Node(_) | Item::Word(_) => None,
        }
    }

    /// Its name, the first item.
    pub(super) fn name(&self) -> &str {
        self.text(0).unwrap_or("unnamed")
    }
}

/// Reads one definition. More that follow after a comma (ESRI's vertical CRS) are read and dropped.
///
/// # Errors
/// [`crate::ErrorKind::Format`] for what is no well-known text.
pub(super) fn parse(text: &str) -> Result<Node> {
    let text = text.trim_start_matches('\u{feff}').trim_matches(|c: char| c.is_whitespace() || c == '\0');
    let mut reader = Reader { text, at: 0 };
    let first = reader.node(0)?;
    loop {
        reader.space();
        match reader.peek() {
            None => return Ok(first),
            Some(b',') => {
                reader.step();
                reader.node(0)?;
            }
            Some(_) => return Err(reader.broken("more text after the closing bracket")),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn space(&mut self) {
        let rest = self.rest();
        let blank = rest.len().saturating_sub(rest.trim_start().len());
        self.at = self.at.saturating_add(blank);
    }

    fn broken(&self, what: &str) -> Error {
        Error::format(format!("the well-known text of a CRS is broken at byte {}: {what}", self.at))
    }

    /// The longest run of bytes that belong.
    fn run(&mut self, belongs: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.bytes().position(|byte| !belongs(byte)).unwrap_or(rest.len());
        self.at = self.at.saturating_add(length);
        rest.get(..length).unwrap_or_default()
    }

    fn node(&mut self, depth: usize) -> Result<Node> {
        self.space();
        let keyword = self.run(|byte| byte.is_ascii_alphanumeric() || byte == b'_').to_ascii_uppercase();
        if keyword.is_empty() {
            return Err(self.broken("no keyword"));
        }
        self.bracket(keyword, depth)
    }

    /// What stands in brackets after a keyword.
    fn bracket(&mut self, keyword: String, depth: usize) -> Result<Node> {
        if depth >= DEPTH {
            return Err(self.broken("brackets are nested too deep"));
        }
        self.space();
        let end = match self.peek() {
            Some(b'[') => b']',
            Some(b'(') => b')',
            _ => return Err(self.broken(&format!("no bracket after {keyword}"))),
        };
        self.step();
        let mut items = Vec::new();
        loop {
            items.push(self.item(depth)?);
            self.space();
            match self.peek() {
                Some(b',') => self.step(),
                Some(byte) if byte == end => {
                    self.step();
                    return Ok(Node { keyword, items });
                }
                Some(_) => return Err(self.broken("neither a comma nor the closing bracket")),
                None => return Err(self.broken(&format!("the bracket of {keyword} is never closed"))),
            }
        }
    }

    fn item(&mut self, depth: usize) -> Result<Item> {
        self.space();
        match self.peek() {
            Some(b'"') => self.quoted().map(Item::Text),
            Some(byte) if byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.') => {
                let is_numeric =
                    |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
                let number = self.run(is_numeric);
                match number.parse::<f64>() {
                    Ok(number) if number.is_finite() => Ok(Item::Number(number)),
                    // A date, of an epoch or a usage.
                    Ok(_) | Err(_) => Ok(Item::Word(number.to_ascii_uppercase())),
                }
            }
            Some(_) => {
                let word = self.run(|byte| byte.is_ascii_alphanumeric() || byte == b'_').to_ascii_uppercase();
                if word.is_empty() {
                    return Err(self.broken("neither text, number nor keyword"));
                }
                self.space();
                match self.peek() {
                    Some(b'[' | b'(') => self.bracket(word, depth.saturating_add(1)).map(Item::Node),
                    _ => Ok(Item::Word(word)),
                }
            }
            None => Err(self.broken("the text ends within brackets")),
        }
    }

    /// Text in quotes, where two quotes stand for one.
    fn quoted(&mut self) -> Result<String> {
        self.step();
        let mut text = String::new();
        loop {
            text.push_str(self.run(|byte| byte != b'"'));
            if self.peek().is_none() {
                return Err(self.broken("quotes are never closed"));
            }
            self.step();
            if self.peek() != Some(b'"') {
                return Ok(text);
            }
            text.push('"');
            self.step();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_brackets_quotes_and_words() {
        let node = parse(
            "\u{feff} geogcs ( \"a \"\"b\"\"\", Unit[\"x\", -1.5e0], NORTH , \"2\") , VERTCS[\"z\"]\0\n",
        )
        .unwrap();
        assert_eq!((node.keyword.as_str(), node.name()), ("GEOGCS", "a \"b\""));
        assert_eq!(node.node(&["UNIT"]).unwrap().number(1), Some(-1.5));
        assert_eq!((node.word(2), node.number(3), node.number(9)), (Some("NORTH"), Some(2.0), None));
    }

    #[test]
    fn what_is_broken_says_where() {
        for text in [
            "", "A", "A[", "A[\"x\"", "A[\"x]", "A[\"x\")", "A[]", "A[1,]", "A[1 2]", "A[1]]", "A[1],",
            "[1]", "A[é]",
        ] {
            assert_eq!(parse(text).unwrap_err().kind(), crate::ErrorKind::Format, "{text}");
        }
        let deep = |n: usize| "A[".repeat(n) + "1" + &"]".repeat(n);
        assert!(
            parse(&deep(DEPTH)).is_ok() && parse(&deep(DEPTH + 1)).is_err() && parse(&deep(30_000)).is_err()
        );
    }
}
