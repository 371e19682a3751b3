//! Counts what `emit` and `enabled` allocate on the strategy noop, and prints the number.
//!
//! A program of its own: whoever counts allocations replaces the allocator, and what is measured
//! elsewhere shall have the one that users have.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a program for developers")]

use glance_notify::event::EventType;
use glance_notify::time::OffsetDateTime;
use glance_notify::uuid::Uuid;
use glance_notify::{Config, Event, Image, ImageStatus};

fn main() {
    let (notifier, _) = glance_notify::start(&Config::default()).expect("the strategy noop");
    let image = Image::new(Uuid::nil(), ImageStatus::Queued, OffsetDateTime::UNIX_EPOCH);
    let event = Event::ImageCreate(image.into());
    let counted = allocation_counter::measure(|| {
        for _ in 0..1000 {
            if !notifier.enabled(EventType::ImageDelete) {
                drop(notifier.emit(&event));
            }
        }
    });
    println!("{}", counted.count_total);
}
