//! Sequences through spools: a reader names exactly the messages that it did not get.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use notify_conformance::script::Script;
use notify_core::codec::Sequence;
use notify_core::event::Payload;
use notify_core::listener::SequenceGaps;
use notify_core::{Context, Event, Message};
use notify_spool::Config;
use proptest::prelude::*;
use proptest::sample::Index;
use uuid::Uuid;

use crate::support::{start, until, within};

/// The messages that one run of a publisher emits: those of the lane `error`, if true, or of `warn`.
type Run = Vec<bool>;

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// A reader that gets all messages but random interior ones of each lane names exactly those. Neither
    /// several runs of the publisher, nor the adoption of their spools, nor copies, nor messages that were
    /// sent again confuse it.
    #[test]
    fn a_reader_names_exactly_the_missing_messages(
        runs in prop::collection::vec(prop::collection::vec(any::<bool>(), 0..60), 1..4),
        missing in prop::collection::vec(any::<Index>(), 0..30),
        copies in prop::collection::vec(any::<Index>(), 0..30),
        order in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let delivered = runtime.block_on(deliver(&dir.path().join("s"), &runs));
        let sequences: Vec<_> = delivered.iter().filter_map(Message::sequence).cloned().collect();
        prop_assert_eq!(sequences.len(), runs.iter().map(Vec::len).sum::<usize>());
        prop_assert_eq!(sequences.iter().collect::<BTreeSet<_>>().len(), sequences.len());
        let has_user = |message: &Message| message.context().user() == Some("bob");
        prop_assert!(delivered.iter().all(|it| it.sequence().is_some() == has_user(it)));

        let interior = interior(&sequences);
        let missing: BTreeSet<_> = if interior.is_empty() {
            BTreeSet::new()
        } else {
            missing.iter().map(|index| index.get(&interior).clone()).collect()
        };
        let mut received: Vec<_> = sequences.iter().filter(|it| !missing.contains(it)).collect();
        if !received.is_empty() {
            let copies: Vec<_> = copies.iter().map(|index| *index.get(&received)).collect();
            received.extend(copies);
        }
        received.sort_by_key(|it| (it.number() ^ order).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut gaps = SequenceGaps::new(10_000);
        for sequence in received {
            gaps.add(sequence);
        }
        let found = gaps.iter().flat_map(|gap| {
            let (epoch, lane) = (gap.epoch(), gap.lane().to_owned());
            gap.numbers().map(move |number| Sequence::new(epoch, &lane, number))
        });
        prop_assert_eq!(found.collect::<BTreeSet<_>>(), missing);
    }
}

/// Emits the messages of each run through a spool whose destination is away. The last run adopts the spools
/// of the others, forwards everything, and sends some notifications again. Returns what the destination
/// got.
async fn deliver(path: &Path, runs: &[Run]) -> Vec<Message> {
    let context = Context::builder().user("bob").build().unwrap();
    let script = Script::with_lanes();
    script.set_down(true);
    for run in runs {
        let running = start(Config::new(path), &script);
        for is_error in run {
            let text = "the store is slow".to_owned();
            let payload = if *is_error { Payload::Error(text) } else { Payload::Warn(text) };
            let stored = running.notifier.emit_with(&Event::ImageUpload(payload), &context);
            within("a receipt", stored).await.unwrap();
        }
        running.notifier.shutdown(Duration::ZERO).await;
        within("the worker", running.worker).await.unwrap();
    }
    script.set_down(false);
    let running = start(Config::new(path), &script);
    for _ in 0..5 {
        let event = Event::ImageUpload(Payload::Warn("sent again".into()));
        let again = running.notifier.stamp(event);
        within("a receipt", running.notifier.resend(&again).await).await.unwrap();
    }
    let all = runs.iter().map(Vec::len).sum::<usize>() + 5;
    until("forwarding of all messages", || script.stored().len() == all).await;
    running.stop().await;
    script.stored()
}

/// Returns the sequences that are neither the first nor the last of their lane.
fn interior(sequences: &[Sequence]) -> Vec<Sequence> {
    let mut lanes: BTreeMap<(Uuid, &str), Vec<&Sequence>> = BTreeMap::new();
    for sequence in sequences {
        lanes.entry((sequence.epoch(), sequence.lane())).or_default().push(sequence);
    }
    let mut interior = Vec::new();
    for lane in lanes.values_mut() {
        lane.sort();
        if let [_, between @ .., _] = &lane[..] {
            interior.extend(between.iter().copied().cloned());
        }
    }
    interior
}
