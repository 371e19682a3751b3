//! The problems of a queue that its answer shows: its state, its bindings, and its consumers.

use glance_notify::codec::serde_json::Value;
use glance_notify::listen::QueueDepth;
use glance_notify::transport::printable;

use super::api_answers::QueueAnswer;
use super::connected_programs::ConnectedPrograms;

impl QueueAnswer {
    /// Returns the messages and the consumers as a passive declaration would.
    pub(crate) fn depth(&self) -> QueueDepth {
        let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let consumers = number(self.consumer_details.len() as u64);
        QueueDepth::new(&self.name, number(self.messages_ready), consumers)
    }

    /// Returns by how many messages per second the queue grows, if it does.
    pub(crate) fn growth(&self) -> Option<f64> {
        let rate = self.messages_ready_details.rate;
        (rate >= SMALLEST_RATE).then_some(rate)
    }

    /// Returns whether the queue is a stream.
    pub(crate) fn is_stream(&self) -> bool {
        self.kind == "stream"
    }

    /// Returns whether RabbitMQ 4.3 would refuse to declare the queue.
    pub(crate) fn is_refused_by_4_3(&self) -> bool {
        !self.durable && !self.exclusive
    }

    /// Returns the problem of a queue that does not work.
    pub(crate) fn state_problem(&self) -> Option<String> {
        let state = self.state.as_deref()?;
        // `idle` and `flow` are states of a queue that works.
        if matches!(state, "running" | "idle" | "flow" | "") {
            return None;
        }
        let (state, node) = (printable(state, 64), printable(&self.node, 255));
        Some(format!("is in the state `{state}`: it works again when its node `{node}` runs"))
    }

    /// Returns the problem of a queue without a binding.
    pub(crate) fn binding_problem(&self) -> Option<String> {
        self.is_unbound.then(|| {
            "is bound to no exchange, so that nothing arrives in it: restart the service that declares it, \
             which binds it again"
                .to_owned()
        })
    }

    /// Returns the problem of consumers that take nothing, or that take messages from each other.
    ///
    /// A stream has neither: each consumer gets all messages, and they stay after that.
    pub(crate) fn consumer_problem(&self, programs: &ConnectedPrograms) -> Option<String> {
        if self.is_stream() {
            return None;
        }
        let delivers = self.message_stats.deliver_get_details.as_ref().map(|details| details.rate);
        let (ready, held) = (self.messages_ready, self.messages_unacknowledged);
        if ready > 0 && held > 0 && delivers.is_some_and(|rate| rate < SMALLEST_RATE) {
            return Some(format!(
                "{ready} messages wait while the consumers hold {held} and take no more: read the log of \
                 {programs}, or restart it"
            ));
        }
        let single = self.arguments.get("x-single-active-consumer") == Some(&Value::Bool(true));
        (programs.count() > 1 && !single).then(|| {
            format!(
                "{programs} share it, and each message reaches only one of them: give each program a queue \
                 of its own"
            )
        })
    }
}

/// The smallest number of messages per second that counts.
const SMALLEST_RATE: f64 = 0.05;

#[cfg(test)]
mod tests {
    use glance_notify::codec::serde_json::{self, json};

    use super::super::api_answers::{ChannelAnswer, ConsumerAnswer};
    use super::*;

    fn queue(answer: Value) -> QueueAnswer {
        serde_json::from_value(answer).unwrap()
    }

    /// Returns consumers of these users.
    fn programs(users: &[&str]) -> ConnectedPrograms {
        let consumer = |user: &&str| ConsumerAnswer {
            channel_details: ChannelAnswer { user: (*user).into(), ..Default::default() },
        };
        let consumers: Vec<_> = users.iter().map(consumer).collect();
        ConnectedPrograms::of_consumers(&consumers, &[])
    }

    /// A queue whose node is down says so, and one that works has no problem.
    #[test]
    fn a_queue_that_is_down_is_named() {
        let problem = |state: Value| queue(json!({ "state": state, "node": "n" })).state_problem();
        for working in [json!("running"), json!("idle"), json!("flow"), json!(null)] {
            assert_eq!(problem(working), None);
        }
        let expected = "is in the state `down`: it works again when its node `n` runs";
        assert_eq!(problem(json!("down")).unwrap(), expected);
    }

    /// Consumers that hold messages and take no more are named; those that still take some are not. A stream
    /// keeps what its consumers took.
    #[test]
    fn consumers_that_take_nothing_are_named() {
        let of_type = |kind: &str, ready: u64, held: u64, rate: f64| {
            let queue = queue(json!({
                "type": kind,
                "messages_ready": ready,
                "messages_unacknowledged": held,
                "message_stats": { "deliver_get_details": { "rate": rate } },
            }));
            queue.consumer_problem(&programs(&["a"]))
        };
        let problem = |ready: u64, held: u64, rate: f64| of_type("classic", ready, held, rate);
        assert!(
            problem(7, 3, 0.0).unwrap().starts_with("7 messages wait while the consumers hold 3 ")
        );
        assert_eq!(problem(7, 3, 1.0), None);
        assert_eq!(problem(0, 3, 0.0), None);
        assert_eq!(problem(7, 0, 0.0), None);
        assert_eq!(of_type("stream", 7, 3, 0.0), None);
    }

    /// Two programs on one queue take messages from each other, but not on a stream, nor with a single active
    /// consumer.
    #[test]
    fn programs_that_share_a_queue_are_named() {
        let shared = programs(&["a", "b", "b"]);
        let plain = queue(json!({ "type": "classic" }));
        assert!(
            plain
                .consumer_problem(&shared)
                .unwrap()
                .contains("each message reaches only one of them")
        );
        assert_eq!(plain.consumer_problem(&programs(&["b", "b"])), None);
        assert_eq!(queue(json!({ "type": "stream" })).consumer_problem(&shared), None);
        let single = json!({ "arguments": { "x-single-active-consumer": true } });
        assert_eq!(queue(single).consumer_problem(&shared), None);
    }
}
