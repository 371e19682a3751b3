//! The methods of AMQP 0-9-1 that a broker sends, and the texts in them.
//!
//! Nothing here keeps a state: see [`amqp091`](super::amqp091).

use crate::guard::report::GuardReport;
use crate::guard::rules::{Passage, Violation};
use crate::guard::table_cursor::TableCursor;

/// Checks a method.
///
/// RabbitMQ relays routing keys and exchange names that are not UTF-8, and lapin ends the connection
/// at them. So this function replaces each byte of such a text that is not ASCII by a question mark.
pub(super) fn check(
    frame: &[u8],
    payload: &[u8],
    report: &GuardReport,
) -> Result<Passage, Violation> {
    let (Some(&[class_high, class, method_high, method]), Some(arguments)) =
        (payload.first_chunk(), payload.get(4..))
    else {
        return Err(MALFORMED_FRAME);
    };
    if (class_high, method_high) != (0, 0) {
        return Err(UNEXPECTED_METHOD);
    }
    match (class, method) {
        (10, 10) => {
            let mut cursor = TableCursor::new(arguments);
            cursor
                .skip(2)
                .and_then(|()| cursor.skip_table())
                .map_err(|fault| Violation::Frame(fault.violation()))?;
            report.record_greeting(payload);
            Ok(Passage::Unchanged)
        }
        // basic.return: a code, then the reason, the exchange and the routing key.
        (60, 50) => Ok(ascii_texts(frame, &[Part::Bytes(2), Part::Text, Part::Text, Part::Text])),
        // basic.deliver: the consumer, a tag and a flag, then the exchange and the routing key.
        (60, 60) => Ok(ascii_texts(frame, &[Part::Text, Part::Bytes(9), Part::Text, Part::Text])),
        // basic.get-ok: a tag and a flag, then the exchange and the routing key.
        (60, 71) => Ok(ascii_texts(frame, &[Part::Bytes(9), Part::Text, Part::Text])),
        (10, 20 | 30 | 41 | 50 | 51 | 60 | 61 | 71)
        | (20, 11 | 20 | 21 | 40 | 41)
        | (30 | 85, 11)
        | (40, 11 | 21 | 31 | 51)
        | (50, 11 | 21 | 31 | 41 | 51)
        | (60, 11 | 21 | 30 | 31 | 72 | 80 | 111 | 120)
        | (90, 11 | 21 | 31) => Ok(Passage::Unchanged),
        _ => Err(UNEXPECTED_METHOD),
    }
}

/// A part of a method's arguments.
#[derive(Clone, Copy)]
enum Part {
    /// This many bytes that hold no text.
    Bytes(usize),
    /// A short text.
    Text,
}

/// Replaces the bytes that are not ASCII in every text that is not UTF-8. Malformed arguments pass:
/// the client library refuses them.
fn ascii_texts(frame: &[u8], parts: &[Part]) -> Passage {
    let mut at = HEADER_BYTES + 4;
    let mut replaced: Option<Vec<u8>> = None;
    for part in parts {
        match part {
            Part::Bytes(count) => at += count,
            Part::Text => {
                let Some(&length) = frame.get(at) else { break };
                let text = at + 1..at + 1 + usize::from(length);
                let Some(bytes) = frame.get(text.clone()) else { break };
                at = text.end;
                if std::str::from_utf8(bytes).is_err() {
                    let frame = replaced.get_or_insert_with(|| frame.to_vec());
                    for byte in frame[text].iter_mut().filter(|byte| !byte.is_ascii()) {
                        *byte = b'?';
                    }
                }
            }
        }
    }
    replaced.map_or(Passage::Unchanged, Passage::Replaced)
}

/// The length of a frame's header, in bytes: type, channel and size.
pub(super) const HEADER_BYTES: usize = 7;
/// The violation of a frame that is none.
pub(super) const MALFORMED_FRAME: Violation = Violation::Frame("sent a malformed frame");
/// The violation of a method that only a client sends.
const UNEXPECTED_METHOD: Violation = Violation::Frame("sent a method that no broker sends");
