//! Files that the source cannot read, or only in part.

use std::fs;
use std::time::Duration;

use notify_conformance::samples;
use notify_core::source::{Credit, DeliverySettlements, IncomingBody, Reception, Source};
use notify_log::{FileSource, FileSourceConfig};

use crate::place::Place;

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
