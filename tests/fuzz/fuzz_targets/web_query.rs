//! The libFuzzer program of the target `notify_fuzz::web_query`.

#![cfg_attr(fuzzing, no_main)]

notify_fuzz::fuzz!(web_query);
