//! `config init` and `config explain`, and the files that the command reads without `-c`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{CommandOutput, LIFECYCLE, Sandbox};

/// A newcomer's first steps: write the sample, check it, emit with it. No step needs an option.
#[test]
fn a_sample_works_as_it_is() {
    let sandbox = Sandbox::new();
    let init = sandbox.run(["config", "init"]).expect(0);
    assert_eq!(
        init.err,
        "glance-notify: wrote `glance-notify.toml` with the strategy `log`: edit it, then run `glance-notify \
         check`\n"
    );
    let path = sandbox.path("glance-notify.toml");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o137, 0);
    sandbox.run(["check"]).expect(0);
    sandbox.pipe(["emit"], LIFECYCLE).expect(0);
    assert_eq!(sandbox.lines("notifications.log").len(), 11);
    let again = sandbox.run(["config", "init"]);
    again.expect_message(2, "`glance-notify.toml` exists already: name another file");
}

/// The sample goes to standard output too, for every strategy.
#[test]
fn a_sample_can_go_to_standard_output() {
    let sandbox = Sandbox::new();
    for strategy in ["noop", "log", "rabbit", "qpid"] {
        let init = sandbox.run(["config", "init", "--strategy", strategy, "-"]).expect(0);
        assert!(init.out.contains(&format!("\nstrategy = \"{strategy}\"\n")), "{}", init.out);
    }
    assert!(!sandbox.path("glance-notify.toml").exists());
    sandbox
        .run(["config", "init", "missing/notify.toml"])
        .expect_message(2, "cannot create `missing/notify.toml`: No such file or directory");
}

/// Every command that the note names can read the file: a name without `.toml` is refused, and another one than the
/// default is in the note.
#[test]
fn a_sample_can_be_read_by_its_name() {
    let sandbox = Sandbox::new();
    for name in ["x.conf", "toml", "x.toml.bak"] {
        let message = format!("`{name}` does not end in `.toml`");
        sandbox.run(["config", "init", name]).expect_message(2, &message);
        assert!(!sandbox.path(name).exists());
    }
    let message = "edit it, then run `glance-notify check -c other.toml`";
    sandbox.run(["config", "init", "other.toml"]).expect_message(0, message);
    sandbox.run(["check", "-c", "other.toml"]).expect(0);
}

/// A key, a table and everything; an unknown key names the nearest one.
#[test]
fn explains_keys_and_tables() {
    let sandbox = Sandbox::new();
    let key = sandbox.run(["config", "explain", "queue.max_bytes"]);
    assert_eq!(
        key.out.lines().take(4).collect::<Vec<_>>(),
        [
            "queue.max_bytes",
            "  kind      bytes",
            "  default   67108864",
            "  variable  GLANCE_NOTIFY__QUEUE__MAX_BYTES",
        ]
    );
    assert!(key.out.contains("  The largest memory"), "{}", key.out);
    // No variable reaches into a list of tables.
    for key in ["source.url", "destination.name"] {
        let explained = sandbox.run(["config", "explain", key]).expect(0).out;
        assert!(!explained.contains("variable"), "{explained}");
    }
    let table = sandbox.run(["config", "explain", "[rabbit]"]).out;
    assert!(table.lines().count() > 20 && table.lines().all(|line| line.starts_with("rabbit.")));
    let all = sandbox.run(["config", "explain"]).out;
    assert!(all.contains("strategy ") && all.contains("qpid.address "));
    for (key, message) in [
        ("log.fle", "unknown key `log.fle`: did you mean `log.file`?"),
        ("kafka", "unknown key `kafka`: `glance-notify config explain` lists all keys"),
    ] {
        sandbox.run(["config", "explain", key]).expect_message(2, message);
    }
}

/// The file here wins over the user's, and `-v` says which file counts.
#[test]
fn finds_the_configuration_without_an_option() {
    let sandbox = Sandbox::new();
    let user = sandbox.path("xdg/glance-notify");
    fs::create_dir_all(&user).unwrap();
    fs::write(user.join("config.toml"), "strategy = 'log'\nlog.file = 'user.log'\n").unwrap();
    let xdg = sandbox.path("xdg");
    let check = |arguments: &[&str]| -> CommandOutput {
        let arguments = ["check"].iter().chain(arguments);
        sandbox.command(arguments).env("XDG_CONFIG_HOME", &xdg).output().unwrap().into()
    };
    let user = check(&["-v"]);
    assert!(user.out.contains("\"user.log\""), "{}{}", user.out, user.err);
    assert!(user.err.contains("reading the configuration from "), "{}", user.err);
    assert!(user.err.contains("xdg/glance-notify/config.toml"), "{}", user.err);
    sandbox.file("glance-notify.toml", "strategy = 'log'\nlog.file = 'here.log'\n");
    let here = check(&[]);
    assert!(here.out.contains("\"here.log\"") && here.err.is_empty(), "{}{}", here.out, here.err);
    sandbox.file("other.toml", "strategy = 'log'\nlog.file = 'other.log'\n");
    let named = check(&["-c", "other.toml"]);
    assert!(
        named.out.contains("\"other.log\"") && !named.out.contains("here.log"),
        "{}",
        named.out
    );
}

/// Later files win, and the files of Glance's format are one configuration.
#[test]
fn reads_several_files() {
    let sandbox = Sandbox::new();
    sandbox.file("a.conf", "[DEFAULT]\nnotification_driver = log\nlog_file = a.log\n");
    sandbox.file("b.conf", "[DEFAULT]\nlog_file = b.log\n");
    let check = sandbox.run(["check", "-c", "a.conf", "-c", "b.conf"]);
    assert!(
        check.out.contains("\"b.log\"") && check.out.contains("strategy = \"log\""),
        "{}",
        check.out
    );
}
