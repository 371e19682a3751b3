//! Forwarding from the disk to the destination: in order, across restarts, and with dead letters.

use notify_conformance::samples;
use notify_conformance::script::{Script, ScriptAction, ScriptAttempt, ScriptEnd};
use notify_core::{Batch, ErrorKind, EventType, Result, Transport};
use notify_spool::{Config, Spool, admin};

use crate::support::{assert_balanced, bodies, pending_in, start, until};

/// The destination gets every stored message once and in order, and the file becomes empty.
#[tokio::test]
async fn forwards_stored_messages_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let script = Script::default();
    let running = start(Config::new(dir.path().join("s")), &script);
    let messages = samples::messages(0..5000);
    running.store(&messages).await;
    until("forwarding of all messages", || running.forwarded().pending.messages == 0).await;
    assert!(bodies(&script.stored()) == bodies(&messages));
    let stats = running.stop().await;
    assert_eq!((stats.emitted, stats.delivered), (5000, 5000));
    assert_eq!(admin::slots(&dir.path().join("s")).unwrap()[0].file_bytes, 0);
}

/// Messages that the spool accepted during an outage survive the end of the process.
#[tokio::test]
async fn the_next_run_forwards_messages_stored_during_an_outage() {
    let dir = tempfile::tempdir().unwrap();
    let script = Script::default();
    script.set_stalled(true);
    let running = start(Config::new(dir.path().join("s")), &script);
    let messages = samples::messages(0..3000);
    running.store(&messages[..2000]).await;
    running.notifier.shutdown(std::time::Duration::ZERO).await;
    let stats = running.stop().await;
    assert_eq!(stats.pending.messages, 2000);
    assert!(bodies(&pending_in(&dir.path().join("s"))) == bodies(&messages[..2000]));

    script.set_stalled(false);
    let running = start(Config::new(dir.path().join("s")), &script);
    running.store(&messages[2000..]).await;
    until("forwarding of all messages", || running.forwarded().pending.messages == 0).await;
    assert!(bodies(&script.stored()) == bodies(&messages));
    let stats = running.stop().await;
    assert_eq!((stats.emitted, stats.delivered), (3000, 3000));
}

/// A refused message stays in the spool with its reason, and a retry delivers the same bytes.
#[tokio::test]
async fn a_refused_message_becomes_a_dead_letter_for_retry() {
    let dir = tempfile::tempdir().unwrap();
    let spool = dir.path().join("s");
    let script = Script::default();
    script.add_attempt(ScriptAttempt {
        actions: vec![ScriptAction::Accept, ScriptAction::Refuse, ScriptAction::Accept],
        end: ScriptEnd::Ok,
    });
    let running = start(Config::new(&spool), &script);
    let messages = samples::messages(0..3);
    running.store(&messages).await;
    until("an outcome of all messages", || running.forwarded().pending.messages == 0).await;
    assert_balanced(&running.forwarded());
    let stats = running.stop().await;
    assert_eq!((stats.delivered, stats.refused), (2, 1));

    let mut slot = admin::OpenSlot::open(&spool, 0).unwrap();
    assert_eq!((slot.contents().pending.messages, slot.contents().dead.messages), (0, 1));
    let dead: Vec<_> = slot.dead_letters().map(Result::unwrap).collect();
    assert_eq!(dead[0].message.as_ref().unwrap().body(), messages[1].body());
    assert_eq!(dead[0].refusal.as_ref().unwrap().reason, "scripted refusal");
    assert_eq!(slot.retry([dead[0].number]).unwrap(), 1);
    assert_eq!((slot.contents().pending.messages, slot.contents().dead.messages), (1, 0));
    drop(slot);

    let running = start(Config::new(&spool), &script);
    until("forwarding of the retried message", || running.forwarded().delivered == 1).await;
    running.stop().await;
    assert_eq!(script.stored().last().unwrap().body(), messages[1].body());
}

/// A forwarder to such a destination would discard the orphans of other processes as delivered.
#[test]
fn refuses_a_destination_that_wants_no_events() {
    /// A transport like `noop`.
    #[derive(Debug)]
    struct VoidTransport;

    #[async_trait::async_trait]
    impl Transport for VoidTransport {
        fn name(&self) -> &'static str {
            "void"
        }

        fn wants(&self, _: &EventType) -> bool {
            false
        }

        async fn send(&mut self, _: &mut Batch<'_>) -> Result<()> {
            Ok(())
        }

        async fn close(&mut self) -> Result<()> {
            Ok(())
        }
    }

    let error = Spool::open(Config::new("/nonexistent/s"), Box::new(VoidTransport)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.to_string(),
        "`void` delivers no notifications: remove the table `[spool]`, or set another `strategy`"
    );
}
