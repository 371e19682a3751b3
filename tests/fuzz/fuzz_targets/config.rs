//! libFuzzer looks for bytes that make `notify_fuzz::config` panic.

#![cfg_attr(fuzzing, no_main)]

notify_fuzz::fuzz!(config);
