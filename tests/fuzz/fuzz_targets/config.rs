//! The libFuzzer program of the target `notify_fuzz::config`.

#![cfg_attr(fuzzing, no_main)]

notify_fuzz::fuzz!(config);
