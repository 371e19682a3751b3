//! The async runtime of a command, and the limits of the process that could harm it.
//!
//! A limit of the operating system (`ulimit`, systemd's `Limit…`) must end in words and in an exit code of
//! the table: no panic, no signal death.
//!
//! | limit | without this module | with it |
//! |---|---|---|
//! | file size | SIGXFSZ kills the process | writes fail like on a full disk |
//! | open files | tokio panics | a message that names the limit |
//! | threads | tokio panics | a message that names the limit |
//! | memory | SIGABRT kills the process | Rust's message, and code 3 |

use std::any::Any;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::thread::Builder as Thread;

use signal_hook::consts::{SIGABRT, SIGXFSZ};
use signal_hook::flag;
use tokio::runtime::{Builder, Runtime};

use crate::exit_status::{CommandError, ExitStatus};
use crate::terminal::print_error;

/// Turns the signals of exhausted limits into errors and exit codes. `main` calls it first.
pub(crate) fn survive_limits() {
    // With any handler, a write beyond the limit fails with EFBIG. The flag itself has no reader.
    drop(flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))));
    // An allocation that fails prints "memory allocation of … bytes failed" and aborts.
    let always = Arc::new(AtomicBool::new(true));
    let code = i32::from(ExitStatus::NotDelivered.code());
    drop(flag::register_conditional_shutdown(SIGABRT, code, always));
}

/// Runs `command`, and turns a panic into an error of the command.
///
/// The panic itself has printed its message and its place on the terminal.
pub(crate) fn catch_panics<T>(
    command: impl FnOnce() -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    catch_unwind(AssertUnwindSafe(command)).unwrap_or_else(|_| {
        let message = "this is a bug in glance-notify: please report the lines above";
        Err(CommandError::new(ExitStatus::PermanentError, message))
    })
}

/// Makes a panic print one line with its message and its place, and a backtrace if `RUST_BACKTRACE` is
/// set.
pub(crate) fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("without a name").to_owned();
        let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
        let text = text_of(panic.payload());
        print_error(format_args!("panicked in thread {thread}{place}: {text}"));
        let backtrace = std::backtrace::Backtrace::capture();
        if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
            for line in backtrace.to_string().lines() {
                print_error(format_args!("{line}"));
            }
        }
    }));
}

/// Returns the message of a panic.
fn text_of(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is no text")
}

/// Starts a runtime with two worker threads, which suffice for one pipeline.
///
/// # Errors
///
/// Returns an error that names the limit if the process may not open enough files or start enough
/// threads.
pub(crate) fn start() -> Result<Runtime, CommandError> {
    build(Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all())
}

/// Starts a runtime that runs on the current thread only.
///
/// # Errors
///
/// As [`start`].
pub(crate) fn start_single_threaded() -> Result<Runtime, CommandError> {
    build(Builder::new_current_thread().enable_all())
}

/// Builds a runtime after a look at the limits, because tokio panics where they are too low.
fn build(builder: &mut Builder) -> Result<Runtime, CommandError> {
    probe_files().map_err(|error| start_error(&error, "open files (ulimit -n, LimitNOFILE)"))?;
    probe_threads().map_err(|error| {
        start_error(&error, "threads (ulimit -u, TasksMax) or of memory (ulimit -v, MemoryMax)")
    })?;
    builder.build().map_err(|error| start_error(&error, "open files (ulimit -n, LimitNOFILE)"))
}

/// Opens as many files as a runtime, a transport and a spool need at least, and closes them again.
fn probe_files() -> io::Result<()> {
    let files: Result<Vec<_>, _> = (0..FILES).map(|_| File::open("/dev/null")).collect();
    files.map(drop)
}

/// Starts as many threads as a runtime and a transport need at least, and ends them again.
fn probe_threads() -> io::Result<()> {
    let gate = Mutex::new(());
    std::thread::scope(|scope| {
        // The threads wait for this lock, so that all of them exist at once.
        let lock = gate.lock();
        let thread = |_| Thread::new().spawn_scoped(scope, || drop(gate.lock())).map(drop);
        let started = (0..THREADS).try_for_each(thread);
        drop(lock);
        started
    })
}

/// Returns the error of a process that lacks a resource.
fn start_error(error: &io::Error, limit: &str) -> CommandError {
    let reason = error.to_string();
    let reason = reason.split(" (os error").next().unwrap_or_default();
    CommandError::new(
        ExitStatus::PermanentError,
        format!("cannot start: {reason}: raise the limit of {limit}"),
    )
}

/// The number of worker threads.
const WORKER_THREADS: usize = 2;

/// The number of files beside the standard streams that a command needs at least.
const FILES: usize = 16;

/// The number of threads beside the main thread that a command needs at least.
const THREADS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    /// A stripped build still says what went wrong: the message of a panic is no debug information.
    #[test]
    fn a_panic_keeps_its_message() {
        assert_eq!(text_of(&"index out of bounds"), "index out of bounds");
        assert_eq!(text_of(&String::from("a formatted text")), "a formatted text");
        assert_eq!(text_of(&7), "a value that is no text");
    }

    /// A panic of a command becomes an error with a code of the table.
    #[test]
    fn a_panic_is_an_error_of_the_command() {
        let divisor = std::env::args().count() - std::env::args().count();
        let result = catch_panics(|| Ok(7 / divisor));
        assert_eq!(result.unwrap_err().status, ExitStatus::PermanentError);
    }
}
