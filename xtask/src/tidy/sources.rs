//! The content of the sources.

use std::path::Path;

use super::crates::{CLIENTS, UNPUBLISHED};
use super::tokens::{Token, starts_with, tokens};
use super::workspace::{TextFile, Workspace};

/// No public item exposes a type of a client library.
///
/// The check searches the text of every `pub` item from its name to its body (of an enum and a
/// trait, the body too) for the client crates and for the names that the file imports from them. The
/// lint `unreachable_pub` makes sure that `pub` means public. The check does not see a private type
/// alias of a client's type.
pub(super) fn no_client_type_in_public(workspace: &Workspace) -> Vec<String> {
    let mut problems = Vec::new();
    for file in in_libraries(workspace) {
        let tokens = tokens(&file.text);
        let clients = client_names(&tokens);
        for (index, token) in tokens.iter().enumerate().filter(|(_, token)| token.text == "pub") {
            let shown = public_item(&tokens[index + 1..]);
            if let Some(name) = shown.iter().find(|token| clients.contains(&token.text)) {
                problems.push(at(file, token.line, &format!("`{}` in a public item", name.text)));
            }
        }
    }
    problems
}

/// Every file tells its reader its purpose before the first line of code.
pub(super) fn files_open_with_their_purpose(workspace: &Workspace) -> Vec<String> {
    let silent = |file: &&TextFile| {
        let first = file.text.lines().next().unwrap_or_default();
        first.strip_prefix("//!").is_none_or(|text| text.trim().is_empty())
    };
    workspace
        .sources
        .iter()
        .filter(silent)
        .map(|file| at(file, 1, "does not open with `//!`"))
        .collect()
}

/// Libraries do not write to the program's standard output or standard error.
pub(super) fn libraries_do_not_print(workspace: &Workspace) -> Vec<String> {
    let stdout_target = Path::new("crates/notify-log/src/stdout.rs");
    let print = |file: &TextFile, tokens: &[Token]| {
        let macros = ["print", "println", "eprint", "eprintln", "dbg"];
        let streams: &[&str] =
            if file.path == stdout_target { &["stderr"] } else { &["stdout", "stderr"] };
        macros.iter().any(|name| starts_with(tokens, &[name, "!"]))
            || streams.iter().any(|name| starts_with(tokens, &[name, "("]))
    };
    find(in_libraries(workspace), "prints", print)
}

/// Code expects a lint, with a reason, instead of allowing it: the compiler then reports an
/// expectation that no longer applies.
pub(super) fn no_bare_allow(workspace: &Workspace) -> Vec<String> {
    find(workspace.sources.iter(), "allows a lint: `expect` it, with a reason", |_, tokens| {
        starts_with(tokens, &["#", "[", "allow", "("])
            || starts_with(tokens, &["#", "!", "[", "allow", "("])
    })
}

/// No code is a placeholder.
pub(super) fn no_unfinished_code(workspace: &Workspace) -> Vec<String> {
    find(workspace.sources.iter(), "is unfinished", |_, tokens| {
        starts_with(tokens, &["todo", "!"]) || starts_with(tokens, &["unimplemented", "!"])
    })
}

/// Returns the files that should be two. They are a note, not a violation.
pub(super) fn long_files(workspace: &Workspace) -> Vec<String> {
    let length = |file: &TextFile| file.text.lines().count();
    let long = workspace.sources.iter().filter(|file| length(file) > LONG);
    long.map(|file| format!("{} has {} lines", file.path.display(), length(file))).collect()
}

/// Returns the sources of libraries: without the command, the unpublished packages and tests.
fn in_libraries(workspace: &Workspace) -> impl Iterator<Item = &TextFile> {
    workspace.sources.iter().filter(|file| {
        let parts: Vec<_> = file.path.iter().filter_map(|part| part.to_str()).collect();
        let library = |name| !NOT_LIBRARIES.contains(name) && !UNPUBLISHED.contains(name);
        matches!(parts.as_slice(), ["crates", name, "src", ..] if library(name))
    })
}

/// Returns every place in `files` at which `begins` matches.
fn find<'a>(
    files: impl Iterator<Item = &'a TextFile>,
    what: &str,
    begins: impl Fn(&TextFile, &[Token]) -> bool,
) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        let tokens = tokens(&file.text);
        let places = (0..tokens.len()).filter(|&index| begins(file, &tokens[index..]));
        problems.extend(places.map(|index| at(file, tokens[index].line, what)));
    }
    problems
}

/// Formats a violation.
fn at(file: &TextFile, line: usize, what: &str) -> String {
    format!("{}:{line}: {what}", file.path.display())
}

/// Returns the names of client crates and the names that this file imports from them.
fn client_names(tokens: &[Token]) -> Vec<String> {
    let is_client = |word: &str| {
        let mut prefixes = CLIENTS.iter().flat_map(|(_, prefixes)| *prefixes);
        prefixes.any(|prefix| word.starts_with(&prefix.replace('-', "_")))
    };
    let mut names: Vec<String> =
        tokens.iter().map(|token| &token.text).filter(|word| is_client(word)).cloned().collect();
    for (index, _) in tokens.iter().enumerate().filter(|(_, token)| token.text == "use") {
        let import = until(&tokens[index + 1..], &[";"]);
        if !import.first().is_some_and(|token| is_client(&token.text)) {
            continue;
        }
        for (position, token) in import.iter().enumerate() {
            let renamed = import.get(position + 1).is_some_and(|next| next.text == "as");
            if token.text.starts_with(char::is_uppercase) && !renamed {
                names.push(token.text.clone());
            }
        }
    }
    names
}

/// Returns the part of the item after `pub` that its users see.
fn public_item(tokens: &[Token]) -> &[Token] {
    let word = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    match word(0) {
        // `pub(crate)`.
        "(" => &[],
        "enum" | "trait" => until(tokens, &["}", ";"]),
        // The fields of a struct have their own `pub`.
        "struct" => until(tokens, &["{", "(", ";"]),
        "type" | "use" => until(tokens, &[";"]),
        "const" | "static" if word(1) != "fn" => until(tokens, &["=", ";"]),
        "fn" | "async" | "const" | "unsafe" | "extern" | "mod" => until(tokens, &["{", ";"]),
        // A field.
        _ => until(tokens, &[",", "}", ")"]),
    }
}

/// Returns the tokens before the first of `ends` outside all brackets. A closing bracket in `ends`
/// ends the first block.
fn until<'a>(tokens: &'a [Token], ends: &[&str]) -> &'a [Token] {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        let text = token.text.as_str();
        let closes = matches!(text, ")" | "]" | "}" | ">");
        // The head of an arrow is no closing bracket.
        let arrow =
            text == ">" && index > 0 && matches!(tokens[index - 1].text.as_str(), "-" | "=");
        if closes && !arrow {
            depth = depth.saturating_sub(1);
        }
        if depth == 0 && ends.contains(&text) {
            return &tokens[..index];
        }
        if matches!(text, "(" | "[" | "{" | "<") {
            depth += 1;
        }
    }
    tokens
}

/// Packages under `crates/` that may print.
const NOT_LIBRARIES: [&str; 2] = ["glance-notify-cli", "notify-conformance"];

/// The length in lines from which a file should be two.
const LONG: usize = 400;

#[cfg(test)]
mod tests {
    use super::super::workspace::testing::source;
    use super::*;

    const LIBRARY: &str = "crates/notify-rabbit/src/publish.rs";

    #[test]
    fn a_client_type_in_a_public_item_is_reported() {
        let found = |text: &str| no_client_type_in_public(&source(LIBRARY, text)).len();
        assert_eq!(found("pub fn f(c: lapin::Channel) {}"), 1);
        assert_eq!(found("pub async fn f() -> Result<u8, lapin::Error> { g() }"), 1);
        assert_eq!(
            found(
                "use lapin::{Channel, Error as Failed};\npub struct S { pub c: Option<Channel> }"
            ),
            1
        );
        assert_eq!(found("use lapin::Error as Failed;\npub struct S(pub Failed);"), 1);
        assert_eq!(found("pub use lapin;"), 1);
        assert_eq!(found("use lapin::Channel;\npub use own::{A, Channel};"), 1);
        assert_eq!(found("pub type T = amq_protocol::uri::AMQPUri;"), 1);
        assert_eq!(found("pub enum E { A { b: u8 }, C(fe2o3_amqp::Sender) }"), 1);
        assert_eq!(found("pub trait T { fn f(); fn g(&self) -> redb::Database; }"), 1);
        assert_eq!(found("pub struct S { pub a: HashMap<u8, lapin::Channel>, pub b: u8 }"), 1);
    }

    #[test]
    fn a_client_type_in_a_private_item_is_accepted() {
        let found = |text: &str| no_client_type_in_public(&source(LIBRARY, text)).len();
        assert_eq!(found("pub fn f() { let c: lapin::Channel; }"), 0);
        assert_eq!(found("pub(crate) fn f(c: lapin::Channel) {}"), 0);
        assert_eq!(found("pub struct S { a: lapin::Channel, pub b: u8 }"), 0);
        assert_eq!(found("pub struct S(lapin::Channel);"), 0);
        assert_eq!(found("use lapin::Error as Failed;\npub fn f() -> Result<u8, Error> {}"), 0);
        assert_eq!(found("pub struct S { pub b: Box<dyn Fn() -> u8>, c: lapin::Channel }"), 0);
        let test = source("crates/notify-rabbit/tests/a.rs", "pub fn f(c: lapin::Channel) {}");
        assert_eq!(no_client_type_in_public(&test).len(), 0);
    }

    #[test]
    fn a_file_without_a_purpose_is_reported() {
        let found = |text: &str| files_open_with_their_purpose(&source("tests/a.rs", text)).len();
        assert_eq!(found("//! Purpose.\n"), 0);
        assert_eq!(found("//!\nfn f() {}"), 1);
        assert_eq!(found("use a;"), 1);
        assert_eq!(found(""), 1);
    }

    #[test]
    fn a_library_that_prints_is_reported() {
        let found = |path, text| libraries_do_not_print(&source(path, text)).len();
        assert_eq!(found(LIBRARY, "fn f() { println!(\"x\") }"), 1);
        assert_eq!(found(LIBRARY, "fn f() { std::io::stdout().write(b\"\") }"), 1);
        assert_eq!(found(LIBRARY, "/// `println!()`\nfn f() {}"), 0);
        assert_eq!(found(LIBRARY, "#[cfg(test)]\nmod tests { fn f() { println!() } }"), 0);
        assert_eq!(found("crates/notify-log/src/stdout.rs", "fn f() { stdout() }"), 0);
        assert_eq!(found("crates/notify-log/src/stdout.rs", "fn f() { print!(\"\") }"), 1);
        assert_eq!(found("crates/glance-notify-cli/src/main.rs", "fn f() { print!(\"\") }"), 0);
    }

    #[test]
    fn a_bare_allow_is_reported() {
        let found = |text: &str| no_bare_allow(&source("xtask/src/a.rs", text)).len();
        assert_eq!(found("#[allow(dead_code)]\nfn f() {}"), 1);
        assert_eq!(found("#![allow(dead_code)]"), 1);
        assert_eq!(found("#[expect(dead_code, reason = \"x\")]\nfn f() {}"), 0);
        assert_eq!(found("// #[allow(dead_code)]"), 0);
    }

    #[test]
    fn unfinished_code_is_reported() {
        let found = |text: &str| no_unfinished_code(&source("tests/a.rs", text)).len();
        assert_eq!(found("fn f() { todo!() }"), 1);
        assert_eq!(found("fn f() { unimplemented!(\"x\") }"), 1);
        assert_eq!(found("fn f() { \"todo!\" }"), 0);
    }

    #[test]
    fn a_long_file_is_noted() {
        assert_eq!(long_files(&source("tests/a.rs", &"\n".repeat(400))).len(), 0);
        assert_eq!(
            long_files(&source("tests/a.rs", &"\n".repeat(401))),
            ["tests/a.rs has 401 lines"]
        );
    }
}
