//! The comparison of one reading with OpenStack's, and the table of all of them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use notify_testbed::broker::oslo_resolver::{OpenstackEdition, OsloResolver};
use serde_json::Value;

use crate::destination::{Destination, FileReport};

/// Files that one service reads, and the edition of OpenStack that they were written for.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) edition: OpenstackEdition,
    pub(crate) files: Vec<PathBuf>,
}

/// Compares every case and returns a table with one row for each.
///
/// # Panics
///
/// Panics if a reading differs in silence: a field of the destination differs from OpenStack's and no
/// warning names it, or we refuse a file without naming the line.
pub(crate) fn table(cases: &[Case]) -> String {
    let mut resolvers = BTreeMap::new();
    let mut table = String::from(
        "| file | edition | result | strategy | hosts | virtual host | exchange | topics | TLS | sender |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    let mut silent = Vec::new();
    for Case { name, edition, files } in cases {
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let resolver = resolvers.entry(*edition).or_insert_with(|| OsloResolver::start(*edition));
        let theirs = resolver.resolve(&files);
        let ours = FileReport::of(&files);
        let result = match compare(&theirs, &ours) {
            // The directory depends on the machine.
            Ok(result) => files.iter().fold(result, |result, file| {
                let directory = file.parent().unwrap().display().to_string();
                result.replace(&format!("{directory}/"), "")
            }),
            Err(difference) => {
                silent.push(format!("{name} ({}): {difference}", edition.name()));
                "SILENT DIFFERENCE".to_owned()
            }
        };
        let mut cell = |field: &str| {
            let value = ours.destination.as_ref().ok().and_then(|fields| fields.get(field));
            cell(value.unwrap_or(&Value::Null))
        };
        let cells =
            ["strategy", "hosts", "virtual_host", "exchange", "topics", "tls", "publisher_id"];
        let cells = cells.map(&mut cell).join(" | ");
        writeln!(table, "| {name} | {} | {result} | {cells} |", edition.name()).unwrap();
    }
    println!("{table}");
    assert!(silent.is_empty(), "{}", silent.join("\n"));
    table
}

/// Compares two readings. Returns the result in words, or the difference that nothing tells of.
fn compare(theirs: &Value, ours: &FileReport) -> Result<String, String> {
    let error = theirs.get("error").and_then(Value::as_str);
    let destination = match (&ours.destination, error) {
        (Err(error), _) => {
            let text = error.to_string();
            if !text.contains(", line ") && !text.contains("log_file` (") {
                return Err(format!("refused without a line: {text}"));
            }
            let both = if theirs.get("error").is_some() { "both refuse" } else { "refused" };
            return Ok(format!("{both}: {text}"));
        }
        (Ok(_), Some(error)) => return Err(format!("only OpenStack refuses it: {error}")),
        (Ok(destination), None) => destination,
    };
    let differences = differences(theirs, destination);
    let untold: Vec<_> = differences
        .iter()
        .filter(|(field, text)| !ours.warnings.iter().any(|warning| tells(warning, field, text)))
        .map(|(_, text)| text.as_str())
        .collect();
    match (differences.as_slice(), untold.as_slice()) {
        ([], _) => Ok("same".to_owned()),
        (_, []) => {
            let told: Vec<_> = differences.iter().map(|(field, _)| field.as_str()).collect();
            Ok(format!("warned: {}", told.join(", ")))
        }
        (_, untold) => Err(format!("{} (warnings: {:?})", untold.join("; "), ours.warnings)),
    }
}

/// Returns each field that differs, with a description.
fn differences(theirs: &Value, ours: &Destination) -> Vec<(String, String)> {
    let fields = theirs.as_object().unwrap().iter();
    fields
        .filter_map(|(field, theirs)| {
            let ours = ours.get(field).unwrap_or(&Value::Null);
            let text = || format!("{field}: {theirs} in OpenStack, {ours} here");
            (theirs != ours).then(|| (field.clone(), text()))
        })
        .collect()
}

/// Returns whether a warning tells of a difference.
fn tells(warning: &str, field: &str, difference: &str) -> bool {
    match field {
        "publisher_id" => {
            difference.contains("the host name") && warning.contains("sent the host name")
        }
        _ => false,
    }
}

/// Returns a value as a table shows it.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        Value::Bool(value) => if *value { "yes" } else { "no" }.to_owned(),
        other => other.to_string(),
    }
}

/// Returns the directory of the samples.
pub(crate) fn samples(directory: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/glance-conf").join(directory)
}
