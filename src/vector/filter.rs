//! Conditions on properties, as `--where` takes them: `name=Alps`, `area>=2.5`, `class in (3, 'wet meadow') and year!=2019`.
//!
//! Numbers are compared as numbers, all else as text, exactly. A property without a value satisfies `=null` and nothing
//! else, as in SQL.

use std::cmp::Ordering;
use std::str::FromStr;
use std::sync::Arc;

use super::Value;
use crate::error::{Error, Result};

/// Conditions, all of which must hold. Empty, it lets everything pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq)]
struct Condition {
    name: String,
    operator: Operator,
    /// One literal, or for `in` at least one.
    literals: Vec<Literal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

/// What a property is compared with.
#[derive(Clone, Debug, PartialEq)]
struct Literal {
    text: String,
    /// Quoted text is never a number or null.
    quoted: bool,
}

/// The operators, the longer ones first.
const OPERATORS: &[(&str, Operator)] = &[
    ("!=", Operator::NotEqual),
    ("<>", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("==", Operator::Equal),
    ("=", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

impl Filter {
    /// These conditions and those of `other`.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.conditions.extend(other.conditions);
        self
    }

    /// Whether there is no condition.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Names of the properties that the conditions speak of.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.conditions.iter().map(|condition| condition.name.as_str())
    }

    /// Whether all conditions hold. A property that is not there has no value.
    #[must_use]
    pub fn holds(&self, properties: &[(Arc<str>, Value)]) -> bool {
        self.conditions.iter().all(|condition| {
            condition.holds(super::property(properties, &condition.name).unwrap_or(&Value::Null))
        })
    }
}

impl Condition {
    fn holds(&self, value: &Value) -> bool {
        let any = |wanted: &[Ordering]| {
            self.literals
                .iter()
                .any(|literal| literal.compare(value).is_some_and(|found| wanted.contains(&found)))
        };
        match self.operator {
            Operator::Equal | Operator::In => any(&[Ordering::Equal]),
            // Null is neither equal nor unequal to anything but null.
            Operator::NotEqual => match (value, self.literals.first()) {
                (Value::Null, _) => false,
                (_, Some(literal)) => literal.compare(value) != Some(Ordering::Equal),
                (_, None) => true,
            },
            Operator::Less => any(&[Ordering::Less]),
            Operator::LessOrEqual => any(&[Ordering::Less, Ordering::Equal]),
            Operator::Greater => any(&[Ordering::Greater]),
            Operator::GreaterOrEqual => any(&[Ordering::Greater, Ordering::Equal]),
        }
    }
}

impl Literal {
    /// How `value` stands to the literal; `None` when the two cannot be compared.
    fn compare(&self, value: &Value) -> Option<Ordering> {
        match value {
            Value::Null => {
                (!self.quoted && self.text.eq_ignore_ascii_case("null")).then_some(Ordering::Equal)
            }
            Value::Bool(value) => {
                let literal = match self.text.to_ascii_lowercase().as_str() {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return None,
                };
                Some(value.cmp(&literal))
            }
            Value::Integer(value) => match self.text.parse::<i64>() {
                Ok(literal) => Some(value.cmp(&literal)),
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "a fraction or a huge number decides at its own precision"
                )]
                Err(_) => (*value as f64).partial_cmp(&self.number()?),
            },
            Value::Real(value) => value.partial_cmp(&self.number()?),
            Value::Text(value) => Some(value.as_str().cmp(self.text.as_str())),
        }
    }

    fn number(&self) -> Option<f64> {
        self.text.parse().ok()
    }
}

impl FromStr for Filter {
    type Err = Error;

    /// Conditions joined by `and`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for text of another form.
    fn from_str(text: &str) -> Result<Self> {
        let mut reader = Reader { rest: text };
        let mut conditions = Vec::new();
        let bad = |reader: &Reader<'_>, what: &str| {
            let place = if reader.rest.is_empty() {
                "at its end".to_owned()
            } else {
                format!("at `{}`", reader.rest)
            };
            Error::usage(format!(
                "the condition `{text}` {what} {place}; conditions look like name=Alps, area>=2.5, class in (1, 'wet \
                 meadow'), joined by `and`"
            ))
        };
        loop {
            let name = match reader.word(is_end_of_name) {
                Some(name) if !name.text.is_empty() => name.text,
                _ => return Err(bad(&reader, "lacks the name of a property")),
            };
            let operator = reader.operator().ok_or_else(|| bad(&reader, "lacks an operator"))?;
            let mut literals = Vec::new();
            if operator == Operator::In {
                if !reader.take("(") {
                    return Err(bad(&reader, "lacks the bracket behind `in`"));
                }
                loop {
                    let literal = reader
                        .word(|c, _| matches!(c, ',' | ')'))
                        .ok_or_else(|| bad(&reader, "has an open quote"))?;
                    literals.push(literal);
                    if reader.take(")") {
                        break;
                    }
                    if !reader.take(",") {
                        return Err(bad(&reader, "lacks a closing bracket"));
                    }
                }
            } else {
                let literal =
                    reader.word(is_end_of_value).ok_or_else(|| bad(&reader, "has an open quote"))?;
                if literal.text.is_empty() && !literal.quoted {
                    return Err(bad(&reader, "lacks a value"));
                }
                if !literal.quoted && literal.text.to_ascii_lowercase().contains(" or ") {
                    return Err(bad(&reader, "knows no `or` (quote the value if it is part of it),"));
                }
                literals.push(literal);
            }
            conditions.push(Condition { name, operator, literals });
            reader.skip_space();
            if reader.rest.is_empty() {
                return Ok(Self { conditions });
            }
            if !reader.keyword("and") {
                return Err(bad(&reader, "has something else than `and`"));
            }
        }
    }
}

/// A name ends at an operator, `in` included.
fn is_end_of_name(c: char, rest: &str) -> bool {
    matches!(c, '=' | '!' | '<' | '>') || (c.is_whitespace() && starts_with_keyword(rest.trim_start(), "in"))
}

/// A value ends at the next `and`.
fn is_end_of_value(c: char, rest: &str) -> bool {
    c.is_whitespace() && starts_with_keyword(rest.trim_start(), "and")
}

fn starts_with_keyword(text: &str, keyword: &str) -> bool {
    let (Some(head), Some(tail)) = (text.get(..keyword.len()), text.get(keyword.len()..)) else {
        return false;
    };
    let ends = tail.is_empty() || tail.starts_with(|c: char| c.is_whitespace() || c == '(');
    head.eq_ignore_ascii_case(keyword) && ends
}

/// What is left to read.
struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, what: &str) -> bool {
        self.skip_space();
        let rest = self.rest.strip_prefix(what);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn keyword(&mut self, what: &str) -> bool {
        self.skip_space();
        let found = starts_with_keyword(self.rest, what);
        if found {
            self.rest = self.rest.get(what.len()..).unwrap_or_default();
        }
        found
    }

    fn operator(&mut self) -> Option<Operator> {
        if self.keyword("in") {
            return Some(Operator::In);
        }
        OPERATORS.iter().find(|(sign, _)| self.take(sign)).map(|(_, operator)| *operator)
    }

    /// Quoted text, in which a doubled quote stands for itself; or all up to where `ends` says, without the space around
    /// it. `None` for a quote that is not closed.
    fn word(&mut self, ends: impl Fn(char, &str) -> bool) -> Option<Literal> {
        self.skip_space();
        if let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '\'' | '"')) {
            let mut text = String::new();
            let mut characters = self.rest.char_indices().skip(1).peekable();
            while let Some((_, c)) = characters.next() {
                if c != quote {
                    text.push(c);
                } else if characters.next_if(|(_, next)| *next == quote).is_some() {
                    text.push(quote);
                } else {
                    let end = characters.peek().map_or(self.rest.len(), |(at, _)| *at);
                    self.rest = self.rest.get(end..).unwrap_or_default();
                    return Some(Literal { text, quoted: true });
                }
            }
            return None;
        }
        let end = self.rest.char_indices().find(|&(at, c)| ends(c, self.rest.get(at..).unwrap_or_default()));
        let (word, rest) = self.rest.split_at(end.map_or(self.rest.len(), |(at, _)| at));
        self.rest = rest;
        Some(Literal { text: word.trim().to_owned(), quoted: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties() -> Vec<(Arc<str>, Value)> {
        vec![
            ("name".into(), Value::Text("Rock and Roll".to_owned())),
            ("Class".into(), Value::Integer(3)),
            ("area".into(), Value::Real(2.5)),
            ("open".into(), Value::Bool(true)),
            ("note".into(), Value::Null),
            ("day".into(), Value::Text("2024-05-01".to_owned())),
            ("big".into(), Value::Integer(i64::MAX)),
            ("a b".into(), Value::Text("it's".to_owned())),
        ]
    }

    #[test]
    fn conditions_hold_or_not() {
        #[track_caller]
        fn check(text: &str, expected: bool) {
            let filter: Filter = text.parse().unwrap();
            assert_eq!(filter.holds(&properties()), expected, "{text}");
        }
        check("name='Rock and Roll'", true);
        check("class=3", true);
        check(" CLASS == 3.0 ", true);
        check("class='3'", true);
        check("class=03", true);
        check("class!=3", false);
        check("class<>4 and area > 2 and area<=2.5", true);
        check("area>=2.6", false);
        check("class in (1, 2,3)", true);
        check("class in(1,2)", false);
        check("name IN ('x', \"Rock and Roll\")", true);
        check("open=true", true);
        check("open=0", false);
        check("note=null", true);
        check("note='null'", false);
        check("note!=5", false);
        check("name!=null", true);
        check("missing=null", true);
        check("day>=2024-01-01 and day<2025", true);
        check("big=9223372036854775807", true);
        check("big=9223372036854775806", false);
        check("'a b'='it''s'", true);
        check("a b=it's", true);
        check("name<Stone", true);
        check("name=ünï", false);
    }

    #[test]
    fn what_is_no_condition_says_so() {
        for text in [
            "",
            "name",
            "name=Rock and Roll",
            "a=1 or b=2",
            "=3",
            "name=",
            "name='x",
            "a=1 or b=2 and",
            "class in 3",
            "class in (3",
            "a=1 and",
        ] {
            let filter = text.parse::<Filter>();
            assert!(filter.is_err(), "{text}: {filter:?}");
        }
        let error = "name ~ x".parse::<Filter>().unwrap_err();
        assert!(error.to_string().contains("operator"), "{error}");
        assert_eq!("a=1 and b=2".parse::<Filter>().unwrap().names().collect::<Vec<_>>(), ["a", "b"]);
    }
}
