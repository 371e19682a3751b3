//! The libFuzzer program of the target `notify_fuzz::redaction`.

#![cfg_attr(fuzzing, no_main)]

notify_fuzz::fuzz!(redaction);
