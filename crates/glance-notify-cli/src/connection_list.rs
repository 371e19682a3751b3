//! The open connections of an HTTP server: [`ConnectionList`].
//!
//! It bounds their number. It must not read or write a byte of them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::sleep;

/// The open connections of a server, with a bound on their number. Dropping the list closes them.
///
/// Clients that connect and send nothing keep no other client out: the connection that has waited longest for its
/// client makes room for the new one.
///
/// # Examples
///
/// ```no_run
/// use glance_notify_cli::connection_list::ConnectionList;
///
/// # async fn example() -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let serve = |stream, _activity| async move { drop(stream) };
/// ConnectionList::new(16).accept(&listener, serve).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ConnectionList {
    most: usize,
    connections: Vec<(AbortHandle, Arc<ConnectionActivity>)>,
}

/// The party that a connection waits for: its client, since some time, or a query.
#[derive(Debug)]
pub struct ConnectionActivity(Mutex<Option<Instant>>);

impl ConnectionList {
    /// Creates an empty list for this number of connections.
    pub fn new(most: usize) -> Self {
        Self { most, connections: Vec::new() }
    }

    /// Accepts connections for as long as the future lives, and serves each of them in a task of its own.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, its connections end with it.
    pub async fn accept<F>(
        mut self,
        listener: &TcpListener,
        serve: impl Fn(TcpStream, Arc<ConnectionActivity>) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // The process has no file descriptor left. Connections that end give theirs back.
                sleep(Duration::from_secs(1)).await;
                continue;
            };
            if !self.make_room() {
                continue;
            }
            let activity = Arc::new(ConnectionActivity::default());
            let task = tokio::spawn(serve(stream, Arc::clone(&activity)));
            self.connections.push((task.abort_handle(), activity));
        }
    }

    /// Makes room for one more connection. Returns `false` if all of them have a query that runs.
    fn make_room(&mut self) -> bool {
        if self.connections.len() < self.most {
            return true;
        }
        self.connections.retain(|(task, _)| !task.is_finished());
        if self.connections.len() < self.most {
            return true;
        }
        let waits = |(index, (_, activity)): (usize, &(_, Arc<ConnectionActivity>))| {
            activity.waits_since().map(|since| (since, index))
        };
        let Some((_, index)) = self.connections.iter().enumerate().filter_map(waits).min() else {
            return false;
        };
        self.connections.swap_remove(index).0.abort();
        true
    }
}

impl Drop for ConnectionList {
    fn drop(&mut self) {
        self.connections.iter().for_each(|(task, _)| task.abort());
    }
}

impl ConnectionActivity {
    /// Returns the time since which the connection waits for its client, or `None` while a query runs.
    pub fn waits_since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the time since which the connection waits for its client, or `None` while a query runs.
    pub fn set(&self, waits_since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = waits_since;
    }
}

impl Default for ConnectionActivity {
    fn default() -> Self {
        Self(Mutex::new(Some(Instant::now())))
    }
}
