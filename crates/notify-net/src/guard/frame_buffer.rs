//! The received bytes, cut into frames and checked.

use crate::guard::report::GuardReport;
use crate::guard::rules::{FrameRules, Passage, Violation};

/// A buffer that holds checked frames for the client library, and the begin of the next frame.
#[derive(Debug)]
pub(crate) struct FrameBuffer<R> {
    rules: R,
    report: GuardReport,
    /// The bytes that have not passed yet.
    received: Vec<u8>,
    /// The frames that have passed.
    checked: Vec<u8>,
    /// The number of bytes of `checked` that the client library has taken.
    taken: usize,
}

impl<R: FrameRules> FrameBuffer<R> {
    /// Creates an empty buffer.
    pub(crate) fn new(rules: R, report: GuardReport) -> Self {
        Self { rules, report, received: Vec::new(), checked: Vec::new(), taken: 0 }
    }

    /// Returns the checked frames that the client library has not taken yet.
    pub(crate) fn checked(&self) -> &[u8] {
        &self.checked[self.taken..]
    }

    /// Removes the first `count` checked bytes, after the client library has taken them.
    pub(crate) fn consume(&mut self, count: usize) {
        self.taken += count;
        if self.taken >= self.checked.len() {
            self.checked.clear();
            self.taken = 0;
        }
    }

    /// Appends received bytes, and checks every frame that they complete.
    ///
    /// # Errors
    ///
    /// The violation of the first frame that must not pass. The frames before it have passed.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        if self.received.is_empty() {
            // Most reads hold whole frames, so only the rest of the last one is copied twice.
            let end = self.check_frames(bytes)?;
            self.received.extend_from_slice(&bytes[end..]);
        } else {
            self.received.extend_from_slice(bytes);
            let received = std::mem::take(&mut self.received);
            let end = self.check_frames(&received)?;
            self.received = received;
            self.received.drain(..end);
        }
        Ok(())
    }

    /// Passes on the whole frames at the start of `bytes`. Returns the end of the last one.
    fn check_frames(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        let mut end = 0;
        while let Some(length) = self.rules.frame_length(&bytes[end..])? {
            let Some(frame) = bytes.get(end..end + length) else { break };
            match self.rules.check(frame, &self.report)? {
                Passage::Unchanged => self.checked.extend_from_slice(frame),
                Passage::Replaced(frame) => self.checked.extend_from_slice(&frame),
            }
            end += length;
        }
        Ok(end)
    }
}
