//! The reader of the accounts of all destinations. It keeps no notifier open, and counts nothing itself.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::destination_account::DestinationAccount;
use super::notifier::{Notifier, NotifierCore};
use super::queue::Queue;
use super::stage::StageInfo;

/// A reader of the accounts of all destinations, for metrics.
///
/// Unlike a clone of the notifier it keeps nothing open: the worker ends when the program drops the last
/// notifier, and the reader still returns the final accounts. It costs nothing while a program emits.
///
/// # Examples
///
/// ```
/// # use notify_conformance::script::Script;
/// # use notify_core::event::Payload;
/// # use notify_core::{Event, Notifier};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> notify_core::Result<()> {
/// # let transport = Script::default().transport();
/// let (notifier, worker) = Notifier::builder(transport).build()?;
/// let accounts = notifier.account_reader();
/// notifier.emit(&Event::ImageUpload(Payload::Warn("the store is slow".into())));
/// drop(notifier);
/// worker.run().await;
/// assert_eq!(accounts.read()[0].stats.delivered, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AccountReader(Arc<[DestinationReader]>);

/// The reader of one destination.
#[derive(Debug)]
struct DestinationReader {
    /// Counts the suppressed notifications, for as long as a notifier exists.
    core: Weak<NotifierCore>,
    queue: Arc<Queue>,
    name: Arc<str>,
    required: bool,
    strategy: &'static str,
    stage: Option<StageInfo>,
}

impl AccountReader {
    /// Returns the accounts at this moment, as [`Notifier::destinations`] does.
    pub fn read(&self) -> Vec<DestinationAccount> {
        self.0.iter().map(DestinationReader::read).collect()
    }

    /// Waits until the worker has ended, for all destinations. The accounts change no more then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn ended(&self) {
        for destination in &*self.0 {
            destination.queue.ended().await;
        }
    }
}

impl DestinationReader {
    /// Returns the account at this moment.
    fn read(&self) -> DestinationAccount {
        let core = self.core.upgrade();
        let counter = core.as_ref().map_or(&self.queue.suppressed_at_end, |core| &core.suppressed);
        let suppressed = counter.load(Ordering::Relaxed);
        DestinationAccount {
            name: self.name.to_string(),
            required: self.required,
            strategy: self.strategy,
            stats: self.queue.stats(suppressed),
            forwarded: self.stage.as_ref().map(|stage| (stage.name, (stage.account)())),
        }
    }
}

impl Notifier {
    /// Returns the accounts of all destinations, in the order in which the builder got them.
    ///
    /// Each account is of one moment and balances; the method reads one after the other.
    ///
    /// # Examples
    ///
    /// ```
    /// # use notify_conformance::script::Script;
    /// # use notify_core::Notifier;
    /// # let (file, broker) = (Script::default().transport(), Script::default().transport());
    /// let (notifier, _worker) = Notifier::builder(file)
    ///     .named("audit")
    ///     .destination(Notifier::builder(broker).named("broker").optional())
    ///     .build()?;
    /// for account in notifier.destinations() {
    ///     println!("{}: {} delivered", account.name, account.stats.delivered);
    /// }
    /// # assert!(notifier.destinations()[0].required && !notifier.destinations()[1].required);
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    pub fn destinations(&self) -> Vec<DestinationAccount> {
        self.account_reader().read()
    }

    /// Returns a reader of the accounts, which does not keep the notifier open.
    pub fn account_reader(&self) -> AccountReader {
        let reader = |one: &Self| DestinationReader {
            core: Arc::downgrade(&one.0),
            queue: Arc::clone(&one.0.queue),
            name: Arc::clone(&one.0.label.name),
            required: one.0.label.required,
            strategy: one.0.strategy,
            stage: one.0.stage.clone(),
        };
        AccountReader(std::iter::once(self).chain(&self.0.others).map(reader).collect())
    }
}
