//! Everything around a producer: a real broker, a relay before it, a place to run in, and a directory
//! that is kept when something is wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use glance_notify::uuid::Uuid;
use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use notify_testbed::proxy::Proxy;
use serde_json::json;

use crate::ledger::Books;
use crate::place::Place;
use crate::plan::{Setup, Spool, Strategy};
use crate::process::Files;

/// What all legs of a run share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) broker: RabbitMq,
    pub(crate) relay: Proxy,
    pub(crate) place: Place,
    /// Messages in a producer's queue at most.
    pub(crate) queue: u64,
    directory: PathBuf,
}

impl World {
    /// Starts the broker. What is written is in `directory`.
    pub(crate) fn new(place: Place, queue: u64, directory: &Path) -> Self {
        let broker = RabbitMq::builder().plugin("rabbitmq_amqp1_0").start();
        let relay = Proxy::start_at(place.address(), broker.port());
        Self { broker, relay, place, queue, directory: directory.to_owned() }
    }

    /// What one leg has for itself.
    pub(crate) fn stage(&self, setup: Setup, name: &str) -> Stage<'_> {
        let directory = self.directory.join(name);
        fs::create_dir(&directory).expect("a directory");
        let files = Files {
            configuration: directory.join("notify.toml"),
            ledger: directory.join("ledger"),
            log: directory.join("producer.log"),
        };
        let disk = directory.join("disk");
        fs::create_dir(&disk).expect("a directory");
        if setup.spool == Spool::OnSmallDisk {
            self.place.mount_small_disk(&disk);
        }
        let vhost = self.broker.vhost();
        for queue in QUEUES {
            vhost.declare_queue(queue, &json!({ "durable": true }));
        }
        let books = Mutex::new(Books::open(&files.ledger).expect("a ledger"));
        let stage = Stage { world: self, setup, vhost, files, disk, books };
        fs::write(&stage.files.configuration, stage.configuration()).expect("a configuration");
        stage
    }

    /// Keeps the end of the broker's log.
    pub(crate) fn keep_log(&self) {
        // Nothing more can be done about it.
        let _ = fs::write(self.directory.join("broker.log"), self.broker.log());
    }
}

/// What one leg has for itself.
#[derive(Debug)]
pub(crate) struct Stage<'w> {
    pub(crate) world: &'w World,
    pub(crate) setup: Setup,
    pub(crate) vhost: Vhost<'w>,
    pub(crate) files: Files,
    /// Where the spool is, if there is one.
    pub(crate) disk: PathBuf,
    books: Mutex<Books>,
}

impl Stage<'_> {
    pub(crate) fn books<T>(&self, look: impl FnOnce(&mut Books) -> T) -> T {
        look(&mut self.books.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the producer has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.files.log).unwrap_or_default()
    }

    /// Takes everything out of the queues that there are, and enters it in the books.
    pub(crate) fn drain(&self) {
        let queues = self.vhost.queues();
        for queue in queues.iter().filter(|queue| queue.messages > 0) {
            self.drain_queue(&queue.name);
        }
    }

    pub(crate) fn drain_queue(&self, queue: &str) {
        self.vhost.drain_each(queue, true, |message| {
            let id = Uuid::parse_str(message.message_id()).unwrap_or_default();
            self.books(|books| books.deliver(id, &message.body));
        });
    }

    fn configuration(&self) -> String {
        let (host, port) = (self.world.place.host(), self.world.relay.port());
        let (strategy, path) = match self.setup.strategy {
            Strategy::Rabbit => ("rabbit", self.vhost.name().to_owned()),
            Strategy::Qpid => ("qpid", format!("vhost:{}", self.vhost.name())),
        };
        let spool = match self.setup.spool {
            Spool::None => String::new(),
            Spool::OnDisk | Spool::OnSmallDisk => {
                format!("spool.dir = '{}'\n", self.disk.join("spool").display())
            }
        };
        format!(
            "strategy = '{strategy}'\n\
             {strategy}.url = 'amqp://guest:guest@{host}:{port}/{path}'\n\
             {strategy}.heartbeat = 5\n\
             queue.max_messages = {}\n\
             {spool}",
            self.world.queue
        )
    }
}

/// Where the notifications of both strategies end.
pub(crate) const QUEUES: [&str; 3] =
    ["notifications.info", "notifications.warn", "notifications.error"];
