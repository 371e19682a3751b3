//! Filtering a large file for the events of one image: the command `glance-notify`, and `grep` with `jq`.

use std::process::{Command, Stdio};

use super::archive::lines_file;
use crate::cloud_month;
use crate::task::{BenchTask, Clock, Measurement};

/// Filters with `glance-notify listen`, which lies beside the benchmarks.
pub(crate) fn listen(task: &BenchTask) -> Measurement {
    let program = std::env::current_exe().expect("Linux has it").with_file_name("glance-notify");
    let mut command = Command::new(program);
    command.args([
        "listen",
        "--quiet",
        "--exit-at-end",
        "-o",
        "json",
        "--image",
        &cloud_month::image_id(IMAGE),
    ]);
    filter(task, command.arg("--from").arg(lines_file(task)))
}

/// Filters with `grep`, and reads the lines that it finds with `jq`.
pub(crate) fn grep_and_jq(task: &BenchTask) -> Measurement {
    let mut command = Command::new("sh");
    command.args(["-c", "grep -F \"$1\" \"$2\" | jq -c .", "sh", &cloud_month::image_id(IMAGE)]);
    filter(task, command.arg(lines_file(task)))
}

/// Runs a command that prints the events of the image.
fn filter(task: &BenchTask, command: &mut Command) -> Measurement {
    let clock = Clock::start();
    let output = command.stderr(Stdio::inherit()).output().expect("the program is installed");
    let measurement = clock.stop(task.messages);
    assert!(output.status.success(), "the program fails: {}", output.status);
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    assert_eq!(
        lines.count(),
        cloud_month::EVENTS_OF_AN_IMAGE,
        "the program prints the life of the image"
    );
    measurement
}

/// The image whose events are wanted.
const IMAGE: usize = 77;
