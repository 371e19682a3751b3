//! Counts the allocations of a thousand suppressed notifications, and prints their number.
//!
//! Counting replaces the allocator. This is a program of its own, so that the other benchmarks run
//! with the allocator of real programs.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program for developers prints, and stops on an unexpected error"
)]

use glance_notify::event::EventType;
use glance_notify::time::OffsetDateTime;
use glance_notify::uuid::Uuid;
use glance_notify::{Config, Event, Image, ImageStatus};

fn main() {
    let (notifier, _) = glance_notify::start(&Config::default()).expect("the strategy noop starts");
    let image = Image::new(Uuid::nil(), ImageStatus::Queued, OffsetDateTime::UNIX_EPOCH);
    let event = Event::ImageCreate(image.into());
    let allocations = allocation_counter::measure(|| {
        for _ in 0..1000 {
            if !notifier.enabled(&EventType::ImageDelete) {
                drop(notifier.emit(&event));
            }
        }
    });
    println!("{}", allocations.count_total);
}
