//! libFuzzer looks for bytes that make `notify_fuzz::broker_url` panic.

#![cfg_attr(fuzzing, no_main)]

notify_fuzz::fuzz!(broker_url);
