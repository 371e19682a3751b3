//! The SASL mechanisms of a login, and the option that lists them.
//!
//! This module logs in nowhere: each protocol has its own exchange.

use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, IntoDeserializer, SeqAccess, Visitor};

/// A SASL mechanism to log in with: a word of the option `sasl_mechanism`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub enum SaslMechanism {
    /// `PLAIN`: a user name and a password. The default if there is a user.
    #[serde(rename = "PLAIN")]
    Plain,
    /// `ANONYMOUS`: without a user.
    #[serde(rename = "ANONYMOUS")]
    Anonymous,
    /// `EXTERNAL`: the client's TLS certificate names the user. The default if there is a certificate
    /// and no user. RabbitMQ needs its plugin `rabbitmq_auth_mechanism_ssl`.
    #[serde(rename = "EXTERNAL")]
    External,
}

impl SaslMechanism {
    /// Returns the mechanism's name in the protocol.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(notify_net::SaslMechanism::Plain.name(), "PLAIN");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Anonymous => "ANONYMOUS",
            Self::External => "EXTERNAL",
        }
    }
}

/// The value of the option `sasl_mechanism`: one word, or a list of words, the best first.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct SaslMechanismList(pub Vec<SaslMechanism>);

impl<'de> Deserialize<'de> for SaslMechanismList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SaslMechanismVisitor)
    }
}

/// A visitor that reads a word as a list of one word.
struct SaslMechanismVisitor;

impl<'de> Visitor<'de> for SaslMechanismVisitor {
    type Value = SaslMechanismList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word or a list of words")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<SaslMechanismList, E> {
        let mechanism = SaslMechanism::deserialize(word.into_deserializer())?;
        Ok(SaslMechanismList(vec![mechanism]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, words: A) -> Result<SaslMechanismList, A::Error> {
        let words = SeqAccessDeserializer::new(words);
        Vec::deserialize(words).map(SaslMechanismList)
    }
}
