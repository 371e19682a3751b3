//! A walk over the tables of AMQP 0-9-1, without recursion.
//!
//! This module decodes no value. It only finds the ends of values.

use crate::guard::rules::{MAX_DEPTH, MAX_VALUES};

/// The reason why the client library must not parse a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableFault {
    Malformed,
    TooDeep,
    TooMany,
}

impl TableFault {
    /// Returns the text that follows the host's name.
    pub(crate) fn violation(self) -> &'static str {
        match self {
            Self::Malformed => "sent a malformed table",
            Self::TooDeep => "sent a table that is nested too deeply",
            Self::TooMany => "sent a table with too many values",
        }
    }

    /// Returns the text that marks a delivery.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "the properties are malformed",
            Self::TooDeep => "the headers are nested too deeply",
            Self::TooMany => "the headers have too many values",
        }
    }
}

/// A position in the payload of a frame.
pub(crate) struct TableCursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> TableCursor<'a> {
    /// Creates a cursor at the begin of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Returns whether no bytes are left.
    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Returns the next `N` bytes.
    pub(crate) fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], TableFault> {
        let rest = self.bytes.get(self.at..).ok_or(TableFault::Malformed)?;
        let taken = rest.first_chunk().ok_or(TableFault::Malformed)?;
        self.at += N;
        Ok(taken)
    }

    /// Moves over `count` bytes.
    pub(crate) fn skip(&mut self, count: usize) -> Result<(), TableFault> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        self.at = end.ok_or(TableFault::Malformed)?;
        Ok(())
    }

    /// Reads a length of four bytes.
    fn length(&mut self) -> Result<usize, TableFault> {
        Ok(u32::from_be_bytes(*self.take()?) as usize)
    }

    /// Moves over a short text, which must be UTF-8.
    pub(crate) fn skip_text(&mut self) -> Result<(), TableFault> {
        let [length] = *self.take::<1>()?;
        let start = self.at;
        self.skip(usize::from(length))?;
        let text = &self.bytes[start..self.at];
        std::str::from_utf8(text).map_or(Err(TableFault::Malformed), |_| Ok(()))
    }

    /// Moves over a table and all that is nested in it, without recursion.
    ///
    /// The types and their lengths are those of RabbitMQ, which differ from the specification.
    pub(crate) fn skip_table(&mut self) -> Result<(), TableFault> {
        let mut levels =
            vec![TableLevel { end: self.nested_end(self.bytes.len())?, is_table: true }];
        let mut values = 0;
        while let Some(&TableLevel { end, is_table }) = levels.last() {
            if self.at == end {
                levels.pop();
                continue;
            }
            values += 1;
            if values > MAX_VALUES {
                return Err(TableFault::TooMany);
            }
            if is_table {
                self.skip_text()?;
            }
            match self.take::<1>()?[0] {
                b'V' => {}
                b't' | b'b' | b'B' => self.skip(1)?,
                b's' | b'U' | b'u' => self.skip(2)?,
                b'I' | b'i' | b'f' => self.skip(4)?,
                b'D' => self.skip(5)?,
                b'L' | b'l' | b'd' | b'T' => self.skip(8)?,
                b'S' | b'x' => {
                    let length = self.length()?;
                    self.skip(length)?;
                }
                kind @ (b'F' | b'A') => {
                    if levels.len() == MAX_DEPTH {
                        return Err(TableFault::TooDeep);
                    }
                    levels.push(TableLevel { end: self.nested_end(end)?, is_table: kind == b'F' });
                }
                _ => return Err(TableFault::Malformed),
            }
            if self.at > end {
                return Err(TableFault::Malformed);
            }
        }
        Ok(())
    }

    /// Reads the length of a nested value, and returns its end, which must be within `outer`.
    fn nested_end(&mut self, outer: usize) -> Result<usize, TableFault> {
        let length = self.length()?;
        let end = self.at.checked_add(length).filter(|&end| end <= outer);
        end.ok_or(TableFault::Malformed)
    }
}

/// A table or an array that is not finished.
#[derive(Clone, Copy)]
struct TableLevel {
    end: usize,
    is_table: bool,
}
