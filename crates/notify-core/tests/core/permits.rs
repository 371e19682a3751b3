//! Permits: room that is taken before the event, which nothing takes away.

use std::time::Duration;

use notify_conformance::LaneFault;
use notify_conformance::script::Script;
use notify_core::event::Payload;
use notify_core::pipeline::{Overflow, Permit, QueueConfig, Receipt};
use notify_core::{ErrorKind, Event, Notifier, Priority};
use proptest::prelude::*;

use crate::support::{assert_balances, builder, image_create, poll_once, queue_config};

/// Returns an event whose text has about `bytes` bytes.
fn sized(bytes: usize) -> Event {
    Event::ImageUpload(Payload::Error("x".repeat(bytes)))
}

/// Returns a queue of `max_messages` that drops the oldest message.
fn drop_oldest(max_messages: usize) -> QueueConfig {
    let mut queue = queue_config(max_messages, 2);
    queue.overflow = Overflow::DropOldest;
    queue
}

/// Permits count against the bounds, and a dropped permit gives its room back.
#[tokio::test(start_paused = true)]
async fn a_permit_holds_room_until_it_is_dropped() {
    let script = Script::default();
    let (notifier, _worker) =
        Notifier::builder(script.transport()).queue(queue_config(3, 1)).build().unwrap();
    let permits = notifier.reserve_many(2, 4096).await.unwrap();
    assert!(notifier.try_reserve(4096).is_ok(), "given back at once");
    drop(notifier.emit(&image_create()));
    assert_eq!(notifier.try_reserve(4096).unwrap_err().kind(), ErrorKind::Full);
    drop(notifier.emit(&image_create()));
    assert_eq!(notifier.stats().dropped.overflow, 1, "permits leave room for one message");
    drop(permits);
    drop(notifier.emit(&image_create()));
    assert_eq!(notifier.stats().pending.messages, 2);
}

/// An event that is larger than its permit gives the permit back, and counts nothing.
#[tokio::test(start_paused = true)]
async fn an_event_larger_than_its_permit_gives_the_permit_back() {
    let script = Script::default();
    let (notifier, worker) = Notifier::builder(script.transport()).build().unwrap();
    tokio::spawn(worker.run());
    let permit = notifier.reserve(1000).await.unwrap();
    let unused = permit.emit(&sized(1000)).unwrap_err();
    assert_eq!(unused.error.kind(), ErrorKind::TooLarge);
    assert_eq!(notifier.stats().emitted, 0);
    unused.permit.emit(&sized(500)).unwrap().await.unwrap();
    assert_eq!(script.stored().len(), 1);
}

/// Room that no queue has is an error at once.
#[tokio::test(start_paused = true)]
async fn a_permit_that_never_fits_is_refused() {
    let script = Script::default();
    let (notifier, _worker) =
        Notifier::builder(script.transport()).queue(queue_config(3, 1)).build().unwrap();
    for result in
        [notifier.reserve_many(4, 10).await.map(drop), notifier.try_reserve(usize::MAX).map(drop)]
    {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::TooLarge);
    }
}

/// Without a required destination no room is taken. The optional queues still bound the permits.
#[tokio::test(start_paused = true)]
async fn optional_destinations_bound_the_number_of_permits() {
    let scripts = [(); 2].map(|()| Script::default());
    let [first, second] = scripts
        .each_ref()
        .map(|script| Notifier::builder(script.transport()).optional().queue(queue_config(3, 1)));
    let (notifier, _worker) =
        first.named("first").destination(second.named("second")).build().unwrap();
    assert_eq!(notifier.reserve_many(3, 10).await.unwrap().len(), 3);
    for result in [
        notifier.reserve_many(4, 10).await.map(drop),
        notifier.reserve_many(usize::MAX, 0).await.map(drop),
    ] {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::TooLarge);
    }
}

/// A permit takes room in every required destination or in none, and in no optional one.
#[tokio::test(start_paused = true)]
async fn a_permit_takes_room_in_all_required_destinations_or_in_none() {
    let scripts = [(); 3].map(|()| Script::default());
    let [first, second, optional] = &scripts;
    second.set_stalled(true);
    optional.set_stalled(true);
    let (notifier, worker) = Notifier::builder(first.transport())
        .named("first")
        .queue(queue_config(1, 1))
        .destination(
            Notifier::builder(second.transport()).named("second").queue(queue_config(2, 1)),
        )
        .destination(
            Notifier::builder(optional.transport())
                .named("optional")
                .optional()
                .queue(queue_config(1, 1)),
        )
        .build()
        .unwrap();
    tokio::spawn(worker.run());
    drop(notifier.emit(&image_create()));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let permit = notifier.reserve(4096).await.unwrap();
    let mut waiting = Box::pin(notifier.reserve(4096));
    assert!(poll_once(&mut waiting).is_none());
    let receipt = permit.emit(&image_create()).unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    // The first destination is empty again, but the second is full.
    assert!(poll_once(&mut waiting).is_none());
    assert_eq!(first.stored().len(), 2);
    drop(notifier.emit(&image_create()));
    assert_eq!(
        first.stored().len() as u64 + notifier.stats().pending.messages,
        3,
        "room in the first"
    );
    second.set_stalled(false);
    drop(waiting.await.unwrap());
    receipt.await.unwrap();
}

/// Without room in time, `reserve` fails and takes nothing.
#[tokio::test(start_paused = true)]
async fn reserve_gives_up_after_the_send_timeout() {
    let script = Script::default();
    let (notifier, _worker) = Notifier::builder(script.transport())
        .queue(queue_config(1, 1))
        .send_timeout(Duration::from_secs(3))
        .build()
        .unwrap();
    drop(notifier.emit(&image_create()));
    let start = tokio::time::Instant::now();
    assert_eq!(notifier.reserve(4096).await.unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(start.elapsed(), Duration::from_secs(3));
}

/// Callers that wait for more room than there is, in two destinations, do not keep a smaller reservation
/// from its end.
#[tokio::test(start_paused = true)]
async fn callers_in_two_destinations_do_not_hold_up_a_smaller_reservation() {
    let scripts = [(); 2].map(|()| Script::default());
    let mut queue = queue_config(10, 1);
    queue.max_bytes = 1024 * 1024 + 256;
    let warnings = Notifier::builder(scripts[1].transport()).named("warnings").queue(queue.clone());
    let (notifier, _worker) = Notifier::builder(scripts[0].transport())
        .named("errors")
        .queue(queue)
        .priorities([Priority::Error])
        .destination(warnings.priorities([Priority::Warn]))
        .build()
        .unwrap();
    let error = sized(700_000);
    let warning = Event::ImageUpload(Payload::Warn("x".repeat(700_000)));
    drop((notifier.emit(&error), notifier.emit(&warning)));
    let mut waiting = [&error, &warning].map(|event| Box::pin(notifier.enqueue(event)));
    assert!(waiting.iter_mut().all(|caller| poll_once(caller).is_none()));
    let start = tokio::time::Instant::now();
    drop(notifier.reserve(4096).await.unwrap());
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// `drop_oldest` passes the messages of permits and drops the others.
#[tokio::test(start_paused = true)]
async fn drop_oldest_drops_no_message_of_a_permit() {
    let script = Script::default();
    let (notifier, worker) =
        Notifier::builder(script.transport()).queue(drop_oldest(4)).build().unwrap();
    let permits = notifier.reserve_many(3, 4096).await.unwrap();
    let kept: Vec<_> =
        permits.into_iter().map(|permit| permit.emit(&image_create()).unwrap()).collect();
    let flood: Vec<_> = (0..20).map(|_| notifier.emit(&image_create())).collect();
    assert_eq!(notifier.stats().dropped.overflow, 19);
    tokio::spawn(worker.run());
    for receipt in kept {
        receipt.await.unwrap();
    }
    flood.into_iter().last().unwrap().await.unwrap();
}

/// While a caller waits for more room than `drop_oldest` could make beside a new message, `emit` drops that
/// message alone.
#[tokio::test(start_paused = true)]
async fn drop_oldest_drops_no_message_for_the_room_of_a_caller() {
    let (notifier, _worker) = builder(&Script::default()).queue(drop_oldest(10)).build().unwrap();
    for _ in 0..5 {
        drop(notifier.emit(&image_create()));
    }
    let mut waiting = Box::pin(notifier.reserve_many(10, 100));
    assert!(poll_once(&mut waiting).is_none());
    drop(notifier.emit(&image_create()));
    let stats = notifier.stats();
    assert_eq!((stats.pending.messages, stats.dropped.overflow), (5, 1));
}

/// The messages of permits may hold more than the share of a lane that fails. A new message of the lane then
/// displaces no other.
#[tokio::test(start_paused = true)]
async fn drop_oldest_drops_no_message_beside_permits_that_hold_the_share_of_a_lane() {
    let script = Script::with_lanes();
    script.set_fault(Priority::Error, Some(LaneFault::Full));
    let (notifier, worker) = builder(&script).queue(drop_oldest(8)).build().unwrap();
    tokio::spawn(worker.run());
    drop(notifier.emit(&sized(10)));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let permits = notifier.reserve_many(5, 4096).await.unwrap();
    for permit in permits {
        drop(permit.emit(&sized(10)).unwrap());
    }
    drop(notifier.emit(&sized(10)));
    let stats = notifier.stats();
    assert_eq!((stats.pending.messages, stats.dropped.overflow), (6, 1));
}

/// A closed notifier voids its permits visibly, and reserves nothing.
#[tokio::test(start_paused = true)]
async fn a_closed_notifier_voids_its_permits() {
    let script = Script::default();
    let (notifier, worker) =
        Notifier::builder(script.transport()).queue(queue_config(1, 1)).build().unwrap();
    tokio::spawn(worker.run());
    let permit = notifier.reserve(4096).await.unwrap();
    let mut waiting = Box::pin(notifier.reserve(4096));
    assert!(poll_once(&mut waiting).is_none());
    notifier.close();
    assert_eq!(waiting.await.unwrap_err().kind(), ErrorKind::Closed);
    let error = permit.emit(&image_create()).unwrap().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    let stats = notifier.shutdown(Duration::from_secs(1)).await;
    assert_eq!((stats.emitted, stats.dropped.closed), (1, 1));
}

/// One step of a program that uses permits beside a flood.
#[derive(Clone, Debug)]
enum PermitStep {
    /// Emits this many events without a permit.
    Flood(u8),
    /// Starts to reserve room for so many events of up to so many bytes.
    Reserve(u8, u16),
    /// Polls one of the callers that wait.
    Poll(u8),
    /// Drops one of the callers that wait.
    Cancel(u8),
    /// Emits with one of the permits.
    Emit(u8, u16),
    /// Drops one of the permits.
    DropPermit(u8),
    /// Freezes a destination, or lets it go on.
    Stall(bool, bool),
    /// Makes a lane of the second destination decline its messages, or take them again.
    Fault(bool),
    /// Lets the workers run.
    Run(u8),
    /// Closes the notifier.
    Close,
}

/// Returns any step; a close is rare.
fn permit_step() -> impl Strategy<Value = PermitStep> {
    prop_oneof![
        4 => (1..20_u8).prop_map(PermitStep::Flood),
        4 => (1..4_u8, 200..3000_u16).prop_map(|(count, bytes)| PermitStep::Reserve(count, bytes)),
        6 => any::<u8>().prop_map(PermitStep::Poll),
        2 => any::<u8>().prop_map(PermitStep::Cancel),
        6 => (any::<u8>(), 0..2500_u16).prop_map(|(at, bytes)| PermitStep::Emit(at, bytes)),
        1 => any::<u8>().prop_map(PermitStep::DropPermit),
        2 => any::<(bool, bool)>().prop_map(|(first, stalled)| PermitStep::Stall(first, stalled)),
        2 => any::<bool>().prop_map(PermitStep::Fault),
        4 => (0..20_u8).prop_map(PermitStep::Run),
        1 => Just(PermitStep::Close),
    ]
}

/// Runs the steps against two destinations that drop the oldest message.
async fn run_steps(steps: Vec<PermitStep>) {
    let scripts = [Script::default(), Script::with_lanes()];
    let second = Notifier::builder(scripts[1].transport()).named("second").queue(drop_oldest(7));
    let (notifier, worker) = Notifier::builder(scripts[0].transport())
        .named("first")
        .queue(drop_oldest(5))
        .destination(second.priorities([Priority::Error, Priority::Info]))
        .build()
        .unwrap();
    let worker = tokio::spawn(worker.run());
    let mut waiting = Vec::new();
    let mut permits: Vec<Permit> = Vec::new();
    let mut kept: Vec<Receipt> = Vec::new();
    let mut closed = false;
    let at = |index: u8, len: usize| (len > 0).then(|| usize::from(index) % len.max(1));
    for step in steps {
        match step {
            PermitStep::Flood(count) => {
                for _ in 0..count {
                    drop(notifier.emit(&image_create()));
                }
            }
            PermitStep::Reserve(count, bytes) => {
                let notifier = notifier.clone();
                waiting.push(Box::pin(async move {
                    notifier.reserve_many(count.into(), bytes.into()).await
                }));
            }
            PermitStep::Poll(index) => {
                if let Some(at) = at(index, waiting.len())
                    && let Some(result) = poll_once(&mut waiting[at])
                {
                    drop(waiting.swap_remove(at));
                    permits.extend(result.into_iter().flatten());
                }
            }
            PermitStep::Cancel(index) => {
                if let Some(at) = at(index, waiting.len()) {
                    drop(waiting.swap_remove(at));
                }
            }
            PermitStep::Emit(index, bytes) => {
                let Some(at) = at(index, permits.len()) else { continue };
                match permits.swap_remove(at).emit(&sized(bytes.into())) {
                    Ok(receipt) if closed => {
                        assert_eq!(receipt.await.unwrap_err().kind(), ErrorKind::Closed);
                    }
                    Ok(receipt) => kept.push(receipt),
                    Err(unused) => permits.push(unused.permit),
                }
            }
            PermitStep::DropPermit(index) => {
                if let Some(at) = at(index, permits.len()) {
                    drop(permits.swap_remove(at));
                }
            }
            PermitStep::Stall(first, stalled) => scripts[usize::from(first)].set_stalled(stalled),
            PermitStep::Fault(full) => {
                scripts[1].set_fault(Priority::Error, full.then_some(LaneFault::Full));
            }
            PermitStep::Run(milliseconds) => {
                tokio::time::sleep(Duration::from_millis(milliseconds.into())).await;
            }
            PermitStep::Close => {
                notifier.close();
                closed = true;
            }
        }
        for account in notifier.destinations() {
            assert_balances(&account.stats);
            assert!(account.stats.pending.messages <= if account.name == "first" { 5 } else { 7 });
        }
    }
    drop((waiting, permits));
    for script in &scripts {
        script.set_stalled(false);
    }
    scripts[1].set_fault(Priority::Error, None);
    if !closed {
        // All room is free again.
        notifier.flush(Duration::from_secs(600)).await.unwrap();
        drop(notifier.reserve_many(5, 100).await.unwrap());
    }
    notifier.shutdown(Duration::from_secs(600)).await;
    for receipt in kept {
        receipt.await.unwrap();
    }
    worker.await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever floods the queues, and wherever callers are cancelled, no event emitted by a permit before
    /// the close is dropped, and all room comes back.
    #[test]
    fn no_event_of_a_permit_is_dropped(steps in prop::collection::vec(permit_step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run_steps(steps));
    }
}
