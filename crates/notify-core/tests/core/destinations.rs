//! Several destinations behind one notifier: filters, encodings, receipts, and independence.

use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use notify_conformance::script::{Script, ScriptAction, ScriptAttempt, ScriptEnd};
use notify_core::codec::{Encoding, PayloadStyle};
use notify_core::event::Payload;
use notify_core::pipeline::{
    DestinationAccount, DestinationProgress, NotifierBuilder, Overflow, Receipt,
};
use notify_core::transport::async_trait;
use notify_core::{
    Batch, ErrorKind, Event, EventType, Message, Notifier, Outcome, Priority, Result, Transport,
    Verdict,
};
use tokio::time::timeout;

use crate::fixtures::{event, text};
use crate::support::{image_create, poll_once, queue_config};

/// Returns the builder of a destination that follows a script.
fn destination(name: &str, script: &Script) -> NotifierBuilder {
    Notifier::builder(script.transport()).publisher_id("host").named(name)
}

/// Returns the accounts with their names, each as emitted, delivered, suppressed and pending.
fn counts(notifier: &Notifier) -> Vec<(String, [u64; 4])> {
    let count = |DestinationAccount { name, stats, .. }: DestinationAccount| {
        (name, [stats.emitted, stats.delivered, stats.suppressed, stats.pending.messages])
    };
    notifier.destinations().into_iter().map(count).collect()
}

/// Every destination gets what its filter takes, with one id and one time, and counts for itself.
#[tokio::test(start_paused = true)]
async fn each_destination_gets_what_its_filter_takes() {
    let scripts = [(); 4].map(|()| Script::default());
    let [all, tasks, errors, other] = &scripts;
    let (notifier, worker) = destination("all", all)
        .destination(destination("tasks", tasks).events(["task.*".parse().unwrap()]))
        .destination(destination("errors", errors).priorities([Priority::Error]))
        .destination(destination("other", other).disabled(["image", "task.run"]))
        .build()
        .unwrap();
    tokio::spawn(worker.run());
    let sent = [
        (EventType::ImageCreate, Priority::Info),
        (EventType::TaskRun, Priority::Info),
        (EventType::TaskFailure, Priority::Error),
        (EventType::new("image.member.create").unwrap(), Priority::Info),
        (EventType::new("volume.create").unwrap(), Priority::Error),
    ];
    for (event_type, priority) in &sent {
        notifier.emit(&event(event_type, *priority));
    }
    notifier.shutdown(Duration::from_secs(10)).await;
    let stored = scripts.clone().map(|script| {
        script.stored().iter().map(|it| it.event_type().to_string()).collect::<Vec<_>>()
    });
    let types: Vec<_> = sent.iter().map(|(event_type, _)| event_type.to_string()).collect();
    assert_eq!(stored[0], types);
    assert_eq!(stored[1], ["task.run", "task.failure"]);
    assert_eq!(stored[2], ["task.failure", "volume.create"]);
    assert_eq!(stored[3], ["task.failure", "volume.create"]);
    assert_eq!(all.stored()[2].body(), tasks.stored()[1].body(), "stamped once");
    let expected = [("all", [5, 5, 0, 0]), ("tasks", [2, 2, 3, 0])];
    let expected = expected.into_iter().chain([("errors", [2, 2, 3, 0]), ("other", [2, 2, 3, 0])]);
    assert_eq!(counts(&notifier), expected.map(|(n, c)| (n.to_owned(), c)).collect::<Vec<_>>());
}

/// However a program emits a notification, each destination gets it once, in any mix of required and optional
/// destinations with and without a filter that leaves it out.
#[tokio::test(start_paused = true)]
async fn each_destination_gets_its_own_copy_in_every_mix() {
    for mix in 0..64_u32 {
        let is_set = |bit: usize| mix & (1 << bit) != 0;
        let scripts = [(); 3].map(|()| Script::default());
        let mut destinations = scripts.iter().enumerate().map(|(at, script)| {
            let filter = if is_set(at + 3) { "task.*" } else { "*" };
            let destination =
                destination(&format!("{at}"), script).events([filter.parse().unwrap()]);
            if is_set(at) { destination.optional() } else { destination }
        });
        let first = destinations.next().unwrap();
        let (notifier, worker) =
            destinations.fold(first, NotifierBuilder::destination).build().unwrap();
        tokio::spawn(worker.run());
        let permit = notifier.reserve(4096).await.unwrap();
        let notification = notifier.stamp(Event::ImageUpload(Payload::Warn("slow".into())));
        let receipts = [
            notifier.emit(&image_create()),
            notifier.enqueue(&image_create()).await,
            notifier.resend(&notification).await,
            permit.emit(&image_create()).unwrap(),
        ];
        let ids: Vec<_> = receipts.iter().filter_map(Receipt::message_id).collect();
        notifier.shutdown(Duration::from_secs(10)).await;
        for (at, script) in scripts.iter().enumerate() {
            let stored: Vec<_> = script.stored().iter().map(Message::id).collect();
            let expected = if is_set(at + 3) { &[] } else { &*ids };
            assert_eq!(stored, expected, "destination {at} in mix {mix:#b}");
        }
    }
}

/// Destinations with the same encoding share one body, and others get their own of the same id.
#[tokio::test(start_paused = true)]
async fn each_distinct_encoding_is_encoded_once() {
    let scripts = [(); 3].map(|()| Script::default());
    let glance = Encoding { payloads: PayloadStyle::Glance, ..Encoding::default() };
    let (notifier, worker) = destination("a", &scripts[0])
        .destination(destination("b", &scripts[1]).encoding(glance))
        .destination(destination("c", &scripts[2]))
        .build()
        .unwrap();
    tokio::spawn(worker.run());
    notifier.send(&event(EventType::ImageDelete, Priority::Info)).await.unwrap();
    let [a, b, c] = scripts.map(|script| script.stored().remove(0));
    assert_eq!(a.body().as_ptr(), c.body().as_ptr(), "one body");
    assert_eq!((a.id(), a.timestamp()), (b.id(), b.timestamp()));
    assert_ne!(text(&a), text(&b));
}

/// A frozen optional destination holds up neither receipts nor `send`, and its own queue alone fills.
#[tokio::test(start_paused = true)]
async fn an_optional_destination_that_is_frozen_delays_nothing() {
    let (file, frozen) = (Script::default(), Script::default());
    frozen.set_stalled(true);
    let optional = destination("frozen", &frozen).optional().queue(queue_config(3, 1));
    let (notifier, worker) = destination("file", &file).destination(optional).build().unwrap();
    tokio::spawn(worker.run());
    for _ in 0..10 {
        notifier.send(&image_create()).await.unwrap();
        notifier.enqueue(&image_create()).await.await.unwrap();
    }
    let mut receipt = notifier.emit(&image_create());
    (&mut receipt).await.unwrap();
    notifier.flush(Duration::from_secs(1)).await.unwrap();
    assert_eq!(file.stored().len(), 21);
    let accounts = notifier.destinations();
    assert_eq!((accounts[1].stats.pending.messages, accounts[1].stats.dropped.overflow), (3, 18));
    let outcomes = receipt.by_destination();
    assert!(matches!(outcomes[0].progress, DestinationProgress::Ended(Ok(()))));
    let DestinationProgress::Ended(Err(error)) = &outcomes[1].progress else {
        panic!("{outcomes:?}")
    };
    assert_eq!(error.kind(), ErrorKind::Full);
}

/// A receipt waits for the required destinations, and names the one that failed.
#[tokio::test(start_paused = true)]
async fn a_receipt_waits_for_all_required_destinations() {
    let (first, second) = (Script::default(), Script::default());
    second.set_stalled(true);
    let (notifier, worker) =
        destination("first", &first).destination(destination("second", &second)).build().unwrap();
    tokio::spawn(worker.run());
    let mut receipt = notifier.emit(&image_create());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(poll_once(&mut receipt).is_none());
    let progress = receipt.by_destination();
    assert!(matches!(progress[0].progress, DestinationProgress::Ended(Ok(()))));
    assert!(matches!(progress[1].progress, DestinationProgress::Pending));
    second.set_stalled(false);
    receipt.await.unwrap();

    let refuse = ScriptAttempt { actions: vec![ScriptAction::Refuse], end: ScriptEnd::Ok };
    second.add_attempt(refuse);
    let error = notifier.send(&image_create()).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Rejected);
    assert!(format!("{error:#}").starts_with("destination `second` failed: "), "{error:#}");
}

/// `enqueue` waits for room in each required destination, holds none meanwhile, and a dropped future
/// counts nothing.
#[tokio::test(start_paused = true)]
async fn enqueue_waits_for_room_in_every_required_destination() {
    let (first, second) = (Script::default(), Script::default());
    second.set_stalled(true);
    let full = destination("second", &second).queue(queue_config(1, 1));
    let (notifier, worker) =
        destination("first", &first).queue(queue_config(2, 1)).destination(full).build().unwrap();
    tokio::spawn(worker.run());
    notifier.enqueue(&image_create()).await;
    let event = image_create();
    let mut waiting: Vec<_> = (0..5).map(|_| Box::pin(notifier.enqueue(&event))).collect();
    for future in &mut waiting {
        assert!(poll_once(future).is_none());
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    let accounts = counts(&notifier);
    assert_eq!(accounts[0].1, [1, 1, 0, 0], "room of the first destination is free");
    assert_eq!(accounts[1].1, [1, 0, 0, 1]);
    drop(waiting);
    second.set_stalled(false);
    notifier.enqueue(&image_create()).await.await.unwrap();
    assert_eq!(counts(&notifier)[1].1, [2, 2, 0, 0]);
}

/// After the send timeout, a destination without room drops the notification, and the others take it.
#[tokio::test(start_paused = true)]
async fn a_destination_without_room_in_time_drops_for_itself() {
    let (first, second) = (Script::default(), Script::default());
    second.set_stalled(true);
    let (notifier, worker) = destination("first", &first)
        .send_timeout(Duration::from_secs(5))
        .destination(destination("second", &second).queue(queue_config(1, 1)))
        .build()
        .unwrap();
    tokio::spawn(worker.run());
    notifier.enqueue(&image_create()).await;
    let error = notifier.enqueue(&image_create()).await.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    assert_eq!(first.stored().len(), 2);
    assert_eq!(notifier.destinations()[1].stats.dropped.overflow, 1);
}

/// A resent notification keeps its attributes at every destination, and passes the filters.
#[tokio::test(start_paused = true)]
async fn resend_goes_to_each_destination_that_takes_it() {
    let (all, errors) = (Script::default(), Script::default());
    let (notifier, worker) = destination("all", &all)
        .destination(destination("errors", &errors).priorities([Priority::Error]))
        .build()
        .unwrap();
    tokio::spawn(worker.run());
    for payload in [Payload::Warn("slow".into()), Payload::Error("full".into())] {
        let notification = notifier.stamp(Event::ImageUpload(payload));
        notifier.resend(&notification).await.await.unwrap();
        assert_eq!(all.stored().last().unwrap().id(), notification.message_id);
    }
    assert_eq!(errors.stored().len(), 1);
    assert_eq!(errors.stored()[0].body(), all.stored()[1].body());
}

/// An event that no destination takes is suppressed everywhere.
#[tokio::test(start_paused = true)]
async fn an_event_without_a_destination_is_suppressed() {
    let (a, b) = (Script::default(), Script::default());
    let tasks = || ["task.*".parse().unwrap()];
    let (notifier, _worker) = destination("a", &a)
        .events(tasks())
        .destination(destination("b", &b).events(tasks()))
        .build()
        .unwrap();
    assert!(!notifier.enabled(&EventType::ImageCreate) && notifier.enabled(&EventType::TaskRun));
    let mut receipt = notifier.emit(&image_create());
    assert_eq!(receipt.message_id(), None);
    let outcomes = receipt.by_destination();
    assert!(outcomes.iter().all(|it| matches!(it.progress, DestinationProgress::Filtered)));
    receipt.await.unwrap();
    assert_eq!(counts(&notifier).iter().map(|(_, counts)| counts[2]).sum::<u64>(), 2);
}

/// One destination may have a filter too, and is otherwise as before.
#[tokio::test(start_paused = true)]
async fn the_only_destination_may_have_a_filter() {
    let script = Script::default();
    let only = destination("", &script).priorities([Priority::Error]);
    let (notifier, worker) = only.build().unwrap();
    tokio::spawn(worker.run());
    notifier.send(&event(EventType::TaskRun, Priority::Info)).await.unwrap();
    notifier.send(&event(EventType::TaskFailure, Priority::Error)).await.unwrap();
    assert_eq!(script.stored().len(), 1);
    assert_eq!(notifier.stats().suppressed, 1);
}

/// Shutdown drains all destinations side by side, within the time of one.
#[tokio::test(start_paused = true)]
async fn shutdown_drains_all_destinations_at_once() {
    let scripts = [(); 3].map(|()| Script::default());
    for script in &scripts[1..] {
        script.set_stalled(true);
    }
    let (notifier, worker) = destination("a", &scripts[0])
        .destination(destination("b", &scripts[1]))
        .destination(destination("c", &scripts[2]).optional())
        .build()
        .unwrap();
    let worker = tokio::spawn(worker.run());
    let receipt = notifier.emit(&image_create());
    let start = tokio::time::Instant::now();
    notifier.shutdown(Duration::from_secs(10)).await;
    assert!(start.elapsed() < Duration::from_secs(17), "{:?}", start.elapsed());
    assert_eq!(receipt.await.unwrap_err().outcome(), Outcome::Unknown);
    worker.await.unwrap();
    let dropped = notifier.destinations().into_iter().map(|it| it.stats.dropped.abandoned);
    assert_eq!(dropped.collect::<Vec<_>>(), [0, 1, 1]);
}

/// `drop_oldest` of one destination drops nothing of another.
#[tokio::test(start_paused = true)]
async fn an_overflow_concerns_one_destination_only() {
    let (first, second) = (Script::default(), Script::default());
    let mut small = queue_config(2, 10);
    small.overflow = Overflow::DropOldest;
    let (notifier, worker) = destination("first", &first)
        .destination(destination("second", &second).queue(small))
        .build()
        .unwrap();
    let receipts: Vec<_> = (0..5).map(|_| notifier.emit(&image_create())).collect();
    tokio::spawn(worker.run());
    let mut failed = 0;
    for receipt in receipts {
        failed += usize::from(receipt.await.is_err());
    }
    assert_eq!((failed, first.stored().len(), second.stored().len()), (3, 5, 2));
}

/// Names tell destinations apart, and become directories.
#[test]
fn several_destinations_need_distinct_names() {
    let script = Script::default();
    for (names, expected) in [
        (["a", "a"], "two destinations have the name \"a\""),
        (["a", ""], "\"\" is not the name of a destination"),
        (["", "a"], "\"\" is not the name of a destination"),
        (["a", "../a"], "\"../a\" is not the name of a destination"),
        (["A", "b"], "\"A\" is not the name of a destination"),
    ] {
        let [first, second] = names.map(|name| destination(name, &script));
        let error = first.destination(second).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

/// A transport that blocks its thread, as no transport should.
#[derive(Debug)]
struct BlockingTransport {
    /// Blocks until the test drops the other half.
    blocked: Mutex<Receiver<()>>,
}

#[async_trait]
impl Transport for BlockingTransport {
    fn name(&self) -> &'static str {
        "blocking"
    }

    fn wants(&self, _: &EventType) -> bool {
        true
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        self.blocked.lock().unwrap().recv().unwrap_err();
        batch.settle_rest(&Verdict::Accept);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Promise 5, independent: one destination that blocks its thread delays no other, wherever the worker runs.
#[test]
fn a_transport_that_blocks_its_thread_delays_no_other() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.unwrap();
    for (on_thread, blocked_first) in [(true, true), (true, false), (false, true), (false, false)] {
        let (release, blocked) = mpsc::channel();
        let blocking = BlockingTransport { blocked: Mutex::new(blocked) };
        let slow = Notifier::builder(blocking).publisher_id("host").named("slow").optional();
        let script = Script::default();
        let fast = destination("fast", &script);
        let (first, second) = if blocked_first { (slow, fast) } else { (fast, slow) };
        let (notifier, worker) = first.destination(second).build().unwrap();
        let (thread, task) = if on_thread {
            (Some(worker.spawn_thread().unwrap()), None)
        } else {
            (None, Some(runtime.spawn(worker.run())))
        };
        for number in 0..20 {
            let event = image_create();
            let sending = notifier.send(&event);
            let sent = runtime.block_on(async { timeout(Duration::from_secs(10), sending).await });
            sent.unwrap_or_else(|_| panic!("{number} {on_thread} {blocked_first}")).unwrap();
        }
        let of_slow = |notifier: &Notifier| {
            let accounts = notifier.destinations();
            accounts.into_iter().find(|account| account.name == "slow").unwrap().stats
        };
        assert_eq!((of_slow(&notifier).emitted, of_slow(&notifier).delivered), (20, 0));
        drop(release);
        runtime.block_on(notifier.shutdown(Duration::from_secs(10)));
        assert_eq!(of_slow(&notifier).delivered, 20);
        drop(notifier);
        thread.map(|thread| thread.join().unwrap());
        task.map(|task| runtime.block_on(task).unwrap());
    }
}

/// A transport with a bug.
#[derive(Debug)]
struct PanickingTransport;

#[async_trait]
impl Transport for PanickingTransport {
    fn name(&self) -> &'static str {
        "panicking"
    }

    fn wants(&self, _: &EventType) -> bool {
        true
    }

    async fn send(&mut self, _: &mut Batch<'_>) -> Result<()> {
        panic!("a bug of this transport")
    }

    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The panic of one transport ends its own destination, wherever the worker runs; the others are drained, and
/// then it goes on.
#[test]
fn a_transport_that_panics_stops_no_other() {
    let several =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let single = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (several, single) = (several.unwrap(), single.unwrap());
    let places = [(&several, false), (&single, false), (&single, true)];
    for (case, (runtime, on_thread)) in places.into_iter().chain(places).enumerate() {
        let script = Script::default();
        let faulty = Notifier::builder(PanickingTransport).publisher_id("host").named("faulty");
        let (faulty, fast) = (faulty.optional(), destination("fast", &script));
        let (first, second) = if case < places.len() { (faulty, fast) } else { (fast, faulty) };
        let (notifier, worker) = first.destination(second).build().unwrap();
        let task = if on_thread {
            let thread = worker.spawn_thread().unwrap();
            let join = || thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            runtime.spawn_blocking(join)
        } else {
            runtime.spawn(worker.run())
        };
        let event = image_create();
        for _ in 0..20 {
            let sending = notifier.send(&event);
            let sent = runtime.block_on(async { timeout(Duration::from_secs(10), sending).await });
            sent.unwrap_or_else(|_| panic!("{case}")).unwrap();
        }
        script.set_stalled(true);
        drop(notifier.emit(&event));
        notifier.close();
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(100)).await });
        assert!(!task.is_finished(), "{case}: the worker waits for the other destination");
        script.set_stalled(false);
        let panic = runtime.block_on(task).unwrap_err().into_panic();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"a bug of this transport"));
        let mut accounts = counts(&notifier);
        accounts.sort();
        assert_eq!(accounts[0], ("fast".to_owned(), [21, 21, 0, 0]), "{case}");
        assert_eq!(accounts[1].1[3], 0, "a dropped worker settles every message");
    }
}
