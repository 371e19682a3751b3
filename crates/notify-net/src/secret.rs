//! Secrets that cannot be printed, and where a password comes from.

use std::fmt;
use std::path::PathBuf;

use notify_core::{Error, ErrorKind, Result};
use serde::de::{Deserialize, Deserializer};

/// A text that is never shown: no `Display`, no `Serialize`, and a `Debug` that says nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Where a password comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// It stands in the configuration.
    Inline(Secret),
    /// It stands in a file, which is read again at every connect, so that it can be changed while the
    /// program runs.
    File(PathBuf),
}

impl Secret {
    /// Keeps `text` from being shown.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one who has to send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

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
    /// The password as it is now. The line end that closes a file is no part of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Access`] when the file cannot be read or holds nothing. It names the file, never
    /// what is in it.
    pub async fn read(&self) -> Result<Secret> {
        let path = match self {
            Self::Inline(secret) => return Ok(secret.clone()),
            Self::File(path) => path.clone(),
        };
        crate::blocking::run_blocking(move || {
            let failed = |what| {
                Error::new(
                    ErrorKind::Access,
                    format!("cannot read `password_file` {}: {what}", path.display()),
                )
            };
            let text = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
                std::io::ErrorKind::InvalidData => failed("it is not UTF-8".to_owned()),
                _ => failed(error.to_string()),
            })?;
            let password = text.strip_suffix('\n').unwrap_or(&text);
            let password = password.strip_suffix('\r').unwrap_or(password);
            if password.is_empty() {
                return Err(failed("it is empty".to_owned()));
            }
            Ok(Secret::new(password))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {:?}", Password::Inline(secret.clone())), "*** Inline(***)");
    }

    #[tokio::test]
    async fn a_password_file_is_read_again_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        let password = Password::File(path.clone());
        for (content, expected) in [("old\n", "old"), ("new", "new"), (" a b \r\n", " a b ")] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(password.read().await.unwrap().expose(), expected);
        }
        for (content, said) in [(&b"\n"[..], "it is empty"), (b"hunter2\xff", "it is not UTF-8")] {
            std::fs::write(&path, content).unwrap();
            let error = password.read().await.unwrap_err();
            assert!(error.to_string().ends_with(said), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        std::fs::remove_file(&path).unwrap();
        let error = password.read().await.unwrap_err();
        assert!(error.to_string().contains("No such file"), "{error}");
    }
}
