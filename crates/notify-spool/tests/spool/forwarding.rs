//! From the disk to the destination: in order, once it is there, and nothing twice.

use notify_conformance::samples;
use notify_conformance::script::{Script, ScriptAction, ScriptAttempt, ScriptEnd};
use notify_core::{Batch, ErrorKind, EventType, Result, Transport};
use notify_spool::{Config, Spool, admin};

use crate::support::{balanced, bodies, left_in, start, until};

#[tokio::test]
async fn what_is_stored_is_forwarded_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let script = Script::default();
    let running = start(Config::new(dir.path().join("s")), &script);
    let messages = samples::messages(0..5000);
    running.store(&messages).await;
    until("everything to be forwarded", || running.forwarded().pending.messages == 0).await;
    assert!(bodies(&script.stored()) == bodies(&messages));
    let stats = running.stop().await;
    assert_eq!((stats.emitted, stats.delivered), (5000, 5000));
    assert_eq!(admin::slots(&dir.path().join("s")).unwrap()[0].file_bytes, 0);
}

#[tokio::test]
async fn what_is_stored_while_the_destination_is_away_is_forwarded_by_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let script = Script::default();
    script.set_stalled(true);
    let running = start(Config::new(dir.path().join("s")), &script);
    let messages = samples::messages(0..3000);
    running.store(&messages[..2000]).await;
    running.notifier.shutdown(std::time::Duration::ZERO).await;
    let stats = running.stop().await;
    assert_eq!(stats.pending.messages, 2000);
    assert!(bodies(&left_in(&dir.path().join("s"))) == bodies(&messages[..2000]));

    script.set_stalled(false);
    let running = start(Config::new(dir.path().join("s")), &script);
    running.store(&messages[2000..]).await;
    until("everything to be forwarded", || running.forwarded().pending.messages == 0).await;
    assert!(bodies(&script.stored()) == bodies(&messages));
    let stats = running.stop().await;
    assert_eq!((stats.emitted, stats.delivered), (3000, 3000));
}

#[tokio::test]
async fn what_is_refused_becomes_a_dead_letter_and_can_be_retried() {
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
    until("everything to be decided", || running.forwarded().pending.messages == 0).await;
    balanced(&running.forwarded());
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
    until("it to be forwarded", || running.forwarded().delivered == 1).await;
    running.stop().await;
    assert_eq!(script.stored().last().unwrap().body(), messages[1].body());
}

/// It would throw away what others left in the directory, and call that delivered.
#[test]
fn a_destination_that_wants_nothing_gets_no_spool() {
    #[derive(Debug)]
    struct Nowhere;

    #[async_trait::async_trait]
    impl Transport for Nowhere {
        fn name(&self) -> &'static str {
            "nowhere"
        }

        fn wants(&self, _: EventType) -> bool {
            false
        }

        async fn send(&mut self, _: &mut Batch<'_>) -> Result<()> {
            Ok(())
        }

        async fn close(&mut self) -> Result<()> {
            Ok(())
        }
    }

    let error = Spool::open(Config::new("/nonexistent/s"), Box::new(Nowhere)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.to_string(),
        "`nowhere` delivers no notifications: remove the table `[spool]`, or set another `strategy`"
    );
}
