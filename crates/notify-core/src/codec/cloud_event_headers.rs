//! CloudEvents in binary mode, received from a broker: their attributes are headers.
//!
//! The bindings have different prefixes, and a broker that converts a message from one protocol to another
//! keeps the names. So reading accepts all of them.

use std::borrow::Cow;

use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::cloud_event::{SPEC_VERSION, TIME, structured, time_text};
use super::headers::HeaderValue;
use crate::source::{IncomingBody, IncomingDelivery};

impl IncomingDelivery {
    /// Turns the body of a CloudEvent in binary mode into one in structured mode, which holds the attributes
    /// too.
    ///
    /// Other messages stay as they are: those without a header `specversion` behind one of the prefixes
    /// `ce-`, `cloudEvents_` and `cloudEvents:`, and those whose `content_type` says that the body is a
    /// CloudEvent already. A number as `time` is in milliseconds since 1970, as AMQP 1.0 defines a timestamp.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::source::{IncomingBody, IncomingDelivery, Position};
    ///
    /// let body = IncomingBody::Bytes("{}".into());
    /// let mut delivery = IncomingDelivery::new(7, body, Position::new("notifications.info", 7));
    /// let headers = [("ce-specversion", "1.0".into()), ("ce-type", "org.openstack.image.update".into())];
    /// delivery.read_cloud_event(Some("application/json"), headers);
    /// let IncomingBody::Bytes(body) = delivery.body else { panic!() };
    /// assert_eq!(body, r#"{"specversion":"1.0","type":"org.openstack.image.update","data":{}}"#);
    /// ```
    pub fn read_cloud_event<'a>(
        &mut self,
        content_type: Option<&str>,
        headers: impl IntoIterator<Item = (&'a str, HeaderValue<'a>)>,
    ) {
        let is_structured = content_type
            .and_then(|media_type| media_type.get(..STRUCTURED.len()))
            .is_some_and(|start| start.eq_ignore_ascii_case(STRUCTURED));
        let IncomingBody::Bytes(bytes) = &self.body else { return };
        if is_structured {
            return;
        }
        let attributes = headers.into_iter().filter_map(|(name, value)| {
            let name = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))?;
            Some((name, value_text(name, value)?))
        });
        let attributes: Vec<_> = attributes.collect();
        if !attributes.iter().any(|(name, _)| *name == SPEC_VERSION) {
            return;
        }
        self.body = match serde_json::from_slice::<&RawValue>(bytes) {
            Ok(data) => {
                let json = structured(attributes.into_iter(), data.get(), bytes.len());
                IncomingBody::Bytes(json.into())
            }
            Err(_) => IncomingBody::Unusable(bytes.clone(), NOT_JSON.into()),
        };
    }
}

/// Returns the text of an attribute.
fn value_text<'a>(name: &str, value: HeaderValue<'a>) -> Option<Cow<'a, str>> {
    Some(match value {
        HeaderValue::Text(text) => text,
        HeaderValue::Number(milliseconds) if name == TIME => {
            let nanoseconds = i128::from(milliseconds) * 1_000_000;
            time_text(OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()?)?.into()
        }
        HeaderValue::Number(number) => number.to_string().into(),
    })
}

/// The prefixes of the bindings for RabbitMQ and for AMQP 1.0.
const PREFIXES: [&str; 3] = ["ce-", "cloudEvents_", "cloudEvents:"];
/// The begin of the media types of CloudEvents in structured mode.
const STRUCTURED: &str = "application/cloudevents";
/// The reason why a CloudEvent has no payload.
const NOT_JSON: &str = "the body of the CloudEvent in binary mode is not JSON";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Position;

    /// Returns the body after reading a message with these headers.
    fn body(
        data: &'static str,
        content_type: Option<&str>,
        headers: &[(&'static str, HeaderValue<'static>)],
    ) -> Result<String, String> {
        let body = IncomingBody::Bytes(data.into());
        let mut delivery = IncomingDelivery::new(1, body, Position::new("q", 1));
        delivery.read_cloud_event(content_type, headers.iter().cloned());
        match delivery.body {
            IncomingBody::Bytes(bytes) => Ok(String::from_utf8(bytes.to_vec()).unwrap()),
            IncomingBody::Unusable(bytes, reason) if bytes == data => Err(reason),
            other => panic!("{other:?}"),
        }
    }

    /// Each prefix counts, numbers become texts, and hostile names and values stay texts.
    #[test]
    fn puts_the_attributes_into_the_body() {
        for prefix in ["ce-", "cloudEvents_", "cloudEvents:"] {
            let name = |name: &str| -> &'static str { format!("{prefix}{name}").leak() };
            let headers = [
                (name("specversion"), "1.0".into()),
                (name("time"), HeaderValue::Number(1_700_000_000_123)),
                (name("n\"\n"), HeaderValue::Number(-5)),
                (name("x"), "\"}\u{202e}".into()),
                ("glance-notify-user", "bob".into()),
            ];
            assert_eq!(
                body(" [1] ", None, &headers).unwrap(),
                r#"{"specversion":"1.0","time":"2023-11-14T22:13:20.123000Z","n\"\n":"-5","x":"\"}\u202e","data":[1]}"#
            );
        }
    }

    /// A body that ends its value early cannot add attributes.
    #[test]
    fn refuses_data_that_is_not_json() {
        let headers = [("ce-specversion", "1.0".into())];
        for data in ["", "<xml/>", r#"1,"priority":"ERROR""#, "{} {}"] {
            assert_eq!(body(data, Some("application/json"), &headers), Err(NOT_JSON.to_owned()));
        }
    }

    /// Messages that are no CloudEvents, and those in structured mode, stay as they are.
    #[test]
    fn leaves_other_messages_as_they_are() {
        let version = ("ce-specversion", "1.0".into());
        for (content_type, headers) in [
            (Some("application/json"), vec![]),
            (None, vec![("ce-id", "1".into()), ("specversion", "1.0".into())]),
            (Some("Application/CloudEvents+json; charset=utf-8"), vec![version]),
        ] {
            assert_eq!(body("{ }", content_type, &headers).unwrap(), "{ }");
        }
    }
}
