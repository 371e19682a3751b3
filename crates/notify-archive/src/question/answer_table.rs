//! The answer of a report: [`AnswerTable`].

use notify_core::codec::serde_json::Value;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// A table with totals and notes, ready to be shown as text, CSV or JSON.
///
/// # Examples
///
/// ```
/// use notify_archive::question::AnswerCell;
///
/// let month = 30 * 24 * 3600 * 1_000_000;
/// let cell = AnswerCell::GibHours(2 * 1024 * 1024 * 1024 * month);
/// assert_eq!(cell.text(), "1440.000");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnswerTable {
    /// The names of the columns, in words of JSON keys: `bytes_sent`.
    pub columns: Vec<&'static str>,
    /// The rows, each with one cell per column.
    pub rows: Vec<Vec<AnswerCell>>,
    /// The sums of the rows, with one cell per column. Empty for a table without sums.
    pub totals: Vec<AnswerCell>,
    /// Sentences that say what the numbers mean and cannot mean.
    pub notes: Vec<String>,
}

/// One cell of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerCell {
    /// A text. It may hold anything that a sender wrote: escape it before you show it.
    Text(String),
    /// An exact number.
    Count(u128),
    /// An exact number of bytes.
    Bytes(u128),
    /// An exact product of bytes and microseconds, shown in GiB-hours, rounded half up to three decimals.
    GibHours(u128),
    /// No value.
    Missing,
}

impl AnswerCell {
    /// Returns the cell as a text of digits, without separators. A missing value is empty.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Count(number) | Self::Bytes(number) => number.to_string(),
            Self::GibHours(byte_microseconds) => {
                let thousandths = rounded_thousandths(*byte_microseconds);
                format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
            }
            Self::Missing => String::new(),
        }
    }

    /// Returns `true` for numbers, which a table aligns to the right.
    pub fn is_number(&self) -> bool {
        matches!(self, Self::Count(_) | Self::Bytes(_) | Self::GibHours(_))
    }
}

/// Writes numbers as numbers. GiB-hours are an object with the exact product and the rounded text.
impl Serialize for AnswerCell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => text.serialize(serializer),
            Self::Count(number) | Self::Bytes(number) => number.serialize(serializer),
            Self::GibHours(exact) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("byte_microseconds", exact)?;
                map.serialize_entry("gib_hours", &self.text())?;
                map.end()
            }
            Self::Missing => Value::Null.serialize(serializer),
        }
    }
}

/// Writes `rows` as a list of objects, `totals` as an object, and `notes` as a list.
impl Serialize for AnswerTable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("rows", &RowList(self))?;
        if !self.totals.is_empty() {
            map.serialize_entry("totals", &RowObject(&self.columns, &self.totals))?;
        }
        map.serialize_entry("notes", &self.notes)?;
        map.end()
    }
}

/// The rows of a table as a list of objects.
struct RowList<'a>(&'a AnswerTable);

impl Serialize for RowList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.rows.len()))?;
        for row in &self.0.rows {
            list.serialize_element(&RowObject(&self.0.columns, row))?;
        }
        list.end()
    }
}

/// One row as an object.
struct RowObject<'a>(&'a [&'static str], &'a [AnswerCell]);

impl Serialize for RowObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().zip(self.1))
    }
}

/// Returns thousandths of a GiB-hour, rounded half up.
fn rounded_thousandths(byte_microseconds: u128) -> u128 {
    const GIB_HOUR: u128 = 1024 * 1024 * 1024 * 3600 * 1_000_000;
    let whole = byte_microseconds / GIB_HOUR;
    whole * 1000 + (byte_microseconds % GIB_HOUR * 1000 + GIB_HOUR / 2) / GIB_HOUR
}

#[cfg(test)]
mod tests {
    use super::*;

    /// JSON holds the exact sum, also where it exceeds 64 bits.
    #[test]
    fn json_holds_exact_numbers() {
        let table = AnswerTable {
            columns: vec!["project", "bytes"],
            rows: vec![vec![
                AnswerCell::Text("web".into()),
                AnswerCell::Bytes(u128::from(u64::MAX) + 1),
            ]],
            totals: vec![
                AnswerCell::Missing,
                AnswerCell::GibHours(1024 * 1024 * 1024 * 1_800_000_000),
            ],
            notes: vec!["n".into()],
        };
        let json = serde_json::to_string(&table).unwrap();
        let expected = r#"{"rows":[{"project":"web","bytes":18446744073709551616}],"totals":{"project":null,"bytes":{"byte_microseconds":1932735283200000000,"gib_hours":"0.500"}},"notes":["n"]}"#;
        assert_eq!(json, expected);
    }

    /// Half a thousandth is rounded up.
    #[test]
    fn gib_hours_are_rounded_half_up() {
        let gib_hour = 1024 * 1024 * 1024 * 3600 * 1_000_000_u128;
        for (product, text) in [
            (0, "0.000"),
            (gib_hour / 2000 - 1, "0.000"),
            (gib_hour / 2000, "0.001"),
            (gib_hour * 5 - 1, "5.000"),
        ] {
            assert_eq!(AnswerCell::GibHours(product).text(), text);
        }
    }
}
