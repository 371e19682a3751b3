//! Secrets that no formatting shows, and the two sources of a password.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;

use notify_core::redact::printable_path;
use notify_core::{Error, ErrorKind, Result};
use serde::de::{Deserialize, Deserializer};

use crate::blocking::{READS, run_blocking};

/// A text that programs must not show.
///
/// The type implements neither `Display` nor `Serialize`, and its `Debug` writes only `***`.
///
/// # Examples
///
/// ```
/// use notify_net::Secret;
///
/// let secret = Secret::new("hunter2");
/// assert_eq!(format!("{secret:?}"), "***");
/// assert_eq!(secret.expose(), "hunter2");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// The source of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// A password in the configuration: `password`, or a part of `url`.
    Inline(Secret),
    /// The path of a file that holds the password: `password_file`.
    ///
    /// The transport reads the file at every connect, so you can change the password while the
    /// program runs.
    File(PathBuf),
}

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text, for the code that sends it to the broker.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Writes `***`.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl Password {
    /// Returns the current password.
    ///
    /// One line end at the end of a file is not part of the password. All other white space is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Access`] when the file is unreadable, empty, larger than 64 KiB, not UTF-8 or not a
    /// regular file. The error names the file and never shows its content.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_net::{Password, Secret};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> notify_core::Result<()> {
    /// let inline = Password::Inline(Secret::new("hunter2"));
    /// assert_eq!(inline.read().await?.expose(), "hunter2");
    ///
    /// let missing = Password::File("/nonexistent/password".into());
    /// let error = missing.read().await.unwrap_err();
    /// assert!(error.to_string().starts_with("cannot read `password_file` /nonexistent/password"));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read(&self) -> Result<Secret> {
        let path = match self {
            Self::Inline(secret) => return Ok(secret.clone()),
            Self::File(path) => path.clone(),
        };
        run_blocking(&READS, move || {
            let unreadable = |reason| {
                Error::new(
                    ErrorKind::Access,
                    format!("cannot read `password_file` {}: {reason}", printable_path(&path, 256)),
                )
            };
            let metadata = fs::metadata(&path).map_err(|error| unreadable(error.to_string()))?;
            // To open a FIFO is to wait for its writer. The read reports a directory.
            if !metadata.is_file() && !metadata.is_dir() {
                return Err(unreadable("it is not a regular file".to_owned()));
            }
            let mut bytes = Vec::new();
            File::open(&path)
                .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
                .map_err(|error| unreadable(error.to_string()))?;
            if bytes.len() as u64 > MAX_BYTES {
                return Err(unreadable("it is larger than 64 KiB".to_owned()));
            }
            let text =
                String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8".to_owned()))?;
            let password = text.strip_suffix('\n').unwrap_or(&text);
            let password = password.strip_suffix('\r').unwrap_or(password);
            if password.is_empty() {
                return Err(unreadable("it is empty".to_owned()));
            }
            Ok(Secret::new(password))
        })
        .await?
    }
}

/// The largest password file, in bytes: a bound on memory if the path names something else.
const MAX_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// `Debug` of a secret, alone or inside another type, shows no part of it.
    #[test]
    fn debug_shows_no_secret() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {:?}", Password::Inline(secret.clone())), "*** Inline(***)");
    }

    /// A FIFO without a writer would keep the connect waiting without end.
    #[tokio::test]
    async fn only_a_regular_file_holds_a_password() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        for path in ["/dev/zero".into(), fifo] {
            let error = Password::File(path).read().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Access);
            assert!(error.to_string().ends_with("it is not a regular file"), "{error}");
        }
    }

    /// A changed file takes effect at the next read, and errors do not show its content.
    #[tokio::test]
    async fn every_read_opens_the_password_file_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        let password = Password::File(path.clone());
        for (content, expected) in [("old\n", "old"), ("new", "new"), (" a b \r\n", " a b ")] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(password.read().await.unwrap().expose(), expected);
        }
        for (content, reason) in [(&b"\n"[..], "it is empty"), (b"hunter2\xff", "it is not UTF-8")]
        {
            std::fs::write(&path, content).unwrap();
            let error = password.read().await.unwrap_err();
            assert!(error.to_string().ends_with(reason), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        let largest = "é".repeat(32 * 1024);
        std::fs::write(&path, &largest).unwrap();
        assert_eq!(password.read().await.unwrap().expose(), largest);
        std::fs::write(&path, format!("x{largest}")).unwrap();
        let error = password.read().await.unwrap_err();
        assert!(error.to_string().ends_with("it is larger than 64 KiB"), "{error}");
        std::fs::remove_file(&path).unwrap();
        let error = password.read().await.unwrap_err();
        assert!(error.to_string().contains("No such file"), "{error}");
    }
}
