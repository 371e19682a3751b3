//! The format on the disk: spools of earlier versions, and the metadata beside a body.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use notify_conformance::samples;
use notify_conformance::script::{Script, ScriptAction, ScriptAttempt, ScriptEnd};
use notify_core::codec::Sequence;
use notify_core::{Context, Message, Transport as _};
use notify_spool::{Config, admin};
use uuid::Uuid;

use crate::support::{bodies, open_spool, pending_in, send_once, start, until};

/// Returns a message with a context and a sequence.
fn numbered(number: u64) -> Message {
    let context = Context::builder()
        .traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .user("bob");
    let sequence = Sequence::new(Uuid::from_u128(7), "notifications.info", number);
    let message = samples::messages(number..number + 1).remove(0);
    message.with_context(context.build().unwrap()).with_sequence(sequence)
}

/// Returns context and sequence of each message.
fn metadata(messages: &[Message]) -> Vec<(Context, Option<Sequence>)> {
    messages.iter().map(|it| (it.context().clone(), it.sequence().cloned())).collect()
}

/// Writes the slot that a program of the first edition left, with 39 pending messages and one dead letter.
fn write_version_1(dir: &Path) {
    std::fs::DirBuilder::new().mode(0o700).create(dir).unwrap();
    std::fs::write(dir.join("slot-0.redb"), include_bytes!("version-1.redb")).unwrap();
    std::fs::write(dir.join("slot-0.lock"), "").unwrap();
}

/// A spool of the first edition is read whole, and takes messages with metadata afterwards.
#[tokio::test]
async fn reads_a_spool_of_version_1() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    write_version_1(&path);
    let old = samples::messages(1..40);
    assert_eq!(bodies(&pending_in(&path)), bodies(&old));
    assert_eq!(std::fs::read(path.join("slot-0.redb")).unwrap().len(), 73_728, "only read");
    let mut open = admin::OpenSlot::open(&path, 0).unwrap();
    let letter = open.dead_letters().next().unwrap().unwrap();
    assert_eq!(letter.refusal.unwrap().reason, "scripted refusal");
    assert_eq!(open.retry([letter.number]).unwrap(), 1);
    drop(open);

    // The old messages stay behind the new ones of the same slot.
    let mut spool = open_spool(Config::new(&path));
    assert_eq!(send_once(&mut spool, &[numbered(50)]).await.0, 1);
    drop(spool);
    let script = Script::default();
    let running = start(Config::new(&path), &script);
    until("forwarding of all messages", || script.stored().len() == 41).await;
    running.stop().await;
    let stored = script.stored();
    assert_eq!(bodies(&stored[..39]), bodies(&old));
    assert_eq!(bodies(&stored[39..40]), bodies(&samples::messages(0..1)));
    assert!(metadata(&stored[..40]).iter().all(|it| *it == (Context::new(), None)));
    assert_eq!(metadata(&stored[40..]), metadata(&[numbered(50)]));
}

/// Context and sequence come back from the disk, through refusal and retry too.
#[tokio::test]
async fn keeps_context_and_sequence() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let sent: Vec<_> = (1..200).map(numbered).collect();
    let script = Script::default();
    script.add_attempt(ScriptAttempt { actions: vec![ScriptAction::Refuse], end: ScriptEnd::Ok });
    let running = start(Config::new(&path), &script);
    running.store(&sent[..1]).await;
    until("the refusal", || running.forwarded().refused == 1).await;
    running.stop().await;
    let mut open = admin::OpenSlot::open(&path, 0).unwrap();
    let letter = open.dead_letters().next().unwrap().unwrap();
    assert_eq!(metadata(&[letter.message.unwrap()]), metadata(&sent[..1]));
    assert_eq!(open.retry([letter.number]).unwrap(), 1);
    drop(open);

    let mut spool = open_spool(Config::new(&path));
    assert_eq!(send_once(&mut spool, &sent[1..]).await.0, sent.len() - 1);
    spool.close().await.unwrap();
    assert_eq!(metadata(&pending_in(&path)), metadata(&sent));
    let running = start(Config::new(&path), &script);
    until("forwarding of all messages", || script.stored().len() == sent.len()).await;
    running.stop().await;
    assert_eq!(metadata(&script.stored()), metadata(&sent));
    assert_eq!(bodies(&script.stored()), bodies(&sent));
}
