//! libFuzzer looks for bytes that make `notify_fuzz::glance_conf` panic.

#![cfg_attr(fuzzing, no_main)]

notify_fuzz::fuzz!(glance_conf);
