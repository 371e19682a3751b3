//! The libFuzzer program of the target `notify_fuzz::amqp091_guard`.

#![cfg_attr(fuzzing, no_main)]

notify_fuzz::fuzz!(amqp091_guard);
