//! libFuzzer looks for bytes that make `notify_fuzz::redaction` panic.

#![cfg_attr(fuzzing, no_main)]

notify_fuzz::fuzz!(redaction);
