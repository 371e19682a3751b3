//! The libFuzzer program of the target `notify_fuzz::broker_url`.

#![cfg_attr(fuzzing, no_main)]

notify_fuzz::fuzz!(broker_url);
