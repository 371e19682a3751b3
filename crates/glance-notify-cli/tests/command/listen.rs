//! `listen` on files and standard input: its output, its commands, its forwarding, and its end.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{CommandOutput, Sandbox, ids, send_signal, values, wait_until};

/// A day of a small cloud.
const DAY: &str = include_str!("../../../../docs/samples/cloud-day.jsonl");

/// A notification whose payload has a value that only `redact = 'strict'` masks, as one line.
const TASK: &str = "{\"message_id\":\"00000000-0000-4000-8000-000000000000\",\"publisher_id\":\"h\",\
                    \"event_type\":\"task.run\",\"priority\":\"INFO\",\
                    \"payload\":{\"task_input\":{\"import_from\":\"elsewhere\"}},\
                    \"timestamp\":\"2026-11-24 12:00:00.000000\"}\n";

/// Returns eleven notifications of images with ids of their own, one of which is `image.delete`.
fn few() -> String {
    let is = |value: &Value, event: &str| value["event_type"].as_str().unwrap().starts_with(event);
    let (deleted, others): (Vec<_>, Vec<_>) = values(DAY)
        .into_iter()
        .filter(|value| is(value, "image."))
        .partition(|value| is(value, "image.delete"));
    let few = others.into_iter().take(10).chain(deleted).take(11);
    let renamed = few.enumerate().map(|(number, mut value)| {
        value["message_id"] = format!("00000000-0000-4000-8000-{number:012}").into();
        format!("{value}\n")
    });
    renamed.collect()
}

/// Returns small notifications whose ids end in these numbers, one a line.
fn numbered(numbers: std::ops::Range<u32>) -> String {
    let lines = numbers.map(|number| {
        format!(
            "{{\"message_id\":\"00000000-0000-4000-8000-{number:012}\",\"publisher_id\":\"h\",\
             \"event_type\":\"image.create\",\"priority\":\"INFO\",\
             \"payload\":{{\"id\":\"c80a1a6c-bd1f-41c5-90ee-81afedb1d58d\"}},\
             \"timestamp\":\"2026-11-24 12:00:00.000000\"}}\n"
        )
    });
    lines.collect()
}

/// Returns the notifications of images among lines. They hold no secret, so that redaction changes nothing.
fn of_images(lines: &str) -> Vec<Value> {
    let is_image = |value: &Value| value["event_type"].as_str().unwrap().starts_with("image.");
    values(lines).into_iter().filter(is_image).collect()
}

/// A directory with a file of notifications.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("day.jsonl", DAY);
    sandbox
}

/// An option of another kind of output is refused instead of ignored.
#[test]
fn options_without_effect_are_refused() {
    let sandbox = sandbox();
    sandbox.file("to.toml", "strategy = 'noop'\n");
    let to = ["--to", "to.toml"];
    for (kind, option) in [
        (&to, ["--exec-batch", "2"]),
        (&to, ["--jobs", "2"]),
        (&to, ["--exec-timeout", "2"]),
        (&to, ["--output", "json"]),
        (&["--exec", "cat"], ["--output", "json"]),
        #[cfg(feature = "rabbit")]
        (&["--consume", "q"], ["--remove-tap", "-q"]),
    ] {
        let args = ["listen", "--from", "day.jsonl", "--exit-at-end"];
        let output = sandbox.run([&args[..], kind, &option].concat());
        output.expect_message(2, "cannot be used with");
    }
    for options in [["-w", "1"], ["-C", "1"]] {
        let args = [&["doctor", "--from", "day.jsonl", "-o", "json"][..], &options].concat();
        sandbox.run(args).expect_message(2, "cannot be used with");
    }
}

/// A `--set` that the command does not read is refused instead of ignored: it changes no file of `--from` and no
/// table `[[source]]`.
#[test]
fn settings_that_the_command_does_not_read_are_refused() {
    let sandbox = sandbox();
    sandbox.file("sources.toml", "[[source]]\nfile = 'day.jsonl'\n");
    let from = ["listen", "--from", "day.jsonl"];
    let from_to = [&from[..], &["--to", "to.toml"]].concat();
    let to = ["listen", "-c", "sources.toml", "--to", "to.toml"];
    for (command, setting, keys) in [
        (&from[..], "rabbit.ca_file=/x", "`listener`, `redact`"),
        (&from, "source=[]", "`listener`, `redact`"),
        (&from_to, "source=[]", "`listener`, `redact`"),
        (&to, "log.file=x", "`listener`, `redact`, `source`"),
        (&["listen", "-c", "sources.toml"], "rabbit.topic=a", "`listener`, `redact`, `source`"),
        (&["doctor", "-c", "sources.toml"], "listener.prefetch=1", "`source`"),
        (&["dead", "ls"], "log.file=x", "`listener`"),
        (&["archive"], "log.file=x", "`archive`, `listener`, `redact`, `source`"),
        #[cfg(feature = "serve")]
        (&["serve"], "queue.max_age=9", "`archive`"),
    ] {
        let key = setting.split('=').next().unwrap();
        let has = |option| command.contains(&option);
        let advice = match (has("--from"), has("--to")) {
            (false, false) => "remove it",
            (true, false) => "remove it, or change the file of `--from`",
            (false, true) => "remove it, or change the file of `--to`",
            (true, true) => "remove it, or change the file of `--from` or `--to`",
        };
        let message = format!(
            "--set: `{key}` has no effect because this command reads only {keys} of its \
             configuration: {advice}\n"
        );
        sandbox.run([command, &["--set", setting]].concat()).expect_message(2, &message);
    }
    for args in [
        &["--from", "day.jsonl", "--set", "listener.prefetch=10", "--set", "redact=off"][..],
        &["--set", "source=[{ file = 'day.jsonl' }]"],
    ] {
        let output = sandbox.run([&["listen", "--exit-at-end"][..], args].concat()).expect(0);
        assert_eq!(output.out.lines().count(), DAY.lines().count());
    }
}

/// A variable that reaches no source is a warning, once. The environment is a layer of the destination, which has
/// warnings of its own, also if nothing is sent.
#[test]
fn a_variable_without_effect_is_warned_of() {
    let sandbox = sandbox();
    sandbox.file("to.toml", "strategy = 'log'\nlog.file = 'copy.jsonl'\nlog.sync = false\n");
    let to = ["--to", "to.toml"];
    for command in [&["listen", "--exit-at-end"][..], &["replay", "--dry-run"]] {
        for (options, strategy) in [(&to[..], "log"), (&[], "noop")] {
            let args = [command, &["--from", "day.jsonl"], options].concat();
            let mut command = sandbox.command(args);
            command.env("GLANCE_NOTIFY__RABBIT__PASSWORD", "hunter2");
            command.env("GLANCE_NOTIFY__RABBIT__USR", "glance");
            command.env("GLANCE_NOTIFY_REDACT", "strict");
            let output = CommandOutput::from(command.output().unwrap());
            let reason = format!("has no effect because the strategy is `{strategy}`");
            let output = output.expect_message(0, &reason);
            for warning in [
                "`rabbit.password` (environment variable GLANCE_NOTIFY__RABBIT__PASSWORD) has",
                "`rabbit.usr` (environment variable GLANCE_NOTIFY__RABBIT__USR) is ignored",
                "the environment variable GLANCE_NOTIFY_REDACT is ignored",
            ] {
                assert_eq!(output.err.matches(warning).count(), 1, "{warning}: {}", output.err);
            }
        }
    }
}

/// A variable of the destination is no mistake of the listener, and one of the listener counts beside a destination.
#[test]
fn a_variable_counts_where_it_is_read() {
    let sandbox = Sandbox::new();
    sandbox.file("n.jsonl", format!("{TASK}poison\n"));
    sandbox.file("to.toml", "strategy = 'log'\nlog.sync = false\n");
    let args = ["listen", "--exit-at-end", "--from", "n.jsonl", "--to", "to.toml"];
    let mut command = sandbox.command(args);
    command.env("GLANCE_NOTIFY__LOG__FILE", "copy.jsonl");
    command.env("GLANCE_NOTIFY__LISTENER__DEAD_LETTERS", "dead.jsonl");
    let output = CommandOutput::from(command.output().unwrap());
    let output = output.expect_message(0, "1 unreadable, 1 dead-lettered");
    assert!(!output.err.contains("GLANCE_NOTIFY"), "{}", output.err);
    assert_eq!((sandbox.lines_of("copy.jsonl"), sandbox.lines_of("dead.jsonl")), (1, 1));
}

/// The options select the same events as those of the questions, and JSON is the notification unchanged.
#[test]
fn the_selection_is_that_of_the_questions() {
    let sandbox = sandbox();
    for options in [
        &["--image", "debian-12"][..],
        &["--event", "image.*", "--priority", "info", "--since", "2026-11-24T12"],
        &["--project", "b7a1c5e4d3f24a6f9e8d7c6b5a493827", "--until", "2026-11-24T08"],
    ] {
        let common = ["--from", "day.jsonl", "-o"];
        let ask = [&["search"][..], &common, &["raw", "-n", "0"], options].concat();
        let listen = |form| [&["listen", "--exit-at-end"][..], &common, &[form], options].concat();
        let mut asked: Vec<_> = values(&sandbox.run(ask).expect(0).out);
        let by_id = |value: &Value| value["message_id"].to_string();
        asked.sort_by_key(by_id);
        for form in ["json", "raw"] {
            let mut shown = values(&sandbox.run(listen(form)).expect(0).out);
            shown.sort_by_key(by_id);
            assert!(!shown.is_empty());
            assert!(shown == asked, "{options:?} {form}");
        }
    }
}

/// Lines that cannot match are not read, and yet counted, from a file as from a pipe. An image that is named
/// like the id of another one is found with all its events.
#[test]
fn lines_that_cannot_match_are_counted() {
    let sandbox = sandbox();
    let wanted = of_images(DAY)[0]["payload"]["id"].as_str().unwrap().to_owned();
    let search = ["search", "--from", "day.jsonl", "-o", "raw", "--image", &wanted];
    let count = sandbox.run(search).expect(0).out.lines().count();
    let summary = format!("101 received, {count} shown, {} left out", 101 - count);
    let args = ["listen", "--exit-at-end", "-o", "json", "--image", &wanted];
    let output = sandbox.run([&args[..], &["--from", "day.jsonl"]].concat()).expect(0);
    assert_eq!(output.out.lines().count(), count);
    assert!(output.err.contains(&summary), "{}", output.err);
    let output = sandbox.pipe(args, DAY).expect(0);
    assert!(output.err.contains(&summary), "{}", output.err);

    let other = "7290aba0-ea68-429f-a9ec-7df334e091e2";
    let event = |number: u32, event_type: &str, payload: &str| {
        format!(
            "{{\"message_id\":\"00000000-0000-4000-8000-{number:012}\",\"publisher_id\":\"h\",\
             \"event_type\":\"{event_type}\",\"priority\":\"INFO\",\"payload\":{payload},\
             \"timestamp\":\"2026-11-24 12:00:{number:02}.000000\"}}\n"
        )
    };
    let named = format!("{{\"id\":\"{other}\",\"name\":\"{wanted}\"}}");
    let sent = format!("{{\"image_id\":\"{other}\",\"bytes_sent\":1}}");
    let lines = [event(1, "image.create", &named), event(2, "image.send", &sent)].concat();
    assert_eq!(sandbox.pipe(args, lines).expect(0).out.lines().count(), 2);
}

/// With a dead-letter file, lines that hold no notification go there, whether they could match or not.
#[test]
fn a_selection_keeps_no_dead_letter_away() {
    let sandbox = Sandbox::new();
    sandbox.file("n.jsonl", format!("{DAY}poison\n"));
    let args = ["listen", "--exit-at-end", "--from", "n.jsonl", "--event", "image.delete"];
    let output = sandbox.run(args).expect(0);
    assert!(output.err.contains("102 received, 4 shown"), "{}", output.err);
    let output = sandbox.run([&args[..], &["--dead-letters", "dead.jsonl"]].concat()).expect(0);
    assert!(output.err.contains("1 dead-lettered"), "{}", output.err);
    assert_eq!(sandbox.lines_of("dead.jsonl"), 1);
}

/// A notification in another envelope is a copy. Another notification with the same id is none.
#[test]
fn another_notification_with_the_same_id_is_shown() {
    let sandbox = Sandbox::new();
    let line = DAY.lines().next().unwrap();
    let envelope = json!({ "oslo.version": "2.0", "oslo.message": line });
    let other = line.replace(r#""publisher_id": "glance-api""#, r#""publisher_id": "other""#);
    sandbox.file("n.jsonl", format!("{line}\n{envelope}\n{other}\n"));
    let args = ["listen", "--exit-at-end", "--from", "n.jsonl", "-o", "raw"];
    let output = sandbox.run(args).expect(0);
    assert!(output.err.contains("3 received, 2 shown, 1 copy"), "{}", output.err);
    let shown = values(&output.out);
    let publishers: Vec<_> = shown.iter().map(|value| value["publisher_id"].as_str()).collect();
    assert_eq!(publishers, [Some("glance-api"), Some("other")]);
}

/// Several files are read at once, each line names its source, and a notification in both is shown once.
#[test]
fn copies_from_several_sources_are_shown_once() {
    let sandbox = sandbox();
    sandbox.file("other.jsonl", DAY);
    let args = ["listen", "--exit-at-end", "--from", "day.jsonl", "--from", "other.jsonl"];
    let output = sandbox.run(args).expect(0);
    let lines: Vec<_> = output.out.lines().collect();
    let count = DAY.lines().count();
    assert_eq!(lines.len(), count);
    assert!(
        lines.iter().all(|line| line.ends_with("[day.jsonl]") || line.ends_with("[other.jsonl]"))
    );
    let summary = format!("{} received from 2 sources, {count} shown, {count} copies", 2 * count);
    assert!(output.err.contains(&summary), "{}", output.err);
}

/// The sources of a configuration are read if `--from` names none, with their regions.
#[test]
fn the_sources_of_the_configuration_are_read() {
    let sandbox = sandbox();
    sandbox.file("south.jsonl", few());
    sandbox.file(
        "sources.toml",
        "[[source]]\nname = 'a'\nregion = 'North'\nfile = 'day.jsonl'\n\
         [[source]]\nname = 'b'\nregion = 'South'\nfile = 'south.jsonl'\n",
    );
    for args in [["-c", "sources.toml"], ["--from", "sources.toml"]] {
        let args = [&["listen", "--exit-at-end"][..], &args].concat();
        let out = sandbox.run(args).expect(0).out;
        assert_eq!(out.lines().filter(|line| line.ends_with("[South]")).count(), 11);
        assert_eq!(
            out.lines().filter(|line| line.ends_with("[North]")).count(),
            DAY.lines().count()
        );
    }
}

/// A configuration that `--from` names alone sets the listener too, as one of `-c`: its dead-letter file and its
/// redaction count.
#[test]
fn a_configuration_alone_sets_the_listener() {
    let sandbox = sandbox();
    sandbox.file("n.jsonl", format!("{}poison\n", few()));
    let source = "[[source]]\nfile = 'n.jsonl'\n";
    sandbox.file("sources.toml", format!("listener.dead_letters = 'dead.jsonl'\n{source}"));
    sandbox.file("to.toml", "strategy = 'log'\nlog.file = 'copy.jsonl'\nlog.sync = false\n");
    for command in [&["listen", "--exit-at-end"][..], &["replay", "--to", "to.toml"]] {
        let output = sandbox.run([command, &["--from", "sources.toml"]].concat());
        output.expect_message(0, "1 unreadable, 1 dead-lettered");
    }
    assert_eq!(sandbox.lines_of("dead.jsonl"), 2);

    sandbox.file("n.jsonl", TASK);
    sandbox.file("strict.toml", format!("redact = 'strict'\n{source}"));
    for (from, is_shown) in [("n.jsonl", true), ("strict.toml", false)] {
        let args = ["listen", "--exit-at-end", "-o", "raw", "--from", from];
        let output = sandbox.run(args).expect(0);
        assert_eq!(output.out.contains("elsewhere"), is_shown, "{}", output.out);
    }
}

/// A configuration that `--from` names alone is a layer over the default file: the keys of the listener that it
/// leaves out keep their values there, and those that it sets win.
#[test]
fn a_configuration_alone_keeps_the_default_file() {
    let sandbox = sandbox();
    sandbox.file("n.jsonl", format!("{TASK}poison\n"));
    let source = "[[source]]\nfile = 'n.jsonl'\n";
    let default = "redact = 'strict'\nlistener.dead_letters = 'dead.jsonl'\n";
    sandbox.file("glance-notify.toml", default);
    sandbox.file("sources.toml", source);
    let args = ["listen", "--exit-at-end", "-o", "raw", "--from", "sources.toml"];
    let output = sandbox.run(args).expect_message(0, "1 unreadable, 1 dead-lettered");
    assert!(output.out.contains("task.run") && !output.out.contains("elsewhere"), "{}", output.out);
    assert_eq!(sandbox.lines_of("dead.jsonl"), 1);

    sandbox.file("sources.toml", format!("listener.dead_letters = 'own.jsonl'\n{source}"));
    let output = sandbox.run(args).expect_message(0, "1 unreadable, 1 dead-lettered");
    assert!(!output.out.contains("elsewhere"), "{}", output.out);
    assert_eq!((sandbox.lines_of("dead.jsonl"), sandbox.lines_of("own.jsonl")), (1, 1));
}

/// Beside `-c` or another `--from`, a configuration names sources only. A warning says so if it sets more.
#[test]
fn a_configuration_beside_others_is_warned_of() {
    let sandbox = sandbox();
    let source = "[[source]]\nfile = 'day.jsonl'\n";
    sandbox.file("plain.toml", source);
    sandbox.file("sources.toml", format!("listener.dead_letters = 'dead.jsonl'\n{source}"));
    sandbox.file("strict.toml", format!("redact = 'strict'\n{source}"));
    sandbox.file("other.jsonl", few());
    for (options, warned) in [
        (&["--from", "sources.toml"][..], None),
        (&["--from", "sources.toml", "--from", "other.jsonl"], Some("sources.toml")),
        (&["--from", "sources.toml", "-c", "plain.toml"], Some("sources.toml")),
        (&["--from", "strict.toml", "-c", "plain.toml"], Some("strict.toml")),
        (&["--from", "sources.toml", "-c", "sources.toml"], None),
        (&["--from", "plain.toml", "--from", "other.jsonl"], None),
    ] {
        let output = sandbox.run([&["listen", "--exit-at-end"][..], options].concat()).expect(0);
        let warning = |file| format!("`listener` and `redact` of `{file}` have no effect");
        let expected = warned.map(warning).unwrap_or_default();
        assert!(output.err.contains(&expected), "{options:?}: {}", output.err);
        let is_warned = output.err.contains("have no effect");
        assert_eq!(is_warned, warned.is_some(), "{options:?}: {}", output.err);
    }
}

/// `listen` follows a file: a new line is shown at once, and a signal ends the command with a summary and
/// code 0.
#[test]
fn new_lines_are_shown_until_a_signal() {
    let sandbox = sandbox();
    let args = ["listen", "--from", "day.jsonl", "--from-end"];
    let mut command = sandbox.command(args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (send, lines) = mpsc::channel();
    std::thread::spawn(move || stdout.lines().try_for_each(|line| send.send(line.unwrap())));
    // The file is open once `/proc` shows it.
    let fds = format!("/proc/{}/fd", child.id());
    wait_until("the file is open", || {
        std::fs::read_dir(&fds)
            .unwrap()
            .filter_map(Result::ok)
            .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|path| path.ends_with("day.jsonl")))
    });
    let mut file = OpenOptions::new().append(true).open(sandbox.path("day.jsonl")).unwrap();
    let line = few().lines().next().unwrap().to_owned();
    let mut shown = String::new();
    // The command opens the file a moment before it looks for its end. A line of that moment is not new.
    wait_until("a new line is shown", || {
        writeln!(file, "{line}").unwrap();
        shown = lines.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
        !shown.is_empty()
    });
    assert!(shown.contains("image."), "{shown}");
    send_signal("TERM", &child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains(" received, 1 shown"), "{err}");
}

/// A source that starts at the end shows new lines only. With `--exit-at-end` its lines are wanted.
#[test]
fn a_source_of_a_configuration_begins_at_its_start() {
    let sandbox = sandbox();
    sandbox.file("sources.toml", "[[source]]\nfile = 'day.jsonl'\nstart = 'end'\n");
    for option in ["-c", "--from"] {
        let args = ["listen", option, "sources.toml", "-o", "raw"];
        let output = sandbox.run([&args[..], &["--idle", "1"]].concat());
        assert_eq!(output.out, "", "{}", output.err);
        let output = sandbox.run([&args[..], &["--exit-at-end"]].concat()).expect(0);
        assert_eq!(ids(&values(&output.out)), ids(&values(DAY)));
    }
}

/// `-n` ends the command, and with a checkpoint the next run continues behind the last notification that
/// was shown.
#[test]
fn a_checkpoint_continues_behind_the_shown_lines() {
    let sandbox = sandbox();
    let mut shown = Vec::new();
    loop {
        let args = ["listen", "--from", "day.jsonl", "--checkpoint", "position", "--exit-at-end"];
        let output = sandbox.run([&args[..], &["-n", "40", "-o", "raw"]].concat());
        shown.extend(values(&output.out));
        if output.code == Some(1) {
            break;
        }
        assert_eq!(output.code, Some(0), "{}", output.err);
        assert!(shown.len() <= DAY.lines().count(), "something came twice");
    }
    assert_eq!(ids(&shown), ids(&values(DAY)));
}

/// A second run with the same checkpoint would skip lines of the first: 3. Later, it continues there.
#[test]
fn one_process_at_a_time_reads_with_a_checkpoint() {
    let sandbox = sandbox();
    let args = ["listen", "--from", "day.jsonl", "--checkpoint", "position"];
    let mut command = sandbox.command(args);
    let mut first = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the first one reads", || sandbox.path("position").exists());
    let message = "another process or source reads with the checkpoint `position`: stop it";
    let to_the_end = [&args[..], &["--exit-at-end"]].concat();
    sandbox.run(&to_the_end).expect_message(3, message);
    first.kill().unwrap();
    first.wait().unwrap();
    let output = sandbox.run(&to_the_end);
    assert!(!output.err.contains(message), "{}", output.err);
    assert!(matches!(output.code, Some(0 | 1)), "{}", output.err);
}

/// The checkpoint of a source belongs to the program that its configuration is for: `listen` moves only that
/// of `--checkpoint`.
#[test]
fn the_checkpoint_of_a_configuration_stays_where_it_is() {
    let sandbox = sandbox();
    let table = "[[source]]\nname = 'a'\nfile = 'day.jsonl'\ncheckpoint = 'service'\n";
    sandbox.file("sources.toml", table);
    for (option, position) in [("-c", "position"), ("--from", "other")] {
        let args = ["listen", "--exit-at-end", "-o", "raw", option, "sources.toml"];
        for _ in 0..2 {
            let output = sandbox.run(args).expect(0);
            assert_eq!(ids(&values(&output.out)), ids(&values(DAY)));
            assert!(!sandbox.path("service").exists());
        }
        let args = [&args[..], &["--checkpoint", position]].concat();
        sandbox.run(&args).expect(0);
        sandbox.run(&args).expect(1);
        assert!(!sandbox.path("service").exists());
    }
}

/// A signal is an ordinary end if the work that has begun ends too. With `--exit-at-end`, the rest of the file
/// was wanted: 3.
#[test]
fn a_signal_before_the_end_exits_with_3() {
    for (options, code) in [(&["--exit-at-end"][..], 3), (&[], 0)] {
        let sandbox = sandbox();
        let script = "cat > /dev/null; echo >> runs; sleep 0.1";
        let args = [&["listen", "--from", "day.jsonl", "--exec", script], options].concat();
        let child = sandbox.command(args).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("the command runs", || sandbox.lines_of("runs") >= 1);
        send_signal("TERM", &child);
        let output = CommandOutput::from(child.wait_with_output().unwrap()).expect(code);
        let message = "a signal came before the end: run the command again";
        assert_eq!(output.err.contains(message), code == 3, "{}", output.err);
    }
}

/// A signal is no failure of the work that it stops, or that has not begun. More than 100 such failures would
/// discard the notification that failed before. The next run reads it again.
#[test]
fn a_signal_counts_no_failure() {
    // The notification 0 always fails. The work for those from 2 on does not end.
    let script = "input=$(cat); case $input in \
                  *8000-000000000000*) echo >> failures; exit 1;; \
                  *8000-000000000001*) echo >> acked; exit 0;; esac; \
                  echo >> begun; exec sleep 60";
    // With one job, the first signal stops most of the work. With 120 jobs, the second one does.
    for jobs in [1_usize, 120] {
        let sandbox = Sandbox::new();
        sandbox.file("n.jsonl", numbered(0..1));
        let args = ["listen", "--from", "n.jsonl", "--checkpoint", "position", "--exec"];
        let number = jobs.to_string();
        let mut command = sandbox.command([&args[..], &[script, "--jobs", &number]].concat());
        let mut child = command.stderr(sandbox.create("log")).spawn().unwrap();
        let mut file = OpenOptions::new().append(true).open(sandbox.path("n.jsonl")).unwrap();
        wait_until("the first failure", || sandbox.lines_of("failures") >= 1);
        file.write_all(numbered(1..2).as_bytes()).unwrap();
        wait_until("another notification is done", || sandbox.lines_of("acked") >= 1);
        // A failure counts once another notification is acknowledged.
        let failures = sandbox.lines_of("failures");
        wait_until("a failure counts", || sandbox.lines_of("failures") >= failures + 2);
        file.write_all(numbered(2..190).as_bytes()).unwrap();
        wait_until("the work begins", || sandbox.lines_of("begun") >= jobs);
        send_signal("TERM", &child);
        wait_until("the command stops", || sandbox.read("log").contains("waiting up to"));
        send_signal("TERM", &child);
        assert_eq!(child.wait().unwrap().code(), Some(3), "{}", sandbox.read("log"));
        let next = [&args[..], &["cat >> got", "--exec-batch", "100", "--exit-at-end"]].concat();
        sandbox.run(next).expect(0);
        assert_eq!(ids(&sandbox.lines("got")), ids(&values(&numbered(0..190))));
    }
}

/// The command of `--exec` gets notifications on its standard input only, batch by batch.
#[test]
fn exec_runs_the_command_with_data_on_standard_input() {
    let sandbox = sandbox();
    let script =
        "echo \"$#\" >> arguments; env | grep -c debian >> environment; cat >> got; echo >> runs";
    let args = ["listen", "--from", "day.jsonl", "--exit-at-end", "--exec", script];
    sandbox.run([&args[..], &["--exec-batch", "10"]].concat()).expect(0);
    assert_eq!(ids(&sandbox.lines("got")), ids(&values(DAY)));
    let runs = sandbox.lines_of("runs");
    assert!(runs >= DAY.lines().count().div_ceil(10) && runs < DAY.lines().count(), "{runs}");
    assert!(sandbox.read("arguments").lines().all(|line| line == "0"));
    assert!(sandbox.read("environment").lines().all(|line| line == "0"));
}

/// A password in a variable of the configuration does not reach the command, and other variables do.
#[test]
fn exec_hides_the_variables_of_the_configuration() {
    let sandbox = sandbox();
    sandbox.file("day.jsonl", few());
    let script = "cat > /dev/null; env >> environment";
    let args = ["listen", "--from", "day.jsonl", "--exit-at-end", "--exec", script];
    let mut command = sandbox.command(args);
    command.env("GLANCE_NOTIFY__RABBIT__PASSWORD", "hunter2").env("OS_REGION_NAME", "north");
    CommandOutput::from(command.output().unwrap()).expect(0);
    let environment = sandbox.read("environment");
    assert!(environment.contains("OS_REGION_NAME=north"), "{environment}");
    assert!(!environment.contains("hunter2"), "{environment}");
}

/// A command that fails for a while gets each notification again; one that always fails for a notification
/// makes it a dead letter, and the exit code says so.
#[test]
fn exec_retries_and_then_gives_up_on_a_notification() {
    let sandbox = sandbox();
    sandbox.file("day.jsonl", few());
    let script = "cat > now; if grep -q image.delete now; then exit 5; fi; \
                  if ! [ -e failed ] ; then touch failed; exit 1; fi; cat now >> got";
    let args = ["listen", "--from", "day.jsonl", "--exit-at-end", "--exec", script];
    let output = sandbox.run([&args[..], &["--dead-letters", "dead.jsonl"]].concat()).expect(3);
    assert!(output.err.contains("exited with code 5"), "{}", output.err);
    let mut got: Vec<_> = sandbox.lines("got");
    got.sort_by_key(|value| value["event_type"].to_string());
    let events: Vec<_> = got.iter().map(|value| value["event_type"].as_str().unwrap()).collect();
    assert_eq!(events.len(), 10);
    assert!(!events.contains(&"image.delete"));
}

/// At most `--jobs` runs of the command are there at once, and all of them are used.
#[test]
fn exec_runs_are_bounded() {
    let sandbox = sandbox();
    sandbox.file("day.jsonl", few());
    // Each run waits until a second one is there, which can only work if two run at once.
    let script = "mkdir run.$$; n=$(ls -d run.* | wc -l); echo $n >> most; \
                  for i in $(seq 200); do [ $(ls -d run.* | wc -l) -ge 2 ] && break; sleep 0.01; done; \
                  sleep 0.05; rmdir run.$$; cat > /dev/null";
    let args = ["listen", "--from", "day.jsonl", "--exit-at-end", "--exec", script];
    sandbox.run([&args[..], &["--jobs", "2"]].concat()).expect(0);
    let most: Vec<u32> = sandbox.read("most").lines().map(|n| n.trim().parse().unwrap()).collect();
    assert_eq!((most.len(), most.iter().max()), (11, Some(&2)));
}

/// `--to` forwards each notification unchanged, and acknowledges it when the destination has it.
#[test]
fn to_forwards_notifications_unchanged() {
    let sandbox = sandbox();
    sandbox.file("to.toml", "strategy = 'log'\nlog.file = 'copy.jsonl'\n");
    let args = ["listen", "--from", "day.jsonl", "--exit-at-end", "--to", "to.toml"];
    let output = sandbox.run([&args[..], &["--checkpoint", "position"]].concat()).expect(0);
    assert!(output.err.contains("101 received, 101 forwarded"), "{}", output.err);
    let copy = sandbox.read("copy.jsonl");
    assert_eq!(ids(&values(&copy)), ids(&values(DAY)));
    assert!(of_images(&copy) == of_images(DAY));
    // The checkpoint has all of them.
    sandbox.run([&args[..], &["--checkpoint", "position"]].concat()).expect(0);
    assert_eq!(sandbox.lines_of("copy.jsonl"), 101);
}

/// A notification that the configuration of `--to` leaves out is acknowledged, and not counted as forwarded.
#[test]
fn to_counts_suppressed_notifications_apart() {
    let sandbox = sandbox();
    let to =
        "strategy = 'log'\nlog.file = 'copy.jsonl'\ndisabled_notifications = ['image.delete']\n";
    sandbox.file("to.toml", to);
    let args = ["listen", "--from", "day.jsonl", "--exit-at-end", "--to", "to.toml"];
    let args = [&args[..], &["--checkpoint", "position"]].concat();
    let output = sandbox.run(&args).expect(0);
    assert!(output.err.contains("101 received, 97 forwarded, 4 suppressed"), "{}", output.err);
    assert_eq!(sandbox.lines_of("copy.jsonl"), 97);
    // The checkpoint has all of them.
    sandbox.run(&args).expect(0);
}

/// A destination that is away loses nothing: the command exits with 3, and the next run forwards what this one
/// could not.
#[test]
fn to_keeps_notifications_that_the_destination_did_not_take() {
    let sandbox = sandbox();
    let to = "strategy = 'log'\nlog.file = 'missing/copy.jsonl'\nqueue.drain_timeout = 0.1\n";
    sandbox.file("to.toml", to);
    let args = ["listen", "--from", "day.jsonl", "--to", "to.toml", "--checkpoint", "position"];
    let mut command = sandbox.command(args);
    let child = command.stdout(Stdio::null()).stderr(sandbox.create("log")).spawn().unwrap();
    wait_until("the destination is missing", || sandbox.read("log").contains("missing"));
    send_signal("TERM", &child);
    wait_until("it waits", || sandbox.read("log").contains("waiting up to"));
    send_signal("TERM", &child);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(3));
    let log = sandbox.read("log");
    assert!(log.contains("not everything was forwarded: the command stopped first"), "{log}");
    std::fs::create_dir(sandbox.path("missing")).unwrap();
    sandbox.run([&args[..], &["--exit-at-end"]].concat()).expect(0);
    assert_eq!(ids(&values(&sandbox.read("missing/copy.jsonl"))), ids(&values(DAY)));
}

/// Lines that hold no notification go to the dead-letter file with the reason, and stop nothing.
#[test]
fn unreadable_lines_become_dead_letters() {
    let sandbox = sandbox();
    sandbox.file("day.jsonl", format!("{{\"a\": 1\n{}poison\n", few()));
    let args = ["listen", "--from", "day.jsonl", "--exit-at-end", "--dead-letters", "dead.jsonl"];
    let output = sandbox.run(args).expect(0);
    assert_eq!(output.out.lines().count(), 11);
    let kept = "13 received, 11 shown, 2 unreadable, 2 dead-lettered";
    assert!(output.err.contains(kept), "{}", output.err);
    let letters = sandbox.lines("dead.jsonl");
    assert_eq!(
        letters.iter().map(|l| l["body"].as_str().unwrap()).collect::<Vec<_>>(),
        ["{\"a\": 1", "poison"]
    );
}

/// Without a dead-letter file, lines that hold no notification are gone, which the exit code says: 4.
#[test]
fn unreadable_lines_that_nothing_keeps_exit_with_4() {
    let sandbox = sandbox();
    sandbox.file("day.jsonl", format!("{{\"a\": 1\n{}", few()));
    let summary = "12 received, 11 shown, 1 unreadable, 1 discarded";
    let listen = ["listen", "--from", "day.jsonl", "--exit-at-end"];
    sandbox.run(listen).expect_message(4, summary);
    sandbox.pipe(["listen"], sandbox.read("day.jsonl")).expect_message(4, summary);
    sandbox.file("to.toml", "strategy = 'log'\nlog.file = 'copy.jsonl'\nlog.sync = false\n");
    let replay = ["replay", "--from", "day.jsonl", "--to", "to.toml"];
    sandbox.run(replay).expect_message(4, "11 forwarded, 1 unreadable, 1 discarded");
    sandbox.run([&replay[..], &["--dead-letters", "dead.jsonl"]].concat()).expect(0);
    assert_eq!(sandbox.lines_of("dead.jsonl"), 1);
    // The more serious code decides if nothing else is in the file.
    sandbox.file("day.jsonl", "{\"a\": 1\n");
    sandbox.run(listen).expect(4);
}

/// With `--exit-at-end`, the last line needs no line end. If it is cut, it is unreadable.
#[test]
fn the_last_line_needs_no_line_end() {
    let sandbox = sandbox();
    let few = few();
    let args = ["listen", "--from", "day.jsonl", "--exit-at-end", "-o", "raw"];
    sandbox.file("day.jsonl", few.trim_end());
    let output = sandbox.run(args).expect(0);
    assert_eq!(ids(&values(&output.out)), ids(&values(&few)));
    sandbox.file("day.jsonl", &few[..few.len() - 10]);
    sandbox.run(args).expect_message(4, "11 received, 10 shown, 1 unreadable, 1 discarded");
}

/// A selection that nothing passes is an answer too: code 1.
#[test]
fn nothing_found_exits_with_1() {
    let args = ["listen", "--from", "day.jsonl", "--exit-at-end", "--image", "no-such-image"];
    assert_eq!(sandbox().run(args).expect(1).out, "");
}

/// `--exec` and `--to` ask no question: nothing to do is a success, as with `replay`.
#[test]
fn nothing_to_do_exits_with_0() {
    let sandbox = sandbox();
    sandbox.file("empty.jsonl", "");
    sandbox.file("to.toml", "strategy = 'log'\nlog.file = 'copy.jsonl'\n");
    for work in [["--exec", "true"], ["--to", "to.toml"]] {
        let exit_at_end = [&["listen", "--exit-at-end"][..], &work].concat();
        let empty = [&exit_at_end[..], &["--from", "empty.jsonl"]].concat();
        sandbox.run(empty).expect_message(0, "0 received, 0 ");
        let unselected = ["--from", "day.jsonl", "--event", "no.such.event"];
        sandbox.run([&exit_at_end[..], &unselected].concat()).expect_message(0, "101 left out");
        let idle = ["listen", "--idle", "1", "--from-end", "--from", "day.jsonl"];
        sandbox.run([&idle[..], &work].concat()).expect_message(0, "0 received, 0 ");
    }
}

/// Nothing for the time of `--idle` is an answer if the source was there: 1. A broker that was never reached gives
/// none: 3.
#[test]
fn idle_distinguishes_silence_from_a_broker_that_is_away() {
    let sandbox = sandbox();
    let idle = |from| sandbox.run(["listen", "--idle", "1", "--from-end", "--from", from]);
    idle("day.jsonl").expect_message(1, "0 received, 0 shown");
    // No process listens on port 1.
    let message = "the source `127.0.0.1:1/` is not connected";
    idle("amqp://127.0.0.1:1").expect_message(3, message).expect_message(3, "0 received");
}

/// A pipe cannot be read again by its name, so that a source of it would never end: 2, without waiting for a writer.
#[test]
fn a_pipe_is_no_source() {
    let sandbox = sandbox();
    let made = Command::new("mkfifo").arg(sandbox.path("pipe")).status().unwrap();
    assert!(made.success());
    sandbox.file("sources.toml", "[[source]]\nfile = 'pipe'\n");
    let message = "`pipe` is not a regular file: pipe it to standard input";
    for from in ["pipe", "sources.toml"] {
        sandbox.run(["listen", "--from", from]).expect_message(2, message);
        sandbox.run(["replay", "--from", from, "--dry-run"]).expect_message(2, message);
    }
    let listen = "cat day.jsonl | \"$0\" listen --from /dev/stdin";
    let mut shell = Command::new("sh");
    shell.args(["-c", listen, env!("CARGO_BIN_EXE_glance-notify")]).current_dir(&sandbox.dir);
    CommandOutput::from(shell.output().unwrap())
        .expect_message(2, "`/dev/stdin` is not a regular file");
}

/// A device or a pipe keeps no letters and no position, and its mode matters to others: 2, before anything is read.
#[test]
fn a_pipe_keeps_no_dead_letters_and_no_checkpoint() {
    let sandbox = sandbox();
    assert!(Command::new("mkfifo").arg(sandbox.path("pipe")).status().unwrap().success());
    sandbox.file("config.toml", "listener.dead_letters = 'pipe'\n");
    sandbox.file("to.toml", "strategy = 'noop'\n");
    let message = "cannot write `pipe`: it is not a regular file: name another path";
    for option in [["--dead-letters", "pipe"], ["--checkpoint", "pipe"], ["-c", "config.toml"]] {
        let listen = ["listen", "--from", "day.jsonl", "--exit-at-end"];
        sandbox.run([&listen[..], &option].concat()).expect_message(2, message);
        let replay = ["replay", "--from", "day.jsonl", "--to", "to.toml"];
        sandbox.run([&replay[..], &option].concat()).expect_message(2, message);
    }
}

/// Without `--from` and without sources in the configuration, `listen` reads standard input to its end.
#[test]
fn standard_input_is_read_to_its_end() {
    let output = sandbox().pipe(["listen", "-o", "raw"], DAY).expect(0);
    assert_eq!(ids(&values(&output.out)), ids(&values(DAY)));
}

/// Standard input that cannot be read is an error, not the end.
#[test]
fn standard_input_that_cannot_be_read_is_an_error() {
    let sandbox = sandbox();
    for args in [["listen", "--from", "-"].as_slice(), &["replay", "--from", "-", "--dry-run"]] {
        let directory = std::fs::File::open(sandbox.dir.path()).unwrap();
        let output = sandbox.command(args).stdin(directory).output().unwrap();
        CommandOutput::from(output).expect_message(2, "cannot read the input (name a file)");
    }
}

/// A source that fails stops no other: all of the file is read, and the exit code is that of the error.
#[test]
fn a_source_that_fails_stops_no_other() {
    let sandbox = Sandbox::new();
    // More than the listener reads ahead.
    let lines = numbered(0..1000);
    sandbox.file("n.jsonl", &lines);
    let run = |args: &[&str]| {
        let directory = std::fs::File::open(sandbox.dir.path()).unwrap();
        let args = [args, &["--from", "-", "--from", "n.jsonl"]].concat();
        let output = sandbox.command(args).stdin(directory).output().unwrap();
        let message = "a source failed: cannot read the input (name a file)";
        CommandOutput::from(output).expect_message(2, message)
    };
    let output = run(&["listen", "--exit-at-end", "-o", "raw"]);
    assert_eq!(ids(&values(&output.out)), ids(&values(&lines)));
    let output = run(&["replay", "--dry-run"]);
    let summary = "1000 received from 2 sources, 1000 to be forwarded";
    assert!(output.err.contains(summary), "{}", output.err);
}

/// `--checkpoint` with several sources would mix their positions, and only a file has one: 2.
#[test]
fn a_checkpoint_needs_a_single_file() {
    for (sources, message) in [
        (&["--from", "day.jsonl", "--from", "-"][..], "--checkpoint needs a single source"),
        (&["--from", "amqp://127.0.0.1:1"], "--checkpoint is for files: use `listen --tap NAME`"),
        (
            &["--from", "amqp://127.0.0.1:1", "--tap", "audit"],
            "--checkpoint is for files: use `listen --tap NAME`",
        ),
        (&["--from", "-"], "--checkpoint is for files: name one with `--from`"),
        (&[], "--checkpoint is for files: name one with `--from`"),
    ] {
        let args = [&["listen", "--checkpoint", "position"], sources].concat();
        sandbox().run(args).expect_message(2, message);
    }
}
