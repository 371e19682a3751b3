//! Planted secrets: the notifications and configurations that hold them, and the search
//! for them in everything that a command wrote.

use std::fs;
use std::path::{Path, PathBuf};

use notify_testbed::secrets::{MASKED_KEYS, REMOVED_KEYS, SECRET, texts, tree};
use serde_json::{Value, json};

use crate::support::{CommandOutput, Sandbox};

/// Returns notifications with every form of secret in every field that can hold one.
pub(crate) fn payloads() -> String {
    let url = format!("swift+https://acct:{SECRET}@store.example/c/o?temp_url_sig={SECRET}");
    let keys = MASKED_KEYS.iter().chain(REMOVED_KEYS).map(|key| ((*key).to_owned(), json!(SECRET)));
    let keys: serde_json::Map<String, Value> = keys.collect();
    let image = json!({
        "id": "c80a1a6c-bd1f-41c5-90ee-81afedb1d58d", "name": url, "status": "active",
        "created_at": "2012-05-16T15:27:36Z", "updated_at": "2012-05-16T15:27:36Z", "min_disk": 0,
        "min_ram": 0, "protected": false, "checksum": null, "owner": null, "disk_format": null,
        "container_format": null, "size": null, "is_public": false,
        "properties": keys, "tags": texts(), "deleted": false, "deleted_at": null,
        "location": url, "locations": [{ "url": url, "metadata": { "x": SECRET } }], "direct_url": SECRET,
        "future": tree(),
    });
    let task = json!({
        "task_id": "c80a1a6c-bd1f-41c5-90ee-81afedb1d58d", "owner": null, "task_type": "import",
        "status": "success", "message": null, "expires_at": null,
        "created_at": "2012-05-16T15:27:36Z", "updated_at": "2012-05-16T15:27:36Z",
        "task_input": tree(), "result": tree(),
    });
    let as_read = json!({
        "id": "c80a1a6c-bd1f-41c5-90ee-81afedb1d58d", "type": "import", "status": "pending",
        "input": tree(), "deleted": false,
    });
    let lines = [
        json!({ "event_type": "image.create", "priority": "INFO", "payload": image }),
        json!({ "event_type": "task.success", "priority": "INFO", "payload": task }),
        json!({ "event_type": "task.run", "priority": "INFO", "payload": as_read }),
        json!({ "event_type": "image.upload", "priority": "ERROR", "payload": texts().join(", then ") }),
    ];
    let text =
        |text: String| json!({ "event_type": "image.upload", "priority": "WARN", "payload": text });
    let more = [
        json!({ "event_type": "image.upload", "priority": "ERROR", "payload": "x", "_context_auth_token": SECRET }),
    ];
    let all = lines.into_iter().chain(texts().into_iter().map(text)).chain(more);
    all.map(|line| line.to_string()).collect::<Vec<_>>().join("\n")
}

/// Returns the number of notifications in [`payloads`].
pub(crate) fn payload_count() -> usize {
    payloads().lines().count()
}

/// Asserts that neither the output of the command nor any file holds the secret.
///
/// The input and configuration files are exempt. In the delivered files `outputs`, the
/// keys that redaction removes must be gone together with their values.
#[track_caller]
pub(crate) fn assert_no_secret(sandbox: &Sandbox, output: &CommandOutput, outputs: &[&str]) {
    assert!(!output.out.contains(SECRET), "standard output: {}", output.out);
    assert!(!output.err.contains(SECRET), "standard error: {}", output.err);
    for name in outputs {
        assert!(!sandbox.read(name).contains(SECRET), "{name}: {}", sandbox.read(name));
    }
    let inputs = ["in.jsonl", "notify.toml", "glance-api.conf"];
    let delivered = outputs.iter().filter(|name| **name != "acks").map(|name| sandbox.read(name));
    for key in REMOVED_KEYS {
        // As a key, and not as a word within a text.
        let key = format!("\"{key}\":");
        assert!(!delivered.clone().any(|text| text.contains(&key)), "{key} is there");
    }
    for path in files_below(sandbox.dir.path()) {
        let is_input = inputs.iter().any(|input| path.ends_with(input));
        assert!(is_input || !holds_secret(&path), "{}", path.display());
    }
}

/// Returns every regular file below a directory.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match fs::symlink_metadata(&path).unwrap() {
            metadata if metadata.is_dir() => found.extend(files_below(&path)),
            metadata if metadata.is_file() => found.push(path),
            _ => {}
        }
    }
    found
}

/// Returns whether a file contains the secret.
pub(crate) fn holds_secret(path: &Path) -> bool {
    String::from_utf8_lossy(&fs::read(path).unwrap()).contains(SECRET)
}

/// Writes a configuration that delivers to a file and holds passwords of brokers.
pub(crate) fn configure(sandbox: &Sandbox) {
    sandbox.file(
        "notify.toml",
        format!(
            "strategy = \"log\"\nlog.file = \"n.log\"\n\
             [rabbit]\nurl = \"amqp://u:{SECRET}@h/v\"\npassword = \"{SECRET}\"\n\
             [qpid]\nurl = \"amqp://u:{SECRET}@h\"\n"
        ),
    );
}
