//! The library in a program: its configuration, its errors and a transport of the program's own.
//!
//! A number in a test's name is that of the defect of the first edition.

#![cfg(feature = "log")]

use glance_notify::codec::serde_json::json;
use glance_notify::config::Layers;
use glance_notify::event::EventType;
use glance_notify::transport::{Batch, Settlements, Transport, Verdict, async_trait};
use glance_notify::{Config, Error, ErrorKind, Event, Notifier, Payload, Result};

/// A program builds its configuration from values, without a text in TOML.
#[test]
fn a_configuration_can_be_written_in_code() {
    let values =
        json!({ "strategy": "log", "log": { "file": "n.log" }, "queue": { "max_age": 60 } });
    let table = values.as_object().unwrap().clone();
    let config = Layers::new().table("the program", table).unwrap().build().unwrap();
    assert_eq!(config.strategy(), "log");
    let entry = |key: &str| config.entries().into_iter().find(|entry| entry.key == key).unwrap();
    assert_eq!(entry("queue.max_age").origin, "the program");
    let wrong = json!({ "queue": { "max_aeg": 60 } }).as_object().unwrap().clone();
    let error = Layers::new().table("the program", wrong).and_then(Layers::build).unwrap_err();
    assert!(error.to_string().starts_with("`queue.max_aeg` (the program)"), "{error}");
}

/// D13: `main` prints an error with `Debug`. It shows the message with its causes, as an operator reads it.
#[test]
fn d13_an_error_of_main_is_a_sentence() {
    let config = "strategy = \"log\"\nlog.fiel = 1".parse().unwrap();
    let error: Error = glance_notify::start(&config).unwrap_err();
    let shown = format!("{error:?}");
    assert_eq!(shown, format!("{error:#}"));
    assert!(shown.starts_with("`log.fiel`") && !shown.contains("NotSent"), "{shown}");
}

/// D13: the facade alone is enough to write a transport, and to drive one in a test without a pipeline.
#[tokio::test]
async fn d13_the_facade_has_every_type_of_the_contract() {
    let event = Event::ImageUpload(Payload::Warn("slow".into()));
    let (notifier, worker) = Notifier::builder(AcceptingTransport).build().unwrap();
    let messages = [notifier.stamp(event).encode(notifier.encoding()).unwrap()];
    let mut settled = 0;
    let mut count = |settlements: Settlements<'_>| settled += settlements.count();
    AcceptingTransport.send(&mut Batch::new(&messages, &mut count)).await.unwrap();
    assert_eq!(settled, 1);
    drop(worker);
}

/// The warnings about a configuration are logged beside a transport of the program's own too.
#[test]
fn a_transport_of_ones_own_hides_no_warning() {
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

    struct Warnings(std::sync::mpsc::Sender<tracing::Level>);
    impl<S: tracing::Subscriber> Layer<S> for Warnings {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            self.0.send(*event.metadata().level()).unwrap();
        }
    }
    let variables = [("GLANCE_NOTIFY_QUEUE__OVERFLOW".into(), "drop_oldest".into())];
    let config = Layers::new().variables(variables).unwrap().build().unwrap();
    let (sender, levels) = std::sync::mpsc::channel();
    let subscriber = tracing_subscriber::registry().with(Warnings(sender));
    tracing::subscriber::with_default(subscriber, || {
        drop(config.builder_for(AcceptingTransport).unwrap());
    });
    assert_eq!(levels.try_iter().collect::<Vec<_>>(), [tracing::Level::WARN]);
}

/// A transport of the program's own gets the settings of the operator.
#[test]
fn a_transport_of_ones_own_takes_the_configuration() {
    let config: Config = "publisher_id = 'image.a'\ndisabled_notifications = ['task']\n\
                          queue.max_messages = 1"
        .parse()
        .unwrap();
    let (notifier, _worker) = config.builder_for(AcceptingTransport).unwrap().build().unwrap();
    assert!(notifier.enabled(&EventType::ImageUpload));
    assert!(!notifier.enabled(&EventType::TaskRun));
    let event = || Event::ImageUpload(Payload::Warn("slow".into()));
    assert_eq!(&*notifier.stamp(event()).publisher_id, "image.a");
    notifier.emit(&event());
    notifier.emit(&event());
    assert_eq!(notifier.stats().pending.messages, 1);

    let table = |name| format!("[[destination]]\nname = '{name}'\nstrategy = 'log'\n");
    let several: Config = [table("a"), table("b")].concat().parse().unwrap();
    assert_eq!(several.builder_for(AcceptingTransport).unwrap_err().kind(), ErrorKind::Config);
    let one = several.destinations()[1].config().builder_for(AcceptingTransport);
    assert!(one.unwrap().build().is_ok());
}

/// The only table `[[destination]]` holds the settings of a transport, whether it is the program's own or the
/// program opens it.
#[test]
fn the_only_destination_with_a_table_is_the_one_to_open() {
    let config: Config = "[[destination]]\nname = 'a'\nstrategy = 'log'\nlog.file = 'n.log'\n\
                          events = ['image.delete']\nqueue.max_messages = 1"
        .parse()
        .unwrap();
    let (notifier, _worker) = config.builder_for(AcceptingTransport).unwrap().build().unwrap();
    assert!(!notifier.enabled(&EventType::ImageUpload));
    let event = Event::ImageDelete(Payload::Warn("by hand".into()));
    notifier.emit(&event);
    notifier.emit(&event);
    assert_eq!(notifier.stats().pending.messages, 1);
    assert_eq!(notifier.destinations()[0].name, "a");
    assert_eq!(glance_notify::transport::open(&config).unwrap().name(), "log");
}

/// A transport of the program's own has the configured spool in front of it, also if it takes only events that
/// are not documented.
#[cfg(feature = "spool")]
#[test]
fn a_transport_of_ones_own_gets_the_configured_spool() {
    let stages = |config: &str, transport: Box<dyn Transport>| {
        let config: Config = config.parse().unwrap();
        config.builder_for(transport).unwrap().build().unwrap().0.stages().len()
    };
    let flat = "spool.dir = '/var/spool/n'";
    let table = format!("[[destination]]\nname = 'a'\nstrategy = 'log'\n{flat}");
    assert_eq!(stages(&table, Box::new(AcceptingTransport)), 2);
    assert_eq!(stages(flat, Box::new(UndocumentedTransport)), 2);
}

/// Accepts every message.
#[derive(Debug)]
struct AcceptingTransport;

#[async_trait]
impl Transport for AcceptingTransport {
    fn name(&self) -> &'static str {
        "accepting"
    }

    fn wants(&self, _: &EventType) -> bool {
        true
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        batch.settle_rest(&Verdict::Accept);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Accepts every message of an event that is not documented.
#[cfg(feature = "spool")]
#[derive(Debug)]
struct UndocumentedTransport;

#[cfg(feature = "spool")]
#[async_trait]
impl Transport for UndocumentedTransport {
    fn name(&self) -> &'static str {
        "undocumented"
    }

    fn wants(&self, event_type: &EventType) -> bool {
        matches!(event_type, EventType::Other(_))
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        AcceptingTransport.send(batch).await
    }

    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
