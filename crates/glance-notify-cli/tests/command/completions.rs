//! `completions` and `--version`: what a packager needs.

use crate::support::Place;

#[test]
fn each_shell_has_a_script() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = place.run(["completions", shell]).expect(0);
        assert!(ended.out.contains("glance-notify") && ended.out.contains("emit"), "{shell}");
    }
    place.run(["completions", "csh.exe"]).says(2, "[possible values: bash");
}

#[test]
fn the_version_names_what_is_compiled_in() {
    let ended = Place::new().run(["--version"]).expect(0);
    let version = format!("glance-notify {} (compiled in: ", env!("CARGO_PKG_VERSION"));
    let features = ended.out.strip_prefix(&version).and_then(|rest| rest.strip_suffix(")\n"));
    let features: Vec<_> = features.unwrap().split(", ").collect();
    for feature in ["log", "noop", "schema"] {
        assert!(features.contains(&feature), "{features:?}");
    }
}

#[test]
fn nothing_asked_is_answered_with_the_usage() {
    Place::new().run::<&str>([]).says(2, "Usage: glance-notify");
}
