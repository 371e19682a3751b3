//! The libFuzzer program of the target `notify_fuzz::notification`.

#![cfg_attr(fuzzing, no_main)]

notify_fuzz::fuzz!(notification);
