//! The slots of a spool's directory, opened one after the other.
//!
//! A slot that cannot be opened must not hide the others: the iteration reports it,
//! continues, and remembers that the exit status is no longer a success. Only an error of
//! the directory itself ends a command.
//!
//! While a command holds a slot open, it owns the slot like any other process. It opens
//! one slot at a time, so that services can start meanwhile.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use glance_notify::transport::spool::admin::{self, OpenSlot};

use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::display_path;
use crate::terminal::print_error;

/// An iteration over the slots that can be opened.
pub(super) struct SlotWalk<'a> {
    dir: &'a Path,
    numbers: std::vec::IntoIter<u32>,
    /// The errors so far. Callers add errors of single messages.
    pub(super) errors: ErrorLog,
}

impl<'a> SlotWalk<'a> {
    /// Starts with the first slot of `dir`, or visits only the slot number `only`.
    ///
    /// # Errors
    ///
    /// Returns an error if the directory cannot be read.
    pub(super) fn new(dir: &'a Path, only: Option<u32>) -> Result<Self, CommandError> {
        let numbers = match only {
            Some(number) => vec![number],
            None => admin::slot_numbers(dir)?,
        };
        Ok(Self { dir, numbers: numbers.into_iter(), errors: ErrorLog::default() })
    }

    /// Opens and returns the next slot, and reports each one that it has to skip.
    ///
    /// This process owns the slot until the caller drops it.
    pub(super) fn next(&mut self) -> Option<OpenSlot> {
        loop {
            let opened = OpenSlot::open(self.dir, self.numbers.next()?);
            if let Some(slot) = self.errors.ok(opened) {
                return Some(slot);
            }
        }
    }
}

/// The errors that a command reported while it continued with its work.
///
/// Holds the most serious exit status of them, if there was any error.
#[derive(Debug, Default)]
pub(super) struct ErrorLog(Option<ExitStatus>);

impl ErrorLog {
    /// Returns the value of `result`, or prints its error and returns `None`.
    pub(super) fn ok<T>(&mut self, result: Result<T, impl Into<CommandError>>) -> Option<T> {
        match result.map_err(Into::into) {
            Ok(value) => Some(value),
            Err(CommandError { status, message }) => {
                print_error(format_args!("{message}"));
                if self.0 != Some(ExitStatus::PermanentError) {
                    self.0 = Some(status);
                }
                None
            }
        }
    }

    /// Returns whether no error occurred.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the exit status of a command that has done everything else.
    pub(super) fn status(&self) -> ExitStatus {
        self.0.unwrap_or(ExitStatus::Success)
    }
}

/// Checks that the directory of a spool can be read.
///
/// # Errors
///
/// Returns an error that names the directory if it cannot, or if the disk does not answer.
pub(super) fn check_readable(dir: &Path) -> Result<(), CommandError> {
    ask_disk(dir, |dir| std::fs::read_dir(dir).map(drop))?.map_err(|error| {
        CommandError::file(&format!("cannot read the spool `{}`", display_path(dir)), &error)
    })
}

/// Runs `question`, which looks at the spool `dir`, on a thread of its own: the disk may hang.
///
/// # Errors
///
/// Returns an error if the disk does not answer within [`DISK_TIMEOUT`].
pub(super) fn ask_disk<T: Send + 'static>(
    dir: &Path,
    question: impl FnOnce(&Path) -> T + Send + 'static,
) -> Result<T, CommandError> {
    ask_disk_for(DISK_TIMEOUT, dir, question)
}

/// As [`ask_disk`], with another time.
fn ask_disk_for<T: Send + 'static>(
    timeout: Duration,
    dir: &Path,
    question: impl FnOnce(&Path) -> T + Send + 'static,
) -> Result<T, CommandError> {
    let (answer, receiver) = mpsc::channel();
    let path = dir.to_owned();
    let asked = thread::Builder::new().name("spool-look".to_owned()).spawn(move || {
        // Without a receiver, the command has given up.
        answer.send(question(&path)).ok();
    });
    let error = |problem: &str| {
        let message = format!("the spool `{}` {problem}", display_path(dir));
        CommandError::new(ExitStatus::NotDelivered, message)
    };
    asked.map_err(|cause| error(&format!("cannot be read: cannot start a thread: {cause}")))?;
    receiver.recv_timeout(timeout).map_err(|_| error("does not answer: check the disk"))
}

/// The longest wait for a disk, as in a service.
const DISK_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    /// A command goes on when the disk does not answer.
    #[test]
    fn a_disk_that_hangs_does_not_hold_the_command() {
        let dir = Path::new("/var/spool/glance-notify");
        let (end, hangs) = mpsc::channel::<()>();
        let question = move |_: &Path| hangs.recv().is_err();
        let error = ask_disk_for(Duration::from_millis(1), dir, question).unwrap_err();
        assert_eq!(error.status, ExitStatus::NotDelivered);
        assert!(error.message.contains("does not answer"), "{}", error.message);
        drop(end);
        assert!(ask_disk(dir, Path::is_absolute).unwrap());
    }
}
