//! The cost of `emit` on noop, measured by a counting allocator.

use allocation_counter::measure;
use notify_core::event::Payload;
use notify_core::{Event, Notifier};
use notify_noop::Noop;

/// `emit` on noop allocates no memory and starts no thread.
#[test]
fn emit_allocates_nothing() {
    let (notifier, _worker) = Notifier::builder(Noop).build().unwrap();
    let event = Event::ImageUpload(Payload::Error("storage is full".into()));
    let threads = || std::fs::read_dir("/proc/self/task").map(Iterator::count).ok();
    let before = threads();
    let counted = measure(|| {
        for _ in 0..1000 {
            assert!(!notifier.enabled(event.event_type()));
            drop(notifier.emit(&event));
        }
    });
    assert_eq!(counted.count_total, 0);
    assert_eq!(threads(), before);
    assert_eq!(notifier.stats().suppressed, 1000);
    // Prove that the allocator counts: stamping a cloned event does allocate.
    assert!(measure(|| drop(notifier.stamp(event.clone()))).count_total > 0);
}
