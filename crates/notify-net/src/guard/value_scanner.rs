//! A walk over encoded values of AMQP 1.0 (part 1 of the specification), without recursion.
//!
//! The walk can stop between any two bytes, because a message may be split over many frames. It
//! accepts less than the specification allows: the items of a list, map or array must fill exactly the
//! size that it names, and arrays hold only simple values. So a decoder cannot see more nesting than the
//! scanner does, whether it counts items or bytes.

use crate::guard::rules::{MAX_DEPTH, MAX_VALUES, Violation};

/// A scanner of one sequence of values.
#[derive(Debug, Default)]
pub(crate) struct ValueScanner {
    /// The unfinished values around the current position.
    levels: Vec<ValueLevel>,
    /// The bytes that belong together and have not all arrived: a length, or a size and a count.
    partial: Vec<u8>,
    /// What the next bytes are.
    expected: NextPart,
    /// The number of bytes so far.
    position: u64,
    /// The number of values so far.
    values: usize,
}

/// The meaning of the next bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum NextPart {
    /// The constructor of a value.
    #[default]
    Constructor,
    /// The length of a text or a binary value, in this many bytes.
    Length(usize),
    /// The size and the count of a compound value, each in this many bytes.
    Header(usize, Compound),
    /// This many bytes of data without structure.
    Data(u64),
}

/// A kind of value that holds others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compound {
    /// A list: each item has a constructor.
    List,
    /// A map: keys and values alternate, and each has a constructor.
    Map,
    /// An array: all items share one constructor.
    Array,
}

/// A value that is not finished.
#[derive(Clone, Copy, Debug)]
struct ValueLevel {
    /// The number of items that are missing.
    missing: usize,
    /// The position where the value ends; `None` for a described value, which has no size.
    end: Option<u64>,
    /// What each item begins with.
    items: Items,
}

/// The begin of the items of a value.
#[derive(Clone, Copy, Debug)]
enum Items {
    /// A constructor for each item.
    Constructed,
    /// The one constructor of an array comes next.
    SharedConstructor,
    /// This constructor, of all items of an array.
    Shared(u8),
}

impl ValueScanner {
    /// Walks over `bytes` up to the end of the value that it begins, or of the value that an earlier call
    /// left unfinished. Returns the number of bytes, and whether the value is complete.
    ///
    /// # Errors
    ///
    /// A violation if the value is malformed, nested too deeply, or too large.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Result<(usize, bool), Violation> {
        let mut at = 0;
        loop {
            let needed = match self.expected {
                NextPart::Constructor => 1,
                NextPart::Length(width) => width,
                NextPart::Header(width, _) => 2 * width,
                NextPart::Data(length) => {
                    let available = (bytes.len() - at) as u64;
                    let skipped = length.min(available);
                    // Both are at most the length of a slice.
                    at += usize::try_from(skipped).unwrap_or(usize::MAX);
                    self.position += skipped;
                    if skipped < length {
                        self.expected = NextPart::Data(length - skipped);
                        return Ok((at, false));
                    }
                    if self.end_value()? {
                        return Ok((at, true));
                    }
                    continue;
                }
            };
            let missing = needed - self.partial.len();
            let taken = missing.min(bytes.len() - at);
            self.partial.extend_from_slice(&bytes[at..at + taken]);
            at += taken;
            self.position += taken as u64;
            if taken < missing {
                return Ok((at, false));
            }
            let partial = std::mem::take(&mut self.partial);
            if self.interpret(&partial)? {
                return Ok((at, true));
            }
        }
    }

    /// Returns whether the last byte of the input ended a value.
    pub(crate) fn is_between_values(&self) -> bool {
        self.levels.is_empty() && self.partial.is_empty() && self.expected == NextPart::Constructor
    }

    /// Interprets the bytes that were expected. Returns whether the outermost value is complete.
    fn interpret(&mut self, bytes: &[u8]) -> Result<bool, Violation> {
        match self.expected {
            NextPart::Constructor => self.begin_value(bytes[0]),
            NextPart::Length(_) => {
                let length = number(bytes);
                self.check_end(self.position + length)?;
                self.expected = NextPart::Data(length);
                Ok(false)
            }
            NextPart::Header(width, kind) => self.begin_items(bytes, width, kind),
            NextPart::Data(_) => Ok(false),
        }
    }

    /// Begins a value by its constructor, or keeps the constructor of an array.
    fn begin_value(&mut self, code: u8) -> Result<bool, Violation> {
        if let Some(level) = self.levels.last_mut()
            && let Items::SharedConstructor = level.items
        {
            // serde_amqp forgets the constructor of the array after such an item, and takes the next
            // bytes for something else. No broker sends arrays of them.
            if matches!(code, DESCRIBED | 0x45 | 0xc0..=0xff) {
                return Err(MALFORMED);
            }
            level.items = Items::Shared(code);
            self.expect_data(code)?;
            return Ok(false);
        }
        if code == DESCRIBED {
            // A descriptor and a value follow.
            self.count_values(1)?;
            self.push(ValueLevel { missing: 2, end: None, items: Items::Constructed })?;
            return Ok(false);
        }
        if self.levels.is_empty() {
            self.count_values(1)?;
        }
        self.expect_data(code)?;
        Ok(false)
    }

    /// Expects the data of a value with the constructor `code`.
    fn expect_data(&mut self, code: u8) -> Result<(), Violation> {
        // The upper half of a constructor is the form of the data (section 1.2.1).
        self.expected = match code {
            0x40..=0x45 => NextPart::Data(0),
            0x50..=0x56 => NextPart::Data(1),
            0x60 | 0x61 => NextPart::Data(2),
            0x70..=0x74 => NextPart::Data(4),
            0x80..=0x84 => NextPart::Data(8),
            0x94 | 0x98 => NextPart::Data(16),
            0xa0 | 0xa1 | 0xa3 => NextPart::Length(1),
            0xb0 | 0xb1 | 0xb3 => NextPart::Length(4),
            0xc0 => NextPart::Header(1, Compound::List),
            0xc1 => NextPart::Header(1, Compound::Map),
            0xd0 => NextPart::Header(4, Compound::List),
            0xd1 => NextPart::Header(4, Compound::Map),
            0xe0 => NextPart::Header(1, Compound::Array),
            0xf0 => NextPart::Header(4, Compound::Array),
            _ => return Err(MALFORMED),
        };
        Ok(())
    }

    /// Begins a compound value by its size and its count.
    fn begin_items(
        &mut self,
        header: &[u8],
        width: usize,
        kind: Compound,
    ) -> Result<bool, Violation> {
        let (size, count) = header.split_at(width);
        // The size counts the bytes behind it, including the count.
        let length = number(size).checked_sub(width as u64).ok_or(MALFORMED)?;
        let count = usize::try_from(number(count)).unwrap_or(usize::MAX);
        self.count_values(count)?;
        let items = match kind {
            // serde_amqp subtracts with overflow at a key without a value.
            Compound::Map if count % 2 == 1 => return Err(MALFORMED),
            Compound::List | Compound::Map => Items::Constructed,
            Compound::Array => Items::SharedConstructor,
        };
        let end = self.position + length;
        self.check_end(end)?;
        if count == 0 {
            // serde_amqp does not read the constructor of an empty array, and would take it for that of
            // the next value.
            return if length == 0 { self.end_value() } else { Err(MALFORMED) };
        }
        self.push(ValueLevel { missing: count, end: Some(end), items })?;
        self.expected = NextPart::Constructor;
        Ok(false)
    }

    /// Ends the innermost value, and each value around it whose last item it is. Returns whether the
    /// outermost value is complete.
    fn end_value(&mut self) -> Result<bool, Violation> {
        self.expected = NextPart::Constructor;
        while let Some(level) = self.levels.last_mut() {
            level.missing -= 1;
            let ValueLevel { missing, end, items } = *level;
            if end.is_some_and(|end| self.position > end || (missing == 0 && self.position < end)) {
                return Err(MALFORMED);
            }
            if missing > 0 {
                if let Items::Shared(code) = items {
                    self.expect_data(code)?;
                }
                return Ok(false);
            }
            self.levels.pop();
        }
        Ok(true)
    }

    /// Checks that a value that ends at `end` fits into the value around it.
    fn check_end(&self, end: u64) -> Result<(), Violation> {
        let outer = self.levels.iter().rev().find_map(|level| level.end);
        if outer.is_some_and(|outer| end > outer) { Err(MALFORMED) } else { Ok(()) }
    }

    /// Enters a value that holds others.
    fn push(&mut self, level: ValueLevel) -> Result<(), Violation> {
        if self.levels.len() == MAX_DEPTH {
            return Err(Violation::Frame("sent values that are nested too deeply"));
        }
        self.levels.push(level);
        Ok(())
    }

    /// Counts `count` more values.
    fn count_values(&mut self, count: usize) -> Result<(), Violation> {
        self.values = self.values.saturating_add(count);
        if self.values > MAX_VALUES {
            return Err(Violation::Frame("sent too many values in one frame or message"));
        }
        Ok(())
    }
}

/// Returns the number in one or four bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// The constructor of a described value.
const DESCRIBED: u8 = 0x00;
const MALFORMED: Violation = Violation::Frame("sent a malformed value");
