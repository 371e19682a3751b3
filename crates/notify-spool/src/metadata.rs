//! The stored form of a message's context and sequence.
//!
//! A sequence of fields: a tag (one byte), the length of the value (two bytes, little-endian) and the value.
//! The values are texts, but for the sequence: the epoch (16 bytes), the number (eight bytes,
//! little-endian) and the lane. The format belongs to version 2 of the spool and must not change.

use notify_core::codec::Sequence;
use notify_core::{Context, Error, ErrorKind, Message, Result};
use uuid::Uuid;

/// Appends the fields of a message to `out`. A message without context and sequence has none.
pub(crate) fn encode_metadata(message: &Message, out: &mut Vec<u8>) {
    let context = message.context();
    let texts = [
        (TRACEPARENT, context.traceparent()),
        (TRACESTATE, context.tracestate()),
        (REQUEST_ID, context.request_id()),
        (USER, context.user()),
        (PROJECT, context.project()),
    ];
    for (tag, text) in texts {
        if let Some(text) = text {
            push_field(out, tag, &[text.as_bytes()]);
        }
    }
    if let Some(sequence) = message.sequence() {
        let number = sequence.number().to_le_bytes();
        let lane = sequence.lane().as_bytes();
        // The limit of a queue's name. No destination has longer ones.
        let lane = &lane[..lane.len().min(MAX_LANE_BYTES)];
        push_field(out, SEQUENCE, &[sequence.epoch().as_bytes(), &number, lane]);
    }
}

/// Sets the context and the sequence of a message from its stored fields.
///
/// # Errors
///
/// [`ErrorKind::Invalid`] if the bytes are no fields, or a value is not valid.
pub(crate) fn decode_metadata(message: Message, mut fields: &[u8]) -> Result<Message> {
    let mut context = Context::builder();
    let mut numbered = None;
    while let Some((&tag, rest)) = fields.split_first() {
        let (length, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let length = u16::from_le_bytes(*length).into();
        let (value, rest) = rest.split_at_checked(length).ok_or_else(damaged)?;
        fields = rest;
        if tag == SEQUENCE {
            numbered = Some(decode_sequence(value).ok_or_else(damaged)?);
            continue;
        }
        let text = std::str::from_utf8(value).map_err(|_| damaged())?;
        context = match tag {
            TRACEPARENT => context.traceparent(text),
            TRACESTATE => context.tracestate(text),
            REQUEST_ID => context.request_id(text),
            USER => context.user(text),
            PROJECT => context.project(text),
            _ => return Err(damaged()),
        };
    }
    let message = message.with_context(context.build()?);
    Ok(match numbered {
        Some(sequence) => message.with_sequence(sequence),
        None => message,
    })
}

/// Reads the value of the field of a sequence.
fn decode_sequence(value: &[u8]) -> Option<Sequence> {
    let (epoch, rest) = value.split_first_chunk()?;
    let (number, lane) = rest.split_first_chunk()?;
    let lane = std::str::from_utf8(lane).ok()?;
    Some(Sequence::new(Uuid::from_bytes(*epoch), lane, u64::from_le_bytes(*number)))
}

/// Appends one field, whose value has several parts.
fn push_field(out: &mut Vec<u8>, tag: u8, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.push(tag);
    out.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// The error of bytes that are no fields.
fn damaged() -> Error {
    Error::new(ErrorKind::Invalid, "the stored context or sequence is damaged")
}

const TRACEPARENT: u8 = 1;
const TRACESTATE: u8 = 2;
const REQUEST_ID: u8 = 3;
const USER: u8 = 4;
const PROJECT: u8 = 5;
const SEQUENCE: u8 = 6;

/// The longest name of a lane that is stored, in bytes.
const MAX_LANE_BYTES: usize = 255;
/// The most bytes that the fields of a message take beside the texts of its context.
pub(crate) const MAX_FIELD_OVERHEAD: usize = 24 + MAX_LANE_BYTES + 6 * 3;

#[cfg(test)]
mod tests {
    use notify_conformance::samples;

    use super::*;

    fn message() -> Message {
        samples::messages(0..1).remove(0)
    }

    /// Returns a message with all fields.
    fn full() -> Message {
        let sequence = Sequence::new(Uuid::from_u128(7), "notifications.info", 42);
        message().with_context(samples::context()).with_sequence(sequence)
    }

    /// All fields survive, and a message without any has no bytes.
    #[test]
    fn metadata_survives_encoding() {
        let mut bytes = Vec::new();
        encode_metadata(&message(), &mut bytes);
        assert!(bytes.is_empty());
        encode_metadata(&full(), &mut bytes);
        let context = full().size() - full().body().len();
        assert!(bytes.len() <= context + MAX_FIELD_OVERHEAD);
        let read = decode_metadata(message(), &bytes).unwrap();
        assert_eq!((read.context(), read.sequence()), (full().context(), full().sequence()));
    }

    /// The bytes of a sequence are those of version 2.
    #[test]
    fn a_sequence_keeps_its_format() {
        let sequence = Sequence::new(Uuid::from_bytes(*b"0123456789abcdef"), "info", 513);
        let mut bytes = Vec::new();
        encode_metadata(&message().with_sequence(sequence), &mut bytes);
        assert_eq!(bytes, b"\x06\x1c\x000123456789abcdef\x01\x02\0\0\0\0\0\0info");
    }

    /// No part of the fields passes for all of them, and no unknown field is skipped.
    #[test]
    fn damaged_metadata_is_an_error() {
        let mut bytes = Vec::new();
        encode_metadata(&full(), &mut bytes);
        let whole = |cut: usize| {
            let read = decode_metadata(message(), &bytes[..cut]);
            read.is_ok_and(|read| {
                (read.context(), read.sequence()) == (full().context(), full().sequence())
            })
        };
        assert!((0..bytes.len()).all(|cut| !whole(cut)) && whole(bytes.len()));
        for wrong in [b"\x07\0\0".as_slice(), b"\x04\x01\0\xff", b"\x04\x01\0\n", b"\x06\x02\0ab"] {
            assert!(decode_metadata(message(), wrong).is_err(), "{wrong:?}");
        }
    }
}
