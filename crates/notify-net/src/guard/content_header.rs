//! The content headers of AMQP 0-9-1: their properties, and the mark of a delivery that the guard cut.
//!
//! Nothing here reads a socket or keeps a state: see [`amqp091`](super::amqp091).

use crate::guard::table_cursor::{TableCursor, TableFault};

/// The header that marks a delivery whose properties or body the guard has dropped.
pub const DROPPED_HEADER: &str = "x-glance-notify-dropped";

/// Checks the properties in the payload of a content header (section 4.2.6.1).
pub(super) fn check_properties(payload: &[u8]) -> Result<(), TableFault> {
    let mut cursor = TableCursor::new(payload);
    // The class, the weight and the size of the body.
    cursor.skip(12)?;
    let [high, low] = *cursor.take::<2>()?;
    let flags = u16::from_be_bytes([high, low]);
    for (index, property) in PROPERTIES.iter().enumerate() {
        if flags & (1 << (15 - index)) != 0 {
            match property {
                Property::Fixed(bytes) => cursor.skip(*bytes)?,
                Property::Text => cursor.skip_text()?,
                Property::Table => cursor.skip_table()?,
            }
        }
    }
    if cursor.is_at_end() { Ok(()) } else { Err(TableFault::Malformed) }
}

/// Builds the frame of a content header whose only property is the mark.
pub(super) fn marked(channel: u16, class: [u8; 2], size: u64, reason: &str) -> Vec<u8> {
    let mut table = vec![u8::try_from(DROPPED_HEADER.len()).unwrap_or(0)];
    table.extend_from_slice(DROPPED_HEADER.as_bytes());
    table.push(b'S');
    table.extend_from_slice(&length_prefix(reason.as_bytes()));
    let mut payload = class.to_vec();
    payload.extend_from_slice(&[0, 0]);
    payload.extend_from_slice(&size.to_be_bytes());
    payload.extend_from_slice(&HEADERS_FLAG.to_be_bytes());
    payload.extend_from_slice(&length_prefix(&table));
    let mut frame = vec![2];
    frame.extend_from_slice(&channel.to_be_bytes());
    frame.extend_from_slice(&length_prefix(&payload));
    frame.push(FRAME_END);
    frame
}

/// Returns `bytes` behind their length in four bytes.
pub(super) fn length_prefix(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(0);
    [&length.to_be_bytes()[..], bytes].concat()
}

/// Returns the size of a body that the guard dropped, given the text of [`DROPPED_HEADER`]; `None` if it
/// dropped the properties.
///
/// # Examples
///
/// ```
/// use notify_net::guard::content_header::dropped_size;
///
/// assert_eq!(dropped_size("the body has 4096 bytes, more than 2048"), Some(4096));
/// assert_eq!(dropped_size("the headers are nested too deeply"), None);
/// ```
pub fn dropped_size(reason: &str) -> Option<u64> {
    reason.strip_prefix(TOO_LARGE)?.split(' ').next()?.parse().ok()
}

/// Returns the text of [`DROPPED_HEADER`] for a body of `size` bytes, of which at most `max` are allowed.
pub(super) fn too_large(size: u64, max: u64) -> String {
    format!("{TOO_LARGE}{size} bytes, more than {max}")
}

/// The form of a property of the class `basic`.
enum Property {
    Fixed(usize),
    Text,
    Table,
}

/// The properties of the class `basic`, in the order of their flags: content type, content encoding,
/// headers, delivery mode, priority, correlation id, reply to, expiration, message id, timestamp,
/// type, user id, app id, cluster id.
const PROPERTIES: [Property; 14] = [
    Property::Text,
    Property::Text,
    Property::Table,
    Property::Fixed(1),
    Property::Fixed(1),
    Property::Text,
    Property::Text,
    Property::Text,
    Property::Text,
    Property::Fixed(8),
    Property::Text,
    Property::Text,
    Property::Text,
    Property::Text,
];
/// The beginning of the text of [`DROPPED_HEADER`] if the body was too large.
const TOO_LARGE: &str = "the body has ";
/// The flag of the property `headers`.
const HEADERS_FLAG: u16 = 1 << 13;
/// The last byte of every frame.
pub(super) const FRAME_END: u8 = 0xce;
