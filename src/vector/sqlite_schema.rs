//! Columns of SQLite's tables, out of the CREATE TABLE that the schema holds (sqlite.org/lang_createtable.html).

use std::sync::Arc;

use crate::error::{Error, Result};

/// Columns that a table may have: the most that SQLite can be built for.
const MOST_COLUMNS: usize = 32_767;

/// A table.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// Its name as it is written.
    pub(super) name: String,
    /// Number of the first page of its b-tree, from 1.
    pub(super) root: u32,
    /// Its columns in their order.
    pub(super) columns: Vec<Column>,
    /// Whether its rows have no rowid: it is then stored as an index is.
    pub(super) without_rowid: bool,
}

impl Table {
    /// The column of this name, in capitals or not.
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The column of this name, in capitals or not, of a table that must have it.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Format`] when it has none.
    pub(super) fn need(&self, name: &str) -> Result<&Column> {
        self.column(name)
            .ok_or_else(|| Error::format(format!("the SQLite table `{}` has no column `{name}`", self.name)))
    }
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    /// Its name.
    pub(super) name: Arc<str>,
    /// Its declared type in capitals, words with one space before them; empty without one.
    pub(super) declared: String,
    /// Where its values are.
    pub(super) place: Place,
    /// The value in rows older than the column.
    pub(super) default: Default,
}

/// Where the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is another name of the rowid.
    Rowid,
    /// The field of this index in the record.
    Field(usize),
    /// Nowhere: they are computed when they are asked for.
    Nowhere,
}

/// What stands in for a value that a record does not have.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Default {
    /// NULL, also when none is declared.
    Null,
    /// An integer.
    Integer(i64),
    /// A number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
    /// Something that must be computed.
    Expression,
}

/// What SQLite prefers to store in a column (sqlite.org/datatype3.html §3.1).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

impl Column {
    fn affinity(&self) -> Affinity {
        let has = |part| self.declared.contains(part);
        if has("INT") {
            Affinity::Integer
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Affinity::Text
        } else if has("BLOB") || self.declared.is_empty() {
            Affinity::Blob
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Affinity::Real
        } else {
            Affinity::Numeric
        }
    }

    /// Whether its whole numbers are numbers all the same.
    pub(super) fn is_real(&self) -> bool {
        self.affinity() == Affinity::Real
    }

    /// A literal as a column of this affinity stores it.
    fn stored(&self, value: Default) -> Default {
        match (self.affinity(), value) {
            (Affinity::Text, Default::Integer(value)) => Default::Text(value.to_string()),
            // SQLite's way of writing numbers is its own.
            (Affinity::Text, Default::Real(_)) => Default::Expression,
            (Affinity::Integer | Affinity::Real | Affinity::Numeric, Default::Text(text)) => {
                number(text.trim()).unwrap_or(Default::Text(text))
            }
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and below 2^53")]
            (Affinity::Integer | Affinity::Numeric, Default::Real(value))
                if value.abs() < 9e15 && value.fract() == 0.0 =>
            {
                Default::Integer(value as i64)
            }
            (_, value) => value,
        }
    }
}

/// A piece of SQL.
#[derive(Clone, Debug, PartialEq)]
enum Token<'s> {
    /// A bare word: a keyword, a name, or a number.
    Word(&'s str),
    /// A name in quotes `"`, `[` or a backtick.
    Name(String),
    /// Text in single quotes.
    Text(String),
    /// Anything else, one character.
    Mark(char),
}

impl Token<'_> {
    fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    /// What it names where a name is expected.
    fn name(&self) -> Option<&str> {
        match self {
            Self::Word(name) => Some(name),
            Self::Name(name) | Self::Text(name) => Some(name),
            Self::Mark(_) => None,
        }
    }
}

/// Splits SQL into tokens; `None` when a quote is not closed.
fn tokens(sql: &str) -> Option<Vec<Token<'_>>> {
    let mut found = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..)?;
        if first.is_ascii_whitespace() {
            rest = after;
        } else if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, rest)| rest);
        } else if matches!(first, '"' | '\'' | '`' | '[') {
            let (text, behind) = quoted(after, if first == '[' { ']' } else { first })?;
            found.push(if first == '\'' { Token::Text(text) } else { Token::Name(text) });
            rest = behind;
        } else if is_of_word(first) {
            let end = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
            let (word, behind) = rest.split_at_checked(end)?;
            found.push(Token::Word(word));
            rest = behind;
        } else {
            found.push(Token::Mark(first));
            rest = after;
        }
    }
    Some(found)
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.') || !c.is_ascii()
}

/// The text up to a closing quote, which stands for itself when doubled (`]` never does), and what comes behind it.
fn quoted(sql: &str, close: char) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut rest = sql;
    loop {
        let (before, after) = rest.split_once(close)?;
        text.push_str(before);
        match after.strip_prefix(close) {
            Some(behind) if close != ']' => {
                text.push(close);
                rest = behind;
            }
            _ => return Some((text, after)),
        }
    }
}

/// The arguments of a virtual table: `CREATE VIRTUAL TABLE t USING module(a, b)` gives the module and each argument's
/// first name. `None` for anything else.
pub(super) fn module(sql: &str) -> Option<(String, Vec<String>)> {
    let tokens = tokens(sql)?;
    let using = tokens.iter().position(|token| token.is("USING"))?;
    let name = tokens.get(using.checked_add(1)?)?.name()?.to_ascii_lowercase();
    let arguments = items(tokens.get(using.checked_add(2)?..)?)?.0;
    let names = arguments.iter().map(|item| item.first().and_then(Token::name).unwrap_or("").to_owned());
    Some((name, names.collect()))
}

/// Splits what stands in the parentheses that `tokens` begin with at the commas outside inner ones, and gives what comes
/// behind them.
fn items<'t, 's>(tokens: &'t [Token<'s>]) -> Option<(Vec<&'t [Token<'s>]>, &'t [Token<'s>])> {
    let mut found = Vec::new();
    let (mut depth, mut start) = (0_usize, 1_usize);
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark('(') => depth = depth.checked_add(1)?,
            Token::Mark(')') => depth = depth.checked_sub(1)?,
            Token::Mark(',') if depth == 1 => {
                found.push(tokens.get(start..index)?);
                start = index.checked_add(1)?;
            }
            Token::Mark(_) | Token::Word(_) | Token::Name(_) | Token::Text(_) => {}
        }
        if depth == 0 {
            found.push(tokens.get(start..index)?);
            return Some((found, tokens.get(index.checked_add(1)?..)?));
        }
    }
    None
}

/// The table `name` that the statement `sql` made.
///
/// # Errors
/// [`crate::ErrorKind::Format`] when it is no CREATE TABLE, or has more columns than SQLite can have.
pub(super) fn parse(name: &str, root: u32, sql: &str) -> Result<Table> {
    let (columns, without_rowid) = table(sql).ok_or_else(|| {
        Error::format(format!(
            "the statement in the SQLite schema that makes the table `{name}` cannot be understood"
        ))
    })?;
    if columns.len() > MOST_COLUMNS {
        return Err(Error::format(format!(
            "the SQLite table `{name}` has {} columns; SQLite cannot have more than {MOST_COLUMNS}",
            columns.len()
        )));
    }
    Ok(Table { name: name.to_owned(), root, columns, without_rowid })
}

fn table(sql: &str) -> Option<(Vec<Column>, bool)> {
    let tokens = tokens(sql)?;
    let open = tokens.iter().position(|token| *token == Token::Mark('('))?;
    let head = tokens.get(..open)?;
    if !(head.first()?.is("CREATE") && head.iter().any(|token| token.is("TABLE"))) {
        return None;
    }
    let (items, options) = items(tokens.get(open..)?)?;
    let mut columns: Vec<Column> = Vec::new();
    let mut alias = None;
    let mut fields = 0_usize;
    for item in items {
        if item.first()?.is_any(&["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"]) {
            alias = alias.or_else(|| table_key(item));
            continue;
        }
        let (mut column, is_key) = column(item)?;
        if is_key {
            alias = Some(column.name.to_string());
        }
        if let Place::Field(index) = &mut column.place {
            *index = fields;
            fields = fields.checked_add(1)?;
        }
        columns.push(column);
    }
    let without_rowid = options
        .windows(2)
        .any(|pair| matches!(pair, [first, second] if first.is("WITHOUT") && second.is("ROWID")));
    let alias = alias.filter(|_| !without_rowid);
    if let Some(key) =
        alias.and_then(|alias| columns.iter_mut().find(|column| column.name.eq_ignore_ascii_case(&alias)))
        && key.declared == "INTEGER"
    {
        // The record keeps a NULL in its place.
        key.place = Place::Rowid;
    }
    Some((columns, without_rowid))
}

/// The only column of a table's PRIMARY KEY constraint.
fn table_key(item: &[Token<'_>]) -> Option<String> {
    let primary = item.iter().position(|token| token.is("PRIMARY"))?;
    let open = item.iter().position(|token| *token == Token::Mark('('))?;
    let (keys, _) = items(item.get(open..)?)?;
    match keys.as_slice() {
        [key] if primary < open => key.first()?.name().map(str::to_owned),
        _ => None,
    }
}

/// Words that end a column's type and begin its constraints.
const CONSTRAINTS: &[&str] = &[
    "CONSTRAINT",
    "PRIMARY",
    "NOT",
    "NULL",
    "UNIQUE",
    "CHECK",
    "DEFAULT",
    "COLLATE",
    "REFERENCES",
    "GENERATED",
    "AS",
];

/// A column, and whether it is declared an INTEGER PRIMARY KEY that runs upwards.
fn column(item: &[Token<'_>]) -> Option<(Column, bool)> {
    let (name, rest) = item.split_first()?;
    let end = rest.iter().position(|token| token.is_any(CONSTRAINTS)).unwrap_or(rest.len());
    let (kind, constraints) = rest.split_at_checked(end)?;
    let mut declared = String::new();
    for token in kind {
        match token {
            Token::Mark(mark) => declared.push(*mark),
            Token::Word(word) => declared = format!("{declared} {word}"),
            Token::Name(word) | Token::Text(word) => declared = format!("{declared} {word}"),
        }
    }
    let mut column = Column {
        name: name.name()?.into(),
        declared: declared.trim().to_ascii_uppercase(),
        place: Place::Field(0),
        default: Default::Null,
    };
    let is_stored = constraints.iter().any(|token| token.is("STORED"));
    let mut is_key = false;
    let mut depth = 0_usize;
    let mut before = None;
    for (index, token) in constraints.iter().enumerate() {
        let after = constraints.get(index.checked_add(1)?..).unwrap_or(&[]);
        if *token == Token::Mark('(') {
            depth = depth.checked_add(1)?;
        } else if *token == Token::Mark(')') {
            depth = depth.checked_sub(1)?;
        } else if depth > 0 {
            // Inside an expression, or a foreign table's columns
        } else if token.is("PRIMARY") {
            // A key that runs downwards is not the rowid: an old mistake of SQLite's that files rely on.
            is_key = !after.get(1).is_some_and(|token| token.is("DESC"));
        } else if token.is("DEFAULT") && !before.is_some_and(|before: &Token<'_>| before.is("SET")) {
            // As opposed to REFERENCES … ON DELETE SET DEFAULT
            column.default = column.stored(default(after));
        } else if token.is("AS") && !is_stored {
            column.place = Place::Nowhere;
        }
        before = Some(token);
    }
    Some((column, is_key))
}

/// The value behind DEFAULT: a literal, in parentheses or not.
fn default(tokens: &[Token<'_>]) -> Default {
    let found = match items(tokens) {
        // One pair of parentheses: a nest of them is an expression like any other.
        Some((inner, _)) if tokens.first() == Some(&Token::Mark('(')) => match inner.as_slice() {
            [only] => literal(only).filter(|(_, behind)| behind.is_empty()),
            _ => None,
        },
        _ => literal(tokens),
    };
    found.map_or(Default::Expression, |(value, _)| value)
}

/// The literal that `tokens` begin with, and what is behind it.
fn literal<'t, 's>(tokens: &'t [Token<'s>]) -> Option<(Default, &'t [Token<'s>])> {
    match tokens {
        [Token::Mark('-'), Token::Word(word), rest @ ..] => match number(word)? {
            Default::Integer(value) => Some((Default::Integer(value.checked_neg()?), rest)),
            Default::Real(value) => Some((Default::Real(-value), rest)),
            Default::Null | Default::Text(_) | Default::Blob(_) | Default::Expression => None,
        },
        [Token::Mark('+'), Token::Word(word), rest @ ..] => Some((number(word)?, rest)),
        [x, Token::Text(hex), rest @ ..] if x.is("x") => Some((blob(hex)?, rest)),
        [Token::Text(text) | Token::Name(text), rest @ ..] => Some((Default::Text(text.clone()), rest)),
        [word @ Token::Word(text), rest @ ..] => {
            let value = if word.is("NULL") {
                Default::Null
            } else if word.is("TRUE") {
                Default::Integer(1)
            } else if word.is("FALSE") {
                Default::Integer(0)
            } else if text.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
                number(text)?
            } else if word.is_any(&["CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP"]) {
                return None;
            } else {
                Default::Text((*text).to_owned())
            };
            Some((value, rest))
        }
        _ => None,
    }
}

/// A number as SQL writes it.
fn number(word: &str) -> Option<Default> {
    if let Some(hex) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        return u64::from_str_radix(hex, 16).ok().map(|value| Default::Integer(value.cast_signed()));
    }
    let digits = word.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let whole = word.parse().ok().map(Default::Integer);
    whole.or_else(|| word.parse().ok().map(Default::Real)).filter(|_| digits)
}

fn blob(hex: &str) -> Option<Default> {
    let nibble = |c: char| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let nibbles: Vec<u8> = hex.chars().map(nibble).collect::<Option<_>>()?;
    let (pairs, odd) = nibbles.as_chunks::<2>();
    odd.is_empty().then(|| Default::Blob(pairs.iter().map(|[high, low]| (high << 4) | low).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the column `x` is the rowid, as SQLite 3.40 has it.
    #[track_caller]
    fn is_rowid(columns: &str, expected: bool) {
        let table = parse("t", 2, &format!("CREATE TABLE t ({columns})")).unwrap();
        assert_eq!(table.need("x").unwrap().place == Place::Rowid, expected, "{columns}");
        let others = table.columns.iter().filter(|column| *column.name != *"x");
        assert!(others.clone().all(|column| column.place == Place::Field(1)), "{columns}");
        assert_eq!(others.count(), 1);
    }

    #[test]
    fn the_rowid_has_the_names_that_sqlite_gives_it() {
        is_rowid("x INTEGER PRIMARY KEY, y", true);
        is_rowid("x INTEGER PRIMARY KEY ASC, y", true);
        is_rowid("x INTEGER PRIMARY KEY DESC, y", false);
        is_rowid("x INTEGER, y, PRIMARY KEY (x DESC)", true);
        is_rowid("x INT PRIMARY KEY, y", false);
        is_rowid("x INTEGER(5) PRIMARY KEY, y", false);
        is_rowid("\"x\" \"INTEGER\" PRIMARY KEY, y", true);
        is_rowid("x INTEGER, y, PRIMARY KEY (x, y)", false);
        is_rowid("x 'INTEGER' , y, CONSTRAINT k PRIMARY KEY ('x' COLLATE NOCASE)", true);
    }

    /// What a column has in rows that are older than it.
    #[track_caller]
    fn check(column: &str, expected: &Default) {
        let table = parse("t", 2, &format!("CREATE TABLE t (a, {column})")).unwrap();
        assert_eq!(table.columns.last().unwrap().default, *expected, "{column}");
    }

    #[test]
    fn defaults_are_literals_as_their_columns_store_them() {
        // lang_createtable.html §3.2, datatype3.html §3
        check("x INT", &Default::Null);
        check("x INT DEFAULT 5", &Default::Integer(5));
        check("x INT DEFAULT -0x10 NOT NULL", &Default::Integer(-16));
        check("x INT DEFAULT 5.0", &Default::Integer(5));
        check("x INT DEFAULT '5'", &Default::Integer(5));
        check("x TEXT DEFAULT 5", &Default::Text("5".to_owned()));
        check("x DEFAULT +1.5e2", &Default::Real(150.0));
        check("x DEFAULT ('it''s')", &Default::Text("it's".to_owned()));
        check("x DEFAULT \"word\" UNIQUE", &Default::Text("word".to_owned()));
        check("x DEFAULT x'00fF'", &Default::Blob(vec![0, 255]));
        check("x DEFAULT FALSE", &Default::Integer(0));
        check("x REFERENCES b (c) ON DELETE SET DEFAULT", &Default::Null);
        check("x CHECK (x IN (DEFAULT, 1))", &Default::Null);
        for expression in ["1e+5", "(1 + 1)", "CURRENT_TIMESTAMP", "((1))", "x'0'", "(random())", "-'a'"] {
            check(&format!("x DEFAULT {expression}"), &Default::Expression);
        }
    }

    #[test]
    fn what_makes_no_table_is_a_format_error() {
        let nest = format!("CREATE TABLE t (a DEFAULT {}", "(".repeat(1_000_000));
        for sql in [
            "",
            "CREATE TABLE t",
            "CREATE TABLE t (",
            "CREATE TABLE t ('a)",
            "DROP TABLE t (a)",
            "CREATE TABLE t ()",
            &nest,
        ] {
            assert_eq!(parse("t", 2, sql).unwrap_err().kind(), crate::error::ErrorKind::Format);
        }
    }
}
