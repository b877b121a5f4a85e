//! The attribute table of a shapefile: dBase III and IV, and the binary fields of Visual FoxPro.

use std::sync::Arc;

use super::Value;
use super::code_page::CodePage;
use crate::error::{Error, Result};

/// The fields of a row, by name.
type Row = Vec<(Arc<str>, Value)>;

/// Bytes of a field's description in the header.
const DESCRIPTOR: usize = 32;

#[derive(Clone, Debug)]
struct Field {
    name: Arc<str>,
    kind: u8,
    /// Its place in a record, in bytes from the record's beginning.
    start: usize,
    length: usize,
    decimals: u8,
}

/// A table, of which each row is read when it is asked for.
#[derive(Clone, Debug)]
pub(super) struct Table<'a> {
    fields: Vec<Field>,
    rows: &'a [u8],
    row_bytes: usize,
    /// Rows that the header promises.
    promised: u32,
    code_page: CodePage,
}

impl<'a> Table<'a> {
    /// The table in the bytes of a `.dbf`, with texts in the encoding that the `.cpg` names, or else the table itself.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Format`] for bytes that are no table; [`crate::ErrorKind::Unsupported`] for dBase 7.
    pub(super) fn new(bytes: &'a [u8], cpg: Option<&[u8]>) -> Result<Self> {
        let short = || Error::format(format!("the .dbf of {} bytes ends within its header", bytes.len()));
        let (head, _) = bytes.split_first_chunk::<DESCRIPTOR>().ok_or_else(short)?;
        let [version, _, _, _, r0, r1, r2, r3, h0, h1, w0, w1, ..] = *head;
        let [.., language, _, _] = *head;
        if version & 7 == 4 {
            return Err(Error::unsupported(
                "the .dbf is a table of dBase 7, which no GIS reads; convert the shapefile first, for example with ogr2ogr",
            ));
        }
        let promised = u32::from_le_bytes([r0, r1, r2, r3]);
        let header = usize::from(u16::from_le_bytes([h0, h1]));
        let row_bytes = usize::from(u16::from_le_bytes([w0, w1]));
        let descriptors = bytes.get(DESCRIPTOR..header).ok_or_else(short)?;
        let code_page = CodePage::of(cpg, language);
        let mut fields = Vec::new();
        let mut start = 1_usize;
        for descriptor in
            descriptors.chunks_exact(DESCRIPTOR).take_while(|field| field.first() != Some(&b'\r'))
        {
            let [name @ .., _, _, _, _, _] = descriptor.first_chunk::<16>().ok_or_else(short)?;
            let (kind, length, decimals) = match descriptor.get(11..18) {
                Some([kind, _, _, _, _, length, decimals]) => (*kind, usize::from(*length), *decimals),
                _ => return Err(short()),
            };
            let name = name.split(|byte| *byte == 0).next().unwrap_or(&[]);
            let name = Arc::from(code_page.text(name.trim_ascii()));
            fields.push(Field { name, kind, start, length, decimals });
            start = start.saturating_add(length);
        }
        if start > row_bytes {
            return Err(Error::format(format!(
                "the fields of the .dbf take {start} bytes, but its records have {row_bytes}"
            )));
        }
        let rows = bytes.get(header..).unwrap_or(&[]);
        Ok(Self { fields, rows, row_bytes, promised, code_page })
    }

    /// The names of the fields.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.fields.iter().map(|field| &field.name)
    }

    /// The row `index`, from 0; `None` when it is marked as deleted.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Format`] when the table has no such row, or ends within it;
    /// [`crate::ErrorKind::Unsupported`] for text in an encoding that is not read.
    pub(super) fn row(&self, index: usize) -> Result<Option<Row>> {
        if u32::try_from(index).is_ok_and(|index| index >= self.promised) {
            return Err(Error::format(format!(
                "the .dbf has {} records, so the shape {index} has none; the two files do not belong together",
                self.promised
            )));
        }
        let start = index.saturating_mul(self.row_bytes);
        let row = self.rows.get(start..start.saturating_add(self.row_bytes)).ok_or_else(|| {
            Error::format(format!(
                "the .dbf ends within its record {index}, of {} that it promises",
                self.promised
            ))
        })?;
        if row.first() == Some(&b'*') {
            return Ok(None);
        }
        let mut values = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            let bytes = row.get(field.start..field.start.saturating_add(field.length)).unwrap_or(&[]);
            let value = self.value(field, bytes).map_err(|error| {
                error.at(format_args!("the .dbf's record {index}, field `{}`", field.name))
            })?;
            values.extend(value.map(|value| (Arc::clone(&field.name), value)));
        }
        Ok(Some(values))
    }

    /// Whether the row `index` is marked as deleted.
    pub(super) fn is_deleted(&self, index: usize) -> bool {
        self.rows.get(index.saturating_mul(self.row_bytes)) == Some(&b'*')
    }

    /// A field's value; `None` for a type that is neither number nor text.
    fn value(&self, field: &Field, bytes: &[u8]) -> Result<Option<Value>> {
        let trimmed = bytes.trim_ascii();
        Ok(Some(match field.kind {
            b'N' | b'F' => number(trimmed, field.decimals),
            b'L' => match trimmed.first() {
                Some(b'T' | b't' | b'Y' | b'y') => Value::Bool(true),
                Some(b'F' | b'f' | b'N' | b'n') => Value::Bool(false),
                _ => Value::Null,
            },
            b'D' => date(trimmed),
            b'I' | b'+' => bytes
                .first_chunk()
                .map_or(Value::Null, |number| Value::Integer(i32::from_le_bytes(*number).into())),
            b'O' => double(bytes),
            b'B' if bytes.len() == 8 => double(bytes),
            // Pictures, memos in a file beside, what the table keeps for itself; `B` of 10 digits is the number of a memo.
            b'B' | b'M' | b'G' | b'P' | b'V' | b'W' | b'Q' | b'0' => return Ok(None),
            b'@' | b'T' => bytes.first_chunk().map_or(Value::Null, |bytes| moment(*bytes)),
            b'Y' => bytes
                .first_chunk()
                .map_or(Value::Null, |money| Value::Real(currency(i64::from_le_bytes(*money)))),
            _ if trimmed.is_empty() => Value::Null,
            _ => Value::Text(
                self.code_page.checked_text(trimmed.split(|byte| *byte == 0).next().unwrap_or(&[]))?,
            ),
        }))
    }
}

/// A number in digits. Blank, or stars where it did not fit, it is none.
fn number(digits: &[u8], decimals: u8) -> Value {
    let digits = digits.split(|byte| *byte == 0).next().unwrap_or(&[]).trim_ascii();
    let Ok(text) = std::str::from_utf8(digits) else { return Value::Null };
    // Some programs write the comma of their country.
    let text = text.replace(',', ".");
    match text.parse() {
        Ok(whole) if decimals == 0 => Value::Integer(whole),
        _ => text.parse().map_or(Value::Null, Value::Real),
    }
}

/// `YYYYMMDD` as ISO 8601 writes it.
fn date(digits: &[u8]) -> Value {
    match digits {
        [] | b"00000000" => Value::Null,
        [y0, y1, y2, y3, m0, m1, d0, d1] if digits.iter().all(u8::is_ascii_digit) => Value::Text(
            [y0, y1, y2, y3, &b'-', m0, m1, &b'-', d0, d1]
                .into_iter()
                .map(|byte| char::from(*byte))
                .collect(),
        ),
        other => Value::Text(String::from_utf8_lossy(other).into_owned()),
    }
}

fn double(bytes: &[u8]) -> Value {
    bytes.first_chunk().map_or(Value::Null, |number| Value::Real(f64::from_le_bytes(*number)))
}

/// Ten-thousandths.
#[expect(clippy::cast_precision_loss, reason = "properties are compared with what people type")]
fn currency(parts: i64) -> f64 {
    parts as f64 / 1e4
}

/// A Julian day number and milliseconds since midnight.
fn moment(bytes: [u8; 8]) -> Value {
    let [d0, d1, d2, d3, t0, t1, t2, t3] = bytes;
    let day = i64::from(i32::from_le_bytes([d0, d1, d2, d3]));
    let time = i64::from(i32::from_le_bytes([t0, t1, t2, t3]));
    if !(1_721_426..=5_373_484).contains(&day) || !(0..86_400_000).contains(&time) {
        return Value::Null;
    }
    // Days from 0000-03-01, in eras of 400 years: the leap day is then a year's last.
    let days = day.saturating_sub(1_721_120);
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era
        .saturating_sub(of_era / 1460)
        .saturating_add(of_era / 36_524)
        .saturating_sub(of_era / 146_096))
        / 365;
    let of_year = of_era.saturating_sub(
        year_of_era.saturating_mul(365).saturating_add(year_of_era / 4).saturating_sub(year_of_era / 100),
    );
    let month = of_year.saturating_mul(5).saturating_add(2) / 153;
    let date = of_year.saturating_sub(month.saturating_mul(153).saturating_add(2) / 5).saturating_add(1);
    let calendar_month = if month < 10 { month.saturating_add(3) } else { month.saturating_sub(9) };
    let year =
        year_of_era.saturating_add(era.saturating_mul(400)).saturating_add((calendar_month <= 2).into());
    let (seconds, thousandths) = (time / 1000, time % 1000);
    Value::Text(format!(
        "{year:04}-{calendar_month:02}-{date:02}T{:02}:{:02}:{:02}.{thousandths:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// A table of one row, with fields of these types, lengths and decimals.
    fn table(fields: &[(u8, &[u8], u8)]) -> Vec<u8> {
        let header = fields.len().saturating_mul(32).saturating_add(33);
        let row = fields.iter().map(|(_, bytes, _)| bytes.len()).sum::<usize>().saturating_add(1);
        let mut table = vec![3, 124, 2, 29, 1, 0, 0, 0];
        table.extend(u16::try_from(header).unwrap().to_le_bytes());
        table.extend(u16::try_from(row).unwrap().to_le_bytes());
        table.resize(32, 0);
        for (place, (kind, bytes, decimals)) in fields.iter().enumerate() {
            let mut field = format!("f{place}").into_bytes();
            field.resize(11, 0);
            field.extend([*kind, 0, 0, 0, 0, u8::try_from(bytes.len()).unwrap(), *decimals]);
            field.resize(32, 0);
            table.extend(field);
        }
        table.extend(b"\r ");
        table.extend(fields.iter().flat_map(|(_, bytes, _)| bytes.iter()));
        table
    }

    #[test]
    fn each_type_of_field_is_read() {
        // After dBase's and FoxPro's descriptions; 2451545 is the Julian day of 2000-01-01.
        #[track_caller]
        fn check(kind: u8, bytes: &[u8], decimals: u8, expected: Option<Value>) {
            let bytes = table(&[(kind, bytes, decimals), (b'C', b"end", 0)]);
            let row = Table::new(&bytes, None).unwrap().row(0).unwrap().unwrap();
            let value = (row.len() == 2).then(|| row[0].1.clone());
            assert_eq!((value, &row[row.len() - 1].1), (expected, &Value::Text("end".into())));
        }
        let text = |text: &str| Some(Value::Text(text.into()));
        check(b'C', b"  a b  ", 0, text("a b"));
        check(b'C', b"\0\0\0", 0, text(""));
        check(b'C', b"   ", 0, Some(Value::Null));
        check(b'N', b"  -12", 0, Some(Value::Integer(-12)));
        check(b'N', b"12345678901234567890", 0, Some(Value::Real(12_345_678_901_234_567_890.0)));
        check(b'N', b" 12.00", 2, Some(Value::Real(12.0)));
        check(b'F', b"1.5e+003", 3, Some(Value::Real(1500.0)));
        check(b'N', b"1,5", 1, Some(Value::Real(1.5)));
        check(b'N', b"*****", 0, Some(Value::Null));
        check(b'N', b"     ", 0, Some(Value::Null));
        check(b'L', b"T", 0, Some(Value::Bool(true)));
        check(b'L', b"n", 0, Some(Value::Bool(false)));
        check(b'L', b"?", 0, Some(Value::Null));
        check(b'D', b"20240229", 0, text("2024-02-29"));
        check(b'D', b"        ", 0, Some(Value::Null));
        check(b'D', b"00000000", 0, Some(Value::Null));
        check(b'I', &(-7_i32).to_le_bytes(), 0, Some(Value::Integer(-7)));
        check(b'O', &1.25_f64.to_le_bytes(), 0, Some(Value::Real(1.25)));
        check(b'B', &1.25_f64.to_le_bytes(), 0, Some(Value::Real(1.25)));
        check(b'B', b"         1", 0, None);
        check(b'M', b"         1", 0, None);
        check(b'Y', &12_345_i64.to_le_bytes(), 4, Some(Value::Real(1.2345)));
        for (day, milliseconds, written) in [
            (2_451_545_i32, 43_200_001_i32, "2000-01-01T12:00:00.001"),
            (2_451_604, 0, "2000-02-29T00:00:00.000"),
            (2_440_587, 86_399_999, "1969-12-31T23:59:59.999"),
        ] {
            let bytes = [day.to_le_bytes(), milliseconds.to_le_bytes()].concat();
            check(b'T', &bytes, 0, text(written));
            check(b'@', &bytes, 0, text(written));
        }
        check(b'@', &[0; 8], 0, Some(Value::Null));
    }

    #[test]
    fn what_is_no_table_says_so() {
        #[track_caller]
        fn refused(bytes: &[u8], kind: ErrorKind, words: &str) {
            let error = Table::new(bytes, None).and_then(|table| table.row(0)).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
        let good = table(&[(b'N', b"1234", 0)]);
        let edited = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            bytes
        };
        refused(b"", ErrorKind::Format, "within its header");
        refused(&good[..40], ErrorKind::Format, "within its header");
        refused(&edited(0, 4), ErrorKind::Unsupported, "dBase 7");
        refused(&edited(10, 2), ErrorKind::Format, "its records have 2");
        refused(&edited(4, 0), ErrorKind::Format, "has 0 records");
        refused(&good[..good.len() - 1], ErrorKind::Format, "within its record 0, of 1");
        let odd = table(&[(b'C', b"\xe4", 0)]);
        let error = Table::new(&odd, Some(b"EBCDIC")).unwrap().row(0).unwrap_err();
        assert!(
            error.kind() == ErrorKind::Unsupported && error.to_string().contains("field `f0`"),
            "{error}"
        );
    }
}
