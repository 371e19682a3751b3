//! Files that the source cannot read, or only in part.

use std::fs::{self, File};
use std::process::Command;
use std::time::Duration;

use notify_conformance::samples;
use notify_core::source::{Credit, DeliverySettlements, IncomingBody, Reception, Source};
use notify_log::{FileSource, FileSourceConfig};

use crate::place::{LONG, Place, nothing_more, take};

/// A session that does not open again at once loses no position: lines without an acknowledgement come again,
/// also from a file that was rotated meanwhile. A source without a checkpoint has its positions in memory only.
#[tokio::test]
async fn a_session_that_does_not_open_keeps_the_positions() {
    for (from_end, has_checkpoint) in [(false, false), (true, false), (false, true), (true, true)] {
        let place = Place::new();
        place.append(0..0);
        let mut config = FileSourceConfig::new(place.path());
        config.checkpoint = has_checkpoint.then(|| place.named("position"));
        config.from_end = from_end;
        config.poll = Duration::from_millis(1);
        let mut source = FileSource::new(config);
        let credit = Credit { window: 10, room: 10, max_bytes: 1024 * 1024 };
        assert!(matches!(source.receive(credit).await, Ok(Reception::Attached)));
        place.append(0..4);
        let Ok(Reception::Deliveries(deliveries)) = source.receive(credit).await else { panic!() };
        assert_eq!(deliveries.len(), 4);
        let through = Some(deliveries[1].tag);
        let settlements = DeliverySettlements { through, ..DeliverySettlements::default() };
        source.settle(&settlements).await.unwrap();

        // The first error ends the session. Then two sessions do not open.
        fs::rename(place.path(), place.named("n.log.1")).unwrap();
        fs::create_dir(place.path()).unwrap();
        for _ in 0..3 {
            source.receive(credit).await.unwrap_err();
        }
        fs::remove_dir(place.path()).unwrap();
        place.append(4..5);
        assert!(matches!(source.receive(credit).await, Ok(Reception::Attached)));
        let mut bodies = Vec::new();
        while bodies.len() < 3 {
            let Ok(Reception::Deliveries(more)) = source.receive(credit).await else { panic!() };
            bodies.extend(more.into_iter().map(|delivery| match delivery.body {
                IncomingBody::Bytes(body) => body,
                other => panic!("{other:?}"),
            }));
        }
        let expected = samples::messages(2..5);
        let expected: Vec<_> = expected.iter().map(|message| message.body().to_vec()).collect();
        assert_eq!(bodies, expected, "from_end: {from_end}, checkpoint: {has_checkpoint}");
        source.close().await.unwrap();
    }
}

/// A compressed file that a power cut truncated does not stop the source after a restart, whether the damage
/// is before the position or behind it. The source reports it once, and reads the live file.
#[tokio::test]
async fn a_truncated_compressed_file_is_reported_once() {
    for acked in [2_u64, 40] {
        let place = Place::new();
        place.append(0..40);
        let mut listener = place.listener(|_| {});
        let count = usize::try_from(acked).unwrap();
        assert_eq!(take(&mut listener, count).await, place.numbers(0..acked));
        drop(listener.close(LONG).await);
        let rotated = place.named("n.log.1");
        fs::rename(place.path(), &rotated).unwrap();
        assert!(Command::new("gzip").arg(&rotated).status().unwrap().success());
        let compressed = File::options().write(true).open(place.named("n.log.1.gz")).unwrap();
        // More than the checksum and the size at the end.
        compressed.set_len(compressed.metadata().unwrap().len() - 20).unwrap();
        place.append(40..42);

        let mut listener = place.listener(|_| {});
        let mut ids = take(&mut listener, 1).await;
        while ids.last() != place.numbers([41]).last() {
            ids.extend(take(&mut listener, 1).await);
        }
        let live = ids.split_off(ids.len() - 2);
        assert_eq!(live, place.numbers(40..42), "acked: {acked}");
        // The damage is in the last lines.
        let rest = acked + ids.len() as u64;
        assert_eq!(ids, place.numbers(acked..rest), "acked: {acked}");
        // The source looks at the file again and again.
        nothing_more(&mut listener).await;
        let changes = listener.take_coverage_changes();
        let reports = format!("{changes:?}").matches("is damaged").count();
        assert_eq!(reports, 1, "acked: {acked}, {changes:?}");
    }
}
