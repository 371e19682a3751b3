//! Suppressed notifications, and a disabled log line.

use std::hint::black_box;

use glance_notify::event::EventType;
use glance_notify::{Config, Notifier};

use crate::samples;
use crate::task::{BenchTask, Clock, Measurement};

/// Calls `emit` on the strategy `noop`.
pub(crate) fn emit(task: &BenchTask) -> Measurement {
    let notifier = notifier();
    let events = samples::events();
    let event = &events[0];
    let clock = Clock::start();
    for _ in 0..task.messages {
        black_box(notifier.emit(black_box(event)));
    }
    clock.stop(task.messages)
}

/// Calls `enabled`, which returns `false`.
pub(crate) fn enabled(task: &BenchTask) -> Measurement {
    let notifier = notifier();
    let clock = Clock::start();
    for _ in 0..task.messages {
        black_box(notifier.enabled(black_box(&EventType::ImageCreate)));
    }
    clock.stop(task.messages)
}

/// Calls `log::info!` in a program without a logger.
pub(crate) fn disabled_log(task: &BenchTask) -> Measurement {
    let events = samples::events();
    let clock = Clock::start();
    for _ in 0..task.messages {
        log::info!("{:?}", black_box(&events[0]));
    }
    clock.stop(task.messages)
}

fn notifier() -> Notifier {
    let (notifier, _) = glance_notify::start(&Config::default()).expect("the strategy noop starts");
    notifier
}
