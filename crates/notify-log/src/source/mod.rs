//! The source of log files: it follows a file through every rotation, and stdin to its end.
//!
//! # Forms of lines
//!
//! Lines of JSON, as the strategy `log` writes them, and lines of oslo.log, of which it skips those that
//! hold no notification. Files that are compressed with gzip are read to their end.
//!
//! # Rotation
//!
//! A file is known by the hash of its first line, which holds a `message_id` or a time, beside its
//! device and inode. Names and inodes alone are not enough: `logrotate` gives a file another name, and a
//! file system gives the inode of a deleted file to the next one.
//!
//! * **Rename** (`create`, `nocreate`): the source reads the renamed file to its end, and watches it for
//!   another minute for lines of programs that still have it open.
//! * **Compression**: the source keeps the file open. It reads a compressed file that it has never seen.
//! * **`copytruncate`**: the source continues in the copy, and reads the file from its start. `logrotate`
//!   itself loses the lines between its copy and its truncation.
//! * **Recreation** with the same inode: the first line differs, so the source starts again.
//!
//! # Checkpoint
//!
//! With [`FileSourceConfig::checkpoint`], the source keeps how far each file is acknowledged. After a
//! restart it finds those files among the rotated ones and continues; it also reads files that came and
//! went meanwhile, if they are still there. A position is always that of a line end, or of the end of a
//! file whose last line is a notification without one. A lock on a file beside the checkpoint keeps other
//! sources from reading with it.
//!
//! # Last line without a line end
//!
//! A source that follows waits for the line end. A source that does not follow takes these bytes for a line:
//! a notification, or an unreadable line. An unreadable one may be half written, so the position stays before
//! it, and the next run reads it again. A file whose only line has no end has no position.

mod checkpoint;
mod file_head;
mod file_source;
mod line_form;
mod line_source;
mod siblings;
mod source_config;
mod tail;
mod tail_thread;
mod tracked_file;

pub use file_source::FileSource;
pub use line_source::{ContextLine, LineSource};
pub use source_config::{FileSourceConfig, LineForm};
