//! The content of a message as it arrives: a header with the properties, and the parts of the body.

use amq_protocol::frame::{AMQPFrame, parse_frame};
use amq_protocol::protocol::constants::{FRAME_BODY, FRAME_HEADER};
use lapin::BasicProperties;
use notify_net::guard::Violation;

use crate::frames::HEADER_BYTES;

/// The content of one message.
#[derive(Debug)]
pub(crate) struct MessageContent {
    pub(crate) properties: BasicProperties,
    /// The body, if it is kept.
    pub(crate) body: Vec<u8>,
    keeps_body: bool,
    /// The number of bytes of the body that are missing; `None` before the header.
    rest: Option<u64>,
}

impl MessageContent {
    /// Begins with the frame that follows the method.
    pub(crate) fn new(keeps_body: bool) -> Self {
        let (properties, body) = (BasicProperties::default(), Vec::new());
        Self { properties, body, keeps_body, rest: None }
    }

    /// Takes the next frame, which the guard has checked. Returns whether the content is complete.
    ///
    /// # Errors
    ///
    /// A violation if another frame should have come.
    pub(crate) fn push(&mut self, frame: &[u8]) -> Result<bool, Violation> {
        let rest = match (frame.first(), self.rest) {
            (Some(&FRAME_HEADER), None) => {
                let Ok((_, AMQPFrame::Header(_, header))) = parse_frame(frame) else {
                    return Err(INCOMPLETE);
                };
                self.properties = header.properties;
                if self.keeps_body {
                    // The guard of a receiver limits the size.
                    self.body.reserve_exact(usize::try_from(header.body_size).unwrap_or(0));
                }
                header.body_size
            }
            (Some(&FRAME_BODY), Some(rest)) => {
                let part = frame.get(HEADER_BYTES..frame.len() - 1).unwrap_or_default();
                if self.keeps_body {
                    self.body.extend_from_slice(part);
                }
                rest.checked_sub(part.len() as u64).ok_or(INCOMPLETE)?
            }
            _ => return Err(INCOMPLETE),
        };
        self.rest = Some(rest);
        Ok(rest == 0)
    }
}

/// The violation of a message whose frames do not follow each other.
pub(crate) const INCOMPLETE: Violation = Violation::Frame("sent an incomplete message");

#[cfg(test)]
mod tests {
    use amq_protocol::frame::AMQPContentHeader;

    use super::*;
    use crate::frames;

    /// Encodes a header of a body with this size.
    fn header(body_size: u64) -> Vec<u8> {
        let properties = BasicProperties::default().with_app_id("a".into());
        let header = AMQPContentHeader { class_id: 60, body_size, properties };
        frames::encode(&AMQPFrame::Header(1, header))
    }

    /// Encodes a part of a body.
    fn body(length: usize) -> Vec<u8> {
        frames::encode(&AMQPFrame::Body(1, vec![7; length]))
    }

    /// The content is complete with the last byte of its body, which is kept on demand only.
    #[test]
    fn the_body_completes_the_content() {
        for keeps_body in [true, false] {
            let mut content = MessageContent::new(keeps_body);
            assert_eq!(content.push(&header(30)), Ok(false));
            assert_eq!(content.push(&body(10)), Ok(false));
            assert_eq!(content.push(&body(20)), Ok(true));
            assert_eq!(content.body, vec![7; if keeps_body { 30 } else { 0 }]);
            assert!(content.properties.app_id().is_some());
            assert_eq!(MessageContent::new(keeps_body).push(&header(0)), Ok(true));
        }
    }

    /// No frame may be missing, and no byte too much.
    #[test]
    fn frames_out_of_order_are_a_violation() {
        for frames in [
            vec![body(1)],
            vec![header(5), header(5)],
            vec![header(5), body(6)],
            vec![header(5), body(4), body(2)],
        ] {
            let mut content = MessageContent::new(true);
            let results: Vec<_> = frames.iter().map(|frame| content.push(frame)).collect();
            assert_eq!(results.last(), Some(&Err(INCOMPLETE)), "{results:?}");
        }
    }
}
