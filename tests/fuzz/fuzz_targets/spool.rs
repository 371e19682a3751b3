//! The libFuzzer program of the target `notify_fuzz::spool`.

#![cfg_attr(fuzzing, no_main)]

notify_fuzz::fuzz!(spool);
