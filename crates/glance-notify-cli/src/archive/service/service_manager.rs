//! The messages of the service to systemd: it is ready, it is alive, it stops.
//!
//! Without systemd, nothing here has an effect. A thread of its own sends the messages, because a service
//! manager that does not read them would hold up the service.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use notify_archive::service::ServiceMonitor;
use sd_notify::NotifyState;

/// The thread that sends messages to systemd. Dropping it tells systemd that the service stops.
pub(super) struct ServiceManager {
    /// The thread sends its last message and ends when this is gone.
    stop: Option<Sender<()>>,
    /// Disconnected once the thread has ended.
    ended: Receiver<()>,
}

impl ServiceManager {
    /// Tells systemd that the archive is open and its sources are being read. From now on, tells it about the
    /// health, and that the service is alive as long as its loop turns.
    ///
    /// A disk that hangs does not end the service: a restart would not help.
    pub(super) fn start(monitor: ServiceMonitor) -> Self {
        let watchdog = sd_notify::watchdog_enabled();
        let pause = watchdog.map_or(LONGEST_PAUSE, |watchdog| (watchdog / 3).min(LONGEST_PAUSE));
        let (stop, stopped) = channel();
        let (end, ended) = channel();
        let run = move || {
            let _end: Sender<()> = end;
            send(&[NotifyState::Ready]);
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                report(&monitor);
            }
            send(&[NotifyState::Stopping]);
        };
        let started = thread::Builder::new().name("service-manager".to_owned()).spawn(run);
        if let Err(error) = started {
            tracing::warn!("cannot start the thread that notifies systemd: {error}");
        }
        Self { stop: Some(stop), ended }
    }
}

impl Drop for ServiceManager {
    fn drop(&mut self) {
        drop(self.stop.take());
        // The process may end before the thread would have sent its last message.
        let _ = self.ended.recv_timeout(LONGEST_END);
    }
}

/// Sends the health.
fn report(monitor: &ServiceMonitor) {
    let status = monitor.status();
    let text = match &status.error {
        Some(error) => format!("the archive cannot be written: {error}"),
        None => format!("{} stored", status.totals.stored),
    };
    send(&[NotifyState::Status(&text)]);
    if status.idle < LONGEST_TURN {
        send(&[NotifyState::Watchdog]);
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("cannot notify systemd: {error}");
    }
}

/// The longest wait for the last message, which a service manager that reads nothing holds up.
const LONGEST_END: Duration = Duration::from_secs(1);
/// The longest time between two messages.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The longest turn of the service's loop that counts as alive.
const LONGEST_TURN: Duration = Duration::from_secs(60);
