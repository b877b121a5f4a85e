//! Patterns of names: what a shell's wildcards mean, and which names they match.
//!
//! The rules are those of Python's `glob` (with `recursive=True`) and `fnmatch`, but that a backslash takes a wildcard its
//! meaning, as in a shell, and that what ends in '/' stands for all GeoTIFFs below it.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::error::{Error, Result};

/// Components after the first wildcard: one bit each of [`States`], and one for the end.
const MAX_COMPONENTS: usize = 60;

/// Bytes of a pattern: four paths of the longest.
const MAX_PATTERN: usize = 16 << 10;

/// Endings that TIFFs have, in any case.
const ENDINGS: [&str; 2] = [".tif", ".tiff"];

/// A pattern, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// What stands before the first component with a wildcard, its '/' included, as it is.
    lead: String,
    /// Empty when there is no wildcard.
    components: Vec<Component>,
    hides: bool,
}

/// What stands between two '/'.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Component {
    Literal(String),
    Wild(Vec<Token>),
    /// `**`: any number of folders.
    Folders,
    /// Any name of a TIFF.
    Tiff,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`
    One,
    /// `*`
    Many,
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// Components that the rest of a path may begin with, one bit each; that after the last is the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct States(u64);

/// Where a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// By `**`, which the name is one more folder of.
    deeper: u64,
    /// By a component that the name matches.
    further: u64,
    end: u64,
}

impl Pattern {
    /// The pattern that `text` is. Names that begin with a dot are only matched by components that do so too if it `hides`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for what is too long, and for `..` after a wildcard.
    pub(super) fn parse(text: &str, hides: bool) -> Result<Self> {
        let wrong = |what: &str| Error::usage(what.to_owned());
        if text.len() > MAX_PATTERN {
            return Err(wrong("the pattern is too long; give a manifest of names"));
        }
        let is_folder = text.is_empty() || text.ends_with('/');
        let mut lead = String::new();
        let mut components = Vec::new();
        for part in text.split_inclusive('/') {
            let name = part.strip_suffix('/').unwrap_or(part);
            let component = Component::parse(name);
            if let Component::Literal(literal) = &component {
                if components.is_empty() {
                    lead.push_str(literal);
                    lead.push_str(part.get(name.len()..).unwrap_or_default());
                    continue;
                }
                // Of this machine only: a key may have such segments, though they cannot be read.
                match literal.as_str() {
                    "" | "." if hides => continue,
                    ".." if hides => {
                        return Err(wrong("'..' after a wildcard is not supported; name the folder"));
                    }
                    _ => {}
                }
            }
            // One `**` is as good as two.
            if component != Component::Folders || components.last() != Some(&component) {
                components.push(component);
            }
        }
        if is_folder {
            if components.last() != Some(&Component::Folders) {
                components.push(Component::Folders);
            }
            components.push(Component::Tiff);
        }
        // At the end, all files in any number of folders.
        if components.last() == Some(&Component::Folders) {
            components.push(Component::Wild(vec![Token::Many]));
        }
        if components.len() > MAX_COMPONENTS {
            return Err(wrong(&format!(
                "the pattern has more than {MAX_COMPONENTS} folders after its first wildcard; name some of them"
            )));
        }
        Ok(Self { lead, components, hides })
    }

    /// The one name that it matches, if it has no wildcards.
    pub(super) fn name(&self) -> Option<&str> {
        self.components.is_empty().then_some(self.lead.as_str())
    }

    /// What stands before the first component with a wildcard, its '/' included.
    pub(super) fn lead(&self) -> &str {
        &self.lead
    }

    /// What all that it matches begins with.
    #[cfg(any(test, feature = "cloud"))]
    pub(super) fn prefix(&self) -> String {
        let mut prefix = self.lead.clone();
        if let Some(Component::Wild(tokens)) = self.components.first() {
            prefix.extend(tokens.iter().map_while(|token| match token {
                Token::Char(c) => Some(c),
                Token::One | Token::Many | Token::Set { .. } => None,
            }));
        }
        prefix
    }

    /// Whether it matches nothing that has a '/' after [`Self::prefix`].
    #[cfg(any(test, feature = "cloud"))]
    pub(super) fn is_flat(&self) -> bool {
        matches!(self.components.as_slice(), [Component::Wild(_)])
    }

    /// Whether it matches a whole key.
    #[cfg(any(test, feature = "cloud"))]
    pub(super) fn matches(&self, key: &str) -> bool {
        let Some(rest) = key.strip_prefix(self.lead.as_str()) else { return false };
        let mut states = self.start();
        let mut is_end = false;
        for name in rest.split('/') {
            let step = self.step(states, name);
            is_end = step.is_end();
            states = step.states();
            if states.0 == 0 && !is_end {
                return false;
            }
        }
        is_end
    }

    /// Before the first name after [`Self::lead`].
    pub(super) fn start(&self) -> States {
        States(self.closed(1))
    }

    /// Where `name`, which has no '/' in it, leads to.
    pub(super) fn step(&self, states: States, name: &str) -> Step {
        let is_hidden = self.hides && name.starts_with('.');
        let (mut deeper, mut further) = (0, 0);
        for (component, bit) in self.active(states) {
            if *component == Component::Folders {
                deeper |= if is_hidden { 0 } else { bit };
            } else if component.matches(name, is_hidden) {
                further |= bit << 1;
            }
        }
        let end = 1 << self.components.len();
        Step { deeper: self.closed(deeper), further: self.closed(further), end }
    }

    /// The names that can lead on at all, if they are known without a look.
    pub(super) fn literals(&self, states: States) -> Option<Vec<&str>> {
        let names = self.active(states).map(|(component, _)| match component {
            Component::Literal(name) => Some(name.as_str()),
            Component::Wild(_) | Component::Folders | Component::Tiff => None,
        });
        names.collect()
    }

    fn active(&self, states: States) -> impl Iterator<Item = (&Component, u64)> {
        let bits = std::iter::successors(Some(1_u64), |bit| Some(bit << 1));
        self.components.iter().zip(bits).filter(move |(_, bit)| states.0 & bit != 0)
    }

    /// The same states, and what comes after each `**`, which may be no folder at all.
    fn closed(&self, states: u64) -> u64 {
        let mut closed = states;
        for (index, component) in self.components.iter().enumerate() {
            if *component == Component::Folders && closed & (1 << index) != 0 {
                closed |= 2 << index;
            }
        }
        closed
    }
}

impl Step {
    /// Whether a file of this name is matched.
    pub(super) fn is_end(self) -> bool {
        (self.deeper | self.further) & self.end != 0
    }

    /// What may come in a folder of this name.
    pub(super) fn states(self) -> States {
        States((self.deeper | self.further) & !self.end)
    }

    /// The same, had `**` not led here.
    pub(super) fn without_deeper(self) -> Self {
        Self { deeper: 0, ..self }
    }

    /// Whether `**` has led here.
    pub(super) fn is_deeper(self) -> bool {
        self.deeper != 0
    }
}

impl States {
    /// Whether nothing can come any more.
    pub(super) fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl Component {
    fn parse(text: &str) -> Self {
        if text == "**" {
            return Self::Folders;
        }
        let (tokens, _) = tokens(text);
        let literal = tokens.iter().map(|token| match token {
            Token::Char(c) => Some(*c),
            Token::One | Token::Many | Token::Set { .. } => None,
        });
        literal.collect::<Option<String>>().map_or(Self::Wild(tokens), Self::Literal)
    }

    fn matches(&self, name: &str, is_hidden: bool) -> bool {
        match self {
            Self::Literal(literal) => literal == name,
            Self::Wild(tokens) => {
                (!is_hidden || tokens.first() == Some(&Token::Char('.'))) && is_match(tokens, name)
            }
            Self::Folders => false,
            Self::Tiff => {
                let name = name.as_bytes();
                !is_hidden
                    && ENDINGS.iter().any(|ending| {
                        let at = name.len().checked_sub(ending.len());
                        let end = at.and_then(|at| name.get(at..));
                        end.is_some_and(|end| end.eq_ignore_ascii_case(ending.as_bytes()))
                    })
            }
        }
    }
}

/// Whether `text` has a wildcard, or one that was taken its meaning, or ends in '/'.
pub(super) fn is_wild(text: &str) -> bool {
    text.ends_with('/') || text.split('/').any(|part| tokens(part).1)
}

/// `name` as a pattern that matches nothing else.
pub(super) fn escape(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, '*' | '?' | '[' | '\\') {
            text.extend(['[', c, ']']);
        } else {
            text.push(c);
        }
    }
    text
}

/// What a component is made of, and whether any of it is not what is written.
fn tokens(text: &str) -> (Vec<Token>, bool) {
    let (mut tokens, mut is_wild) = (Vec::new(), false);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let after = rest.as_str();
        let token = match c {
            '?' => Token::One,
            '*' => Token::Many,
            '[' if let Some((token, more)) = set(after) => {
                rest = more.chars();
                token
            }
            '\\' if let Some(escaped) = after.chars().next().filter(|c| "*?[]\\".contains(*c)) => {
                rest.next();
                // Two backslashes or an escaped ']' may as well be just that, in a name without wildcards.
                is_wild |= "*?[".contains(escaped);
                tokens.push(Token::Char(escaped));
                continue;
            }
            c => {
                tokens.push(Token::Char(c));
                continue;
            }
        };
        is_wild = true;
        // More of them mean the same, and take longer.
        if token != Token::Many || tokens.last() != Some(&Token::Many) {
            tokens.push(token);
        }
    }
    (tokens, is_wild)
}

/// The set whose '[' stands before `text`, and what comes after its ']'; `None` when there is no ']'.
fn set(text: &str) -> Option<(Token, &str)> {
    let (negated, body) = text.strip_prefix('!').map_or((false, text), |body| (true, body));
    // A ']' that comes first is one of the set.
    let first = body.chars().next()?.len_utf8();
    let end = body.get(first..)?.find(']')?.checked_add(first)?;
    let (chars, rest) = (body.get(..end)?, body.get(end..)?.strip_prefix(']')?);
    let chars: Vec<char> = chars.chars().collect();
    if let ([only], false) = (chars.as_slice(), negated) {
        return Some((Token::Char(*only), rest));
    }
    let mut ranges = Vec::new();
    let mut left = chars.as_slice();
    loop {
        left = match left {
            [] => break,
            [low, '-', high, rest @ ..] => {
                // One that ends before it begins has nothing in it.
                ranges.push((*low, *high));
                rest
            }
            [c, rest @ ..] => {
                ranges.push((*c, *c));
                rest
            }
        };
    }
    Some((Token::Set { negated, ranges }, rest))
}

/// Whether `tokens` match all of `name`, in time that grows with the product of their lengths at most: of several `*` only the
/// last has to be tried again.
fn is_match(tokens: &[Token], name: &str) -> bool {
    let (mut pattern, mut text) = (tokens, name.chars());
    // What comes after the last `*`, and where it is to be tried next.
    let mut again: Option<(&[Token], std::str::Chars<'_>)> = None;
    loop {
        let is_same = match (pattern.split_first(), text.clone().next()) {
            (None, None) => return true,
            (Some((Token::Many, rest)), _) => {
                pattern = rest;
                again = Some((rest, text.clone()));
                continue;
            }
            (Some((token, rest)), Some(c)) if token.matches(c) => {
                pattern = rest;
                text.next();
                true
            }
            _ => false,
        };
        if !is_same {
            let Some((rest, start)) = &mut again else { return false };
            if start.next().is_none() {
                return false;
            }
            (pattern, text) = (rest, start.clone());
        }
    }
}

impl Token {
    fn matches(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::One => true,
            Self::Many => false,
            Self::Set { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}
