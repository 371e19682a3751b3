//! Tests that no single crate can hold: documents, interoperability, clusters, shutdown.

/// The documents whose Rust snippets are compiled and run.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../docs/architecture.md")]
    mod architecture {}
    #[doc = include_str!("../../../docs/configuration.md")]
    mod configuration {}
    #[doc = include_str!("../../../docs/schema.md")]
    mod schema {}
    #[doc = include_str!("../../../docs/operators.md")]
    mod operators {}
    #[doc = include_str!("../../../docs/decisions.md")]
    mod decisions {}
    #[doc = include_str!("../../../docs/listening.md")]
    mod listening {}
    #[doc = include_str!("../../../docs/rabbitmq.md")]
    mod rabbitmq {}
    #[doc = include_str!("../../../docs/upgrading.md")]
    mod upgrading {}
}
