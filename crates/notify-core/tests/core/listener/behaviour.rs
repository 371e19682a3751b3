//! What the listener promises, one promise at a time.

use std::time::{Duration, SystemTime};

use notify_conformance::samples;
use notify_conformance::source_script::{SourceFault, SourceScript};
use notify_core::listener::{
    DeadLetters, Listener, ListenerConfig, SettlementOutcome, SourceState,
};
use notify_core::source::{
    Credit, DeliverySettlements, Reception, SettlementMode, Source, async_trait,
};
use notify_core::{ErrorKind, Message, Result};
use tokio::time::{sleep, timeout};

use super::{LONG, assert_account_balances, listener};

/// A batch has at most `max` deliveries and does not wait for more than the prefetch allows.
#[tokio::test(start_paused = true)]
async fn a_batch_returns_early_when_the_credit_is_used_up() {
    let script = SourceScript::default();
    script.publish(samples::messages(0..20));
    let mut listener = listener(&script, DeadLetters::Discard, 8).start().unwrap();
    let batch = listener.next_batch(500, LONG * 100).await.unwrap().unwrap();
    assert_eq!(batch.len(), 8);
    let small = timeout(LONG, listener.next_batch(2, LONG * 100));
    assert!(small.await.is_err(), "the credit is used up");
    batch.ack().await.unwrap();
    let batch = listener.next_batch(2, LONG * 100).await.unwrap().unwrap();
    assert_eq!(batch.len(), 2);
}

/// A source hands over the largest notification in an envelope, and marks no smaller message as too large.
#[tokio::test(start_paused = true)]
async fn an_envelope_may_be_larger_than_the_limit_of_a_notification() {
    let script = SourceScript::default();
    let messages = samples::messages(0..2);
    script.publish_bytes(messages.iter().map(Message::oslo_v2));
    let mut config = ListenerConfig::default();
    config.limits.bytes = messages.iter().map(|message| message.body().len()).max().unwrap();
    let builder = Listener::builder(script.source(), DeadLetters::Discard).config(config);
    let mut listener = builder.start().unwrap();
    for message in &messages {
        let next = timeout(LONG, listener.next_delivery()).await.expect("a message is missing");
        let delivery = next.unwrap().unwrap();
        assert_eq!(delivery.message().map(Message::body), Some(message.body()));
        delivery.ack().await.unwrap();
    }
}

/// `linger` bounds the wait for a full batch, and not the wait for the first delivery.
#[tokio::test(start_paused = true)]
async fn a_batch_lingers_for_more_deliveries() {
    let script = SourceScript::default();
    let mut listener = listener(&script, DeadLetters::Discard, 100).start().unwrap();
    let publish = async {
        sleep(LONG).await;
        script.publish(samples::messages(0..1));
        sleep(Duration::from_millis(100)).await;
        script.publish(samples::messages(1..3));
    };
    let linger = Duration::from_millis(200);
    let (batch, ()) = tokio::join!(listener.next_batch(50, linger), publish);
    assert_eq!(batch.unwrap().unwrap().len(), 3);
}

/// One acknowledgement covers the settled prefix, and single ones the islands behind a gap.
#[tokio::test(start_paused = true)]
async fn one_acknowledgement_covers_the_settled_prefix() {
    let script = SourceScript::default();
    script.publish(samples::messages(0..10));
    let mut listener = listener(&script, DeadLetters::Discard, 100).start().unwrap();
    let batch = listener.next_batch(10, LONG).await.unwrap().unwrap();
    let mut deliveries: Vec<_> = batch.into_iter().collect();
    let gap = deliveries.remove(4);
    for delivery in deliveries {
        drop(delivery.ack());
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!((script.unacked(), script.settle_calls()), (1, 1));
    assert_eq!(gap.ack().await.unwrap(), SettlementOutcome::Settled);
    assert_eq!(script.unacked(), 0);
}

/// An acknowledgement after a reconnect is stale, not an error, and the message comes again.
#[tokio::test(start_paused = true)]
async fn an_ack_after_a_reconnect_is_stale() {
    let script = SourceScript::default();
    script.publish(samples::messages(0..1));
    let mut listener = listener(&script, DeadLetters::Discard, 10).start().unwrap();
    let delivery = listener.next_delivery().await.unwrap().unwrap();
    script.add_fault(SourceFault::FailReceive);
    let again = listener.next_delivery().await.unwrap().unwrap();
    assert!(delivery.is_stale() && !again.is_stale());
    assert_eq!(delivery.ack().await.unwrap(), SettlementOutcome::Stale);
    assert!(again.is_redelivered());
    assert_eq!(again.ack().await.unwrap(), SettlementOutcome::Settled);
    let counts = listener.close(LONG).await.total;
    assert_eq!((counts.received, counts.acked, counts.lost), (2, 1, 1));
}

/// A source that takes no acknowledgement within 30 s is connected to again.
#[tokio::test(start_paused = true)]
async fn a_settlement_that_hangs_ends_the_session() {
    let script = SourceScript::default();
    script.publish(samples::messages(0..1));
    script.add_fault(SourceFault::StallSettle);
    let mut listener = listener(&script, DeadLetters::Discard, 10).start().unwrap();
    let delivery = listener.next_delivery().await.unwrap().unwrap();
    assert_eq!(delivery.ack().await.unwrap(), SettlementOutcome::Stale);
    let again = listener.next_delivery().await.unwrap().unwrap();
    assert_eq!(again.ack().await.unwrap(), SettlementOutcome::Settled);
    assert_eq!(script.sessions(), 2);
}

/// A store that is away dead-letters nothing, however long, and reading goes on when it is back.
#[tokio::test(start_paused = true)]
async fn an_outage_of_the_store_makes_no_dead_letter() {
    let script = SourceScript::default();
    script.publish(samples::messages(0..100));
    let mut listener = listener(&script, DeadLetters::Discard, 10).start().unwrap();
    let outage = tokio::time::Instant::now() + Duration::from_secs(300);
    let mut attempts = 0;
    while tokio::time::Instant::now() < outage {
        let batch = listener.next_batch(10, Duration::ZERO).await.unwrap().unwrap();
        attempts += batch.len();
        drop(batch.fail("the store is away"));
    }
    assert!(attempts < 2000, "the listener does not pause: {attempts} attempts");
    assert_eq!(listener.stats().total.dead_lettered, 0);
    while listener.stats().total.acked < 100 {
        listener.next_batch(10, Duration::ZERO).await.unwrap().unwrap().ack().await.unwrap();
    }
    assert_eq!(listener.close(LONG).await.total.dead_lettered, 0);
}

/// A store that goes away for five minutes while it works on deliveries, some of which succeed at that
/// moment, dead-letters nothing either.
#[tokio::test(start_paused = true)]
async fn a_store_that_goes_away_in_the_middle_makes_no_dead_letter() {
    for (mode, concurrency) in [
        (SettlementMode::Individual, 1),
        (SettlementMode::Individual, 16),
        (SettlementMode::Cumulative, 16),
        (SettlementMode::Cumulative, 64),
    ] {
        let script = SourceScript::with_mode(mode);
        script.publish(samples::messages(0..1_000));
        script.end();
        let listener = listener(&script, DeadLetters::Discard, 20).start().unwrap();
        let start = tokio::time::Instant::now();
        let outage = Duration::from_millis(1_030)..Duration::from_secs(301);
        let stats = listener
            .run(concurrency, LONG, std::future::pending(), move |delivery| {
                let outage = outage.clone();
                async move {
                    // The work of each takes another time.
                    let id = delivery.message().unwrap().id().as_u128();
                    sleep(Duration::from_millis(u64::try_from(id % 97).unwrap())).await;
                    if outage.contains(&start.elapsed()) {
                        drop(delivery.fail("the store is away"));
                    } else {
                        drop(delivery.ack());
                    }
                }
            })
            .await
            .unwrap()
            .total;
        assert!(stats.failed > 20, "{mode:?} {concurrency}: no outage");
        assert_eq!((stats.acked, stats.dead_lettered), (1_000, 0), "{mode:?} {concurrency}");
    }
}

/// Failing deliveries hold at most half of the prefetch while others succeed.
#[tokio::test(start_paused = true)]
async fn failing_deliveries_hold_at_most_half_of_the_prefetch() {
    let script = SourceScript::default();
    script.publish(samples::messages(0..200));
    let mut config = ListenerConfig::default();
    (config.prefetch, config.attempts) = (10, 1_000_000);
    let mut listener = listener(&script, DeadLetters::Discard, 10).config(config).start().unwrap();
    let mut good = 0;
    while good < 100 {
        let delivery = listener.next_delivery().await.unwrap().unwrap();
        // Every second notification always fails.
        let is_bad = delivery.message().unwrap().id().as_u128() % 2 == 1;
        if is_bad {
            drop(delivery.fail("always"));
        } else {
            delivery.ack().await.unwrap();
            good += 1;
        }
    }
    let counts = listener.stats().total;
    assert!(counts.held <= 10 && counts.dead_lettered >= 90, "{counts:?}");
}

/// A wrong password is reported at first, unless the program prefers to wait, and a transient error
/// never is.
#[tokio::test(start_paused = true)]
async fn a_permanent_error_before_the_first_session_is_returned() {
    let script = SourceScript::default();
    script.add_fault(SourceFault::FailReceive);
    script.add_fault(SourceFault::DenyReceive);
    let mut eager = listener(&script, DeadLetters::Discard, 10).start().unwrap();
    let error = eager.next_batch(1, LONG).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Access);
    drop(eager);

    script.add_fault(SourceFault::DenyReceive);
    script.publish(samples::messages(0..1));
    let mut config = ListenerConfig::default();
    config.wait = true;
    let patient = listener(&script, DeadLetters::Discard, 10).config(config);
    let mut patient = patient.start().unwrap();
    patient.next_batch(1, LONG).await.unwrap().unwrap().ack().await.unwrap();
    // After a session, even a denied login is tried again.
    script.add_fault(SourceFault::DenyReceive);
    script.publish(samples::messages(1..2));
    sleep(Duration::from_secs(1)).await;
    patient.next_batch(1, LONG).await.unwrap().unwrap().ack().await.unwrap();
}

/// Each failure is returned once: a program that calls again waits for the next attempt.
#[tokio::test(start_paused = true)]
async fn a_permanent_error_is_returned_once() {
    let script = SourceScript::default();
    for _ in 0..2 {
        script.add_fault(SourceFault::DenyReceive);
    }
    script.publish(samples::messages(0..1));
    let mut listener = listener(&script, DeadLetters::Discard, 10).start().unwrap();
    for _ in 0..2 {
        assert_eq!(listener.next_delivery().await.unwrap_err().kind(), ErrorKind::Access);
        let again = timeout(Duration::from_secs(1), listener.next_delivery()).await;
        assert!(again.is_err(), "the same failure again: {again:?}");
    }
    listener.next_delivery().await.unwrap().unwrap().ack().await.unwrap();
}

/// The log tells once that a login was denied, also if the broker was unreachable before.
#[tokio::test(start_paused = true)]
async fn a_permanent_error_after_a_transient_one_is_logged() {
    let log = notify_testbed::log_recorder::LogRecorder::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let script = SourceScript::default();
    for fault in [SourceFault::FailReceive, SourceFault::DenyReceive, SourceFault::DenyReceive] {
        script.add_fault(fault);
    }
    script.publish(samples::messages(0..1));
    let mut config = ListenerConfig::default();
    config.wait = true;
    let listener = listener(&script, DeadLetters::Discard, 10).config(config);
    let mut listener = listener.start().unwrap();
    listener.next_delivery().await.unwrap().unwrap().ack().await.unwrap();
    assert_eq!(log.lines_with("cannot read, and keeps trying").len(), 2);
}

/// Sessions that attach and then fail, as on a full disk, wait longer and longer, and each logs its end.
#[tokio::test(start_paused = true)]
async fn sessions_that_fail_after_attaching_back_off() {
    let log = notify_testbed::log_recorder::LogRecorder::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let script = SourceScript::default();
    script.publish(samples::messages(0..1));
    for _ in 0..10_000 {
        script.add_fault(SourceFault::FailSettle);
    }
    let mut listener = listener(&script, DeadLetters::Discard, 10).start().unwrap();
    let end = tokio::time::Instant::now() + Duration::from_secs(300);
    while tokio::time::Instant::now() < end {
        let delivery = listener.next_delivery().await.unwrap().unwrap();
        assert_eq!(delivery.ack().await.unwrap(), SettlementOutcome::Stale);
    }
    let sessions = script.sessions();
    assert!((10..40).contains(&sessions), "{sessions} sessions in 5 minutes");
    assert_eq!(log.lines_with("cannot read, and keeps trying").len(), sessions);
    assert_eq!(log.lines_with("reading again").len(), sessions - 1);
}

/// After a session that lasted, the waits begin again with the shortest.
#[tokio::test(start_paused = true)]
async fn the_waits_begin_again_after_a_session_that_lasted() {
    let script = SourceScript::default();
    for _ in 0..8 {
        script.add_fault(SourceFault::FailReceive);
    }
    let _listener = listener(&script, DeadLetters::Discard, 10).start().unwrap();
    sleep(Duration::from_secs(120)).await;
    assert_eq!(script.sessions(), 1);
    script.add_fault(SourceFault::FailReceive);
    sleep(Duration::from_millis(150)).await;
    assert_eq!(script.sessions(), 2);
    // This session did not last: the next wait is 200 ms.
    script.add_fault(SourceFault::FailReceive);
    sleep(Duration::from_millis(150)).await;
    assert_eq!(script.sessions(), 2);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(script.sessions(), 3);
}

/// Every change of the coverage is kept, with its reason, for an archive.
#[tokio::test(start_paused = true)]
async fn coverage_changes_are_kept() {
    let script = SourceScript::default();
    let mut listener = listener(&script, DeadLetters::Discard, 10).start().unwrap();
    sleep(Duration::from_secs(1)).await;
    script.add_fault(SourceFault::Detach);
    sleep(Duration::from_secs(1)).await;
    script.add_fault(SourceFault::FailReceive);
    sleep(Duration::from_secs(1)).await;
    let changes = listener.take_coverage_changes();
    let names: Vec<_> = changes
        .iter()
        .map(|change| match &change.state {
            SourceState::Attached { .. } => "attached",
            SourceState::Detached { reason, .. } => reason,
            _ => "other",
        })
        .collect();
    let failed = "the script fails this session";
    assert_eq!(names, ["attached", "the script says so", "attached", failed, "attached"]);
}

/// A source that notices a loss late is detached since its last good look, but not since a time before it
/// was attached, nor since the future.
#[tokio::test(start_paused = true)]
async fn a_loss_that_is_noticed_late_counts_from_the_last_good_look() {
    let builder = Listener::builder(LateSource { step: 0 }, DeadLetters::Discard);
    let mut listener = builder.start().unwrap();
    sleep(Duration::from_secs(1)).await;
    let changes = listener.take_coverage_changes();
    let times: Vec<_> = changes
        .iter()
        .map(|change| match change.state {
            SourceState::Attached { since } | SourceState::Detached { since, .. } => since,
            _ => panic!("{change:?}"),
        })
        .collect();
    let [attached, late, again, early, _, future] = times[..] else { panic!("{changes:?}") };
    assert!(attached <= late && late + LATE <= changes[1].at, "{changes:?}");
    assert_eq!(early, again);
    assert_eq!(future, changes[5].at);
}

/// The time by which a [`LateSource`] notices its loss too late.
const LATE: Duration = Duration::from_millis(10);

/// A source that loses its coverage three times: since a moment ago, since 1970, and since tomorrow.
#[derive(Debug)]
struct LateSource {
    step: u32,
}

#[async_trait]
impl Source for LateSource {
    fn name(&self) -> &'static str {
        "late"
    }

    fn settlement_mode(&self) -> SettlementMode {
        SettlementMode::Individual
    }

    async fn receive(&mut self, _: Credit) -> Result<Reception> {
        self.step += 1;
        let since = match self.step {
            1 | 3 | 5 => return Ok(Reception::Attached),
            2 => {
                let since = SystemTime::now();
                std::thread::sleep(LATE);
                since
            }
            4 => SystemTime::UNIX_EPOCH,
            6 => SystemTime::now() + Duration::from_secs(86_400),
            _ => std::future::pending().await,
        };
        Ok(Reception::Detached { reason: "the test says so".into(), since: Some(since) })
    }

    async fn settle(&mut self, _: &DeliverySettlements) -> Result<()> {
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// One source that fails stops no other, and the deliveries say where they come from.
#[tokio::test(start_paused = true)]
async fn one_source_that_fails_stops_no_other() {
    let (broken, working) = (SourceScript::default(), SourceScript::default());
    for _ in 0..100 {
        broken.add_fault(SourceFault::DenyReceive);
    }
    working.publish(samples::messages(0..10));
    let mut listener = Listener::builder(broken.source_named("broken"), DeadLetters::Discard)
        .source(working.source_named("working"))
        .start()
        .unwrap();
    for _ in 0..10 {
        let delivery = listener.next_delivery().await.unwrap().unwrap();
        assert_eq!(delivery.source(), "working");
        delivery.ack().await.unwrap();
    }
    let error = Listener::builder(broken.source(), DeadLetters::Discard).source(working.source());
    assert_eq!(error.start().unwrap_err().kind(), ErrorKind::Config);
}

/// A handler that has settled its delivery ends its work within the grace period, after `stop` and at the end of the
/// sources.
#[tokio::test(start_paused = true)]
async fn run_lets_its_handlers_end_their_work() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    for stops in [true, false] {
        let script = SourceScript::default();
        script.publish(samples::messages(0..3));
        let stop = async move {
            if stops {
                sleep(Duration::from_millis(500)).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        if !stops {
            script.end();
        }
        let ended = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&ended);
        let listener = listener(&script, DeadLetters::Discard, 20).start().unwrap();
        let running = listener.run(4, Duration::from_secs(10), stop, move |delivery| {
            let count = Arc::clone(&count);
            async move {
                delivery.ack().await.unwrap();
                sleep(Duration::from_secs(1)).await;
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        assert_eq!(running.await.unwrap().total.acked, 3);
        assert_eq!(ended.load(Ordering::SeqCst), 3, "stopped: {stops}");
    }
}

/// `run` bounds its handlers, treats a panic as a failure, and ends with an account that balances.
#[tokio::test(start_paused = true)]
async fn run_bounds_its_handlers_and_survives_their_panics() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let script = SourceScript::default();
    script.publish(samples::messages(0..50));
    script.end();
    let listener = listener(&script, DeadLetters::Discard, 20).start().unwrap();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let stats = listener
        .run(4, LONG, std::future::pending(), move |delivery| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                sleep(Duration::from_millis(10)).await;
                running.fetch_sub(1, Ordering::SeqCst);
                assert!(delivery.attempts() > 1, "the first attempt panics");
                drop(delivery.ack());
            }
        })
        .await
        .unwrap()
        .total;
    assert_eq!(seen.load(Ordering::SeqCst), 4);
    assert_eq!((stats.acked, stats.failed, stats.held), (50, 50, 0));
    assert_account_balances(&stats);
}

/// A handler that panics before it returns its future has failed, and the others go on.
#[tokio::test(start_paused = true)]
async fn run_survives_a_panic_outside_of_the_future() {
    let script = SourceScript::default();
    script.publish(samples::messages(0..10));
    script.end();
    let listener = listener(&script, DeadLetters::Discard, 20).start().unwrap();
    let stats = listener.run(4, LONG, std::future::pending(), |delivery| {
        assert!(delivery.attempts() > 1, "the first attempt panics");
        async move { drop(delivery.ack()) }
    });
    let stats = stats.await.unwrap().total;
    assert_eq!((stats.acked, stats.failed, stats.held), (10, 10, 0));
}

/// `run` stops when it is asked to, within its grace, and gives back what a stuck handler holds.
#[tokio::test(start_paused = true)]
async fn run_gives_back_the_deliveries_of_a_stuck_handler() {
    let script = SourceScript::default();
    script.publish(samples::messages(0..10));
    let listener = listener(&script, DeadLetters::Discard, 20).start().unwrap();
    let stop = sleep(Duration::from_secs(1));
    let grace = Duration::from_secs(5);
    let stats = listener.run(2, grace, stop, |delivery| async move {
        let _held = delivery;
        std::future::pending::<()>().await;
    });
    let stats = stats.await.unwrap().total;
    assert_eq!((stats.received, stats.released, stats.held), (10, 10, 0));
    assert_eq!(script.unacked(), 10);
}

/// At the end of its input, the listener does not wait for deliveries that failed too often.
#[tokio::test(start_paused = true)]
async fn the_end_does_not_wait_for_failing_deliveries() {
    for mode in [SettlementMode::Individual, SettlementMode::Cumulative] {
        let script = SourceScript::with_mode(mode);
        script.publish(samples::messages(0..3));
        script.end();
        let mut listener = listener(&script, DeadLetters::Discard, 20).start().unwrap();
        let mut attempts = 0;
        while let Some(delivery) = listener.next_delivery().await.unwrap() {
            attempts += 1;
            drop(delivery);
        }
        let counts = listener.close(LONG).await.total;
        assert_eq!((counts.released, counts.held), (3, 0), "{mode:?} after {attempts}");
        assert_eq!(script.unacked(), 3, "{mode:?}");
    }
}

/// A settlement that fails behind the end of a source gives its messages again, even if the source never
/// said that it is attached.
#[tokio::test(start_paused = true)]
async fn a_settlement_that_fails_behind_the_end_gives_the_messages_again() {
    let script = SourceScript::default();
    script.publish(samples::messages(0..1));
    script.end();
    let source = Box::new(UnattachedSource(script.source()));
    let mut listener = Listener::builder(source, DeadLetters::Discard).start().unwrap();
    let delivery = listener.next_delivery().await.unwrap().unwrap();
    // The source ends meanwhile.
    sleep(Duration::from_secs(1)).await;
    script.add_fault(SourceFault::FailSettle);
    assert_eq!(delivery.ack().await.unwrap(), SettlementOutcome::Stale);
    let again = listener.next_delivery().await.unwrap().expect("the message comes again");
    assert_eq!(again.ack().await.unwrap(), SettlementOutcome::Settled);
    assert!(listener.next_delivery().await.unwrap().is_none());
    assert_eq!(script.unacked(), 0);
}

/// A source that does not say when it sees all new messages.
#[derive(Debug)]
struct UnattachedSource(Box<dyn Source>);

#[async_trait]
impl Source for UnattachedSource {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn settlement_mode(&self) -> SettlementMode {
        self.0.settlement_mode()
    }

    async fn receive(&mut self, credit: Credit) -> Result<Reception> {
        loop {
            let reception = self.0.receive(credit).await?;
            if !matches!(reception, Reception::Attached) {
                return Ok(reception);
            }
        }
    }

    async fn settle(&mut self, settlements: &DeliverySettlements) -> Result<()> {
        self.0.settle(settlements).await
    }

    async fn close(&mut self) -> Result<()> {
        self.0.close().await
    }
}

/// A source that panics is not at its end: the program gets an error, once.
#[tokio::test(start_paused = true)]
async fn a_source_that_panics_is_an_error() {
    let start = || Listener::builder(PanickingSource, DeadLetters::Discard).start().unwrap();
    let mut listener = start();
    let error = listener.next_delivery().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(error.to_string().contains("the task of source `broken` ended"), "{error}");
    assert!(listener.next_delivery().await.unwrap().is_none());
    let stats = start().run(1, LONG, std::future::pending(), |_| std::future::ready(()));
    assert_eq!(stats.await.unwrap_err().kind(), ErrorKind::Closed);
}

/// `run` reads on from the other sources when one fails, and returns its error at the end.
#[tokio::test(start_paused = true)]
async fn run_goes_on_when_one_source_fails() {
    let script = SourceScript::default();
    let builder = listener(&script, DeadLetters::Discard, 10).source(PanickingSource);
    let run =
        builder.start().unwrap().run(2, LONG, std::future::pending(), |delivery| async move {
            drop(delivery.ack());
        });
    let publish = async {
        sleep(Duration::from_secs(1)).await;
        script.publish(samples::messages(0..3));
        script.end();
    };
    let (result, ()) = tokio::join!(run, publish);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(script.acked().len(), 3);
}

/// `run` ends at once when every source is denied before it was ever attached.
#[tokio::test(start_paused = true)]
async fn run_ends_when_every_source_is_denied() {
    let script = SourceScript::default();
    script.add_fault(SourceFault::DenyReceive);
    let listener = listener(&script, DeadLetters::Discard, 10).start().unwrap();
    let run = listener.run(2, LONG, std::future::pending(), |_| std::future::ready(()));
    assert_eq!(run.await.unwrap_err().kind(), ErrorKind::Access);
}

/// A runtime that shuts down takes the tasks of the sources along, which is no end of the input.
#[test]
fn a_runtime_that_shuts_down_is_an_error() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let script = SourceScript::default();
    let start = async { listener(&script, DeadLetters::Discard, 10).start().unwrap() };
    let mut listener = first.block_on(start);
    drop(first);
    let error = second.block_on(listener.next_delivery()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

/// The error of a runtime without a timer names the timer, and not only the source.
#[test]
fn a_runtime_without_a_timer_is_named() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let script = SourceScript::default();
    let error = runtime.block_on(async {
        let mut listener = listener(&script, DeadLetters::Discard, 10).start().unwrap();
        listener.next_delivery().await.unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(error.to_string().contains("has no timer (`enable_time`)"), "{error}");
}

/// A source that panics.
#[derive(Debug)]
struct PanickingSource;

#[async_trait]
impl Source for PanickingSource {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn settlement_mode(&self) -> SettlementMode {
        SettlementMode::Individual
    }

    async fn receive(&mut self, _: Credit) -> Result<Reception> {
        panic!("the test wants this")
    }

    async fn settle(&mut self, _: &DeliverySettlements) -> Result<()> {
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A future that is dropped takes no delivery with it.
#[tokio::test(start_paused = true)]
async fn next_batch_can_be_dropped_at_any_point() {
    let script = SourceScript::default();
    let mut listener = listener(&script, DeadLetters::Discard, 100).start().unwrap();
    for number in 0..50 {
        script.publish(samples::messages(number..number + 1));
        let wait = Duration::from_micros(number % 3);
        drop(timeout(wait, listener.next_batch(1000, LONG)).await);
    }
    let batch = listener.next_batch(1000, Duration::from_secs(1)).await.unwrap().unwrap();
    assert_eq!(batch.len(), 50);
    assert_eq!(listener.stats().total.failed, 0);
    batch.ack().await.unwrap();
}

/// Redaction happens on reception: neither the notification nor the message holds the secret.
#[tokio::test(start_paused = true)]
async fn secrets_are_redacted_on_reception() {
    let script = SourceScript::default();
    let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"h",
        "event_type":"image.create","priority":"INFO","timestamp":"2026-11-22 12:00:00",
        "_context_auth_token":"S3CRET","payload":{"auth_token":"S3CRET"}}"#;
    script.publish_bytes([line.iter().copied().filter(|byte| *byte != b'\n').collect()]);
    let mut listener = listener(&script, DeadLetters::Discard, 10).start().unwrap();
    let delivery = listener.next_delivery().await.unwrap().unwrap();
    let body = String::from_utf8_lossy(delivery.message().unwrap().body()).into_owned();
    assert!(body.contains(r#""auth_token":"***""#), "{body}");
    let shown = format!("{delivery:?} {:?} {body}", delivery.notification().unwrap());
    assert!(!shown.contains("S3CRET"), "{shown}");
    delivery.ack().await.unwrap();
}
