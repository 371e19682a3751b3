//! The libFuzzer program of the target `notify_fuzz::glance_conf`.

#![cfg_attr(fuzzing, no_main)]

notify_fuzz::fuzz!(glance_conf);
