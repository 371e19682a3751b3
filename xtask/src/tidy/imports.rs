//! The import graph of each crate: which file names items of which other file.
//!
//! Only paths that are written out count: `use` declarations and qualified paths that start with
//! `crate`, `self`, `super` or a child module. Unit tests, documentation and method calls do not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::tokens::{Token, starts_with, tokens};
use super::workspace::Workspace;

/// Finds files of one crate that import each other, directly or through others.
///
/// A file that imports an item by way of the `lib.rs` or `mod.rs` that re-exports it is part of such
/// a cycle, so this check also enforces imports from the module that defines an item.
pub(super) fn no_import_cycles(workspace: &Workspace) -> Vec<String> {
    let mut crates: BTreeMap<PathBuf, BTreeMap<ModulePath, SourceFile<'_>>> = BTreeMap::new();
    for file in &workspace.sources {
        if let Some((root, module)) = module_of(&file.path) {
            let source = SourceFile { path: &file.path, tokens: tokens(&file.text) };
            crates.entry(root).or_default().insert(module, source);
        }
    }
    let mut problems = Vec::new();
    for modules in crates.values() {
        let imports = imports(modules);
        for cycle in cycles(&imports) {
            let files: Vec<_> =
                cycle.iter().map(|module| modules[*module].path.display().to_string()).collect();
            problems.push(format!("import each other: {}", files.join(", ")));
        }
    }
    problems
}

/// The segments of a module's path below its crate's root. The root itself has none.
type ModulePath = Vec<String>;

struct SourceFile<'a> {
    path: &'a Path,
    tokens: Vec<Token>,
}

/// Returns the directory of the crate root that a file belongs to, and the path of its module.
///
/// Files outside `src` belong to no such crate.
fn module_of(path: &Path) -> Option<(PathBuf, ModulePath)> {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let src = parts.iter().position(|part| *part == "src")?;
    let mut module: ModulePath = parts[src + 1..].iter().map(|&part| part.to_owned()).collect();
    if module.first().is_some_and(|first| first == "bin") {
        return None;
    }
    let file = module.pop()?;
    let stem = file.strip_suffix(".rs")?;
    if !matches!(stem, "lib" | "main" | "mod") {
        module.push(stem.to_owned());
    }
    Some((parts[..=src].iter().collect(), module))
}

/// Returns every module with the modules whose items it names.
fn imports<'m>(
    modules: &'m BTreeMap<ModulePath, SourceFile<'_>>,
) -> BTreeMap<&'m ModulePath, BTreeSet<&'m ModulePath>> {
    let mut imports = BTreeMap::new();
    for (module, file) in modules {
        let mut targets = BTreeSet::new();
        for path in paths(module, &file.tokens, modules) {
            let lengths = (0..=path.len()).rev();
            let target =
                lengths.into_iter().find_map(|length| modules.get_key_value(&path[..length]));
            if let Some((target, _)) = target.filter(|(target, _)| *target != module) {
                targets.insert(target);
            }
        }
        imports.insert(module, targets);
    }
    imports
}

/// Returns the absolute form of every path in `tokens` that stays within the crate.
fn paths(
    module: &ModulePath,
    tokens: &[Token],
    modules: &BTreeMap<ModulePath, SourceFile<'_>>,
) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for index in 0..tokens.len() {
        let continues_a_path = index >= 2 && starts_with(&tokens[index - 2..], &[":", ":"]);
        if continues_a_path || !starts_with(&tokens[index + 1..], &[":", ":"]) {
            continue;
        }
        let mut base = module.clone();
        let mut rest = index;
        match tokens[index].text.as_str() {
            // `$crate` of a macro is an import of the crate that uses it.
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                base.pop();
            }
            name => {
                base.push(name.to_owned());
                if !modules.contains_key(&base) {
                    continue;
                }
            }
        }
        rest += 3;
        while starts_with(&tokens[rest..], &["super", ":", ":"]) {
            base.pop();
            rest += 3;
        }
        expand(&base, &tokens[rest..], &mut paths);
    }
    paths
}

/// Adds every path that `tokens`, which follow a `::`, continue `base` to; returns their number.
fn expand(base: &[String], tokens: &[Token], paths: &mut Vec<Vec<String>>) -> usize {
    let Some(first) = tokens.first() else { return 0 };
    if first.text != "{" {
        let mut path = base.to_vec();
        path.push(first.text.clone());
        if starts_with(&tokens[1..], &[":", ":"]) {
            return 3 + expand(&path, &tokens[3..], paths);
        }
        paths.push(path);
        return 1;
    }
    let mut index = 1;
    while let Some(token) = tokens.get(index) {
        match token.text.as_str() {
            "}" => return index + 1,
            "," => index += 1,
            // `name as other`.
            "as" => index += 2,
            _ => index += expand(base, &tokens[index..], paths),
        }
    }
    index
}

/// Returns the groups of modules that reach each other.
fn cycles<'m>(
    imports: &BTreeMap<&'m ModulePath, BTreeSet<&'m ModulePath>>,
) -> Vec<Vec<&'m ModulePath>> {
    let reach = |start: &'m ModulePath| {
        let mut reached = BTreeSet::new();
        let mut open = vec![start];
        while let Some(module) = open.pop() {
            for &next in &imports[module] {
                if reached.insert(next) {
                    open.push(next);
                }
            }
        }
        reached
    };
    let reached: BTreeMap<_, _> = imports.keys().map(|&module| (module, reach(module))).collect();
    let mut grouped = BTreeSet::new();
    let mut cycles = Vec::new();
    for (&module, others) in &reached {
        if others.contains(module) && !grouped.contains(module) {
            let cycle: Vec<_> =
                others.iter().copied().filter(|other| reached[*other].contains(module)).collect();
            grouped.extend(cycle.iter().copied());
            cycles.push(cycle);
        }
    }
    cycles
}

#[cfg(test)]
mod tests {
    use super::super::workspace::testing::sources;
    use super::*;

    fn cycles_in(files: &[(&str, &str)]) -> Vec<String> {
        let paths: Vec<_> = files.iter().map(|(path, _)| format!("crates/x/src/{path}")).collect();
        let files: Vec<_> =
            paths.iter().zip(files).map(|(path, (_, text))| (path.as_str(), *text)).collect();
        no_import_cycles(&sources(&files))
    }

    #[test]
    fn files_that_import_each_other_are_reported() {
        let lib = ("lib.rs", "mod a;\nmod b;\npub use a::A;");
        assert_eq!(cycles_in(&[lib, ("a.rs", "use crate::b::B;"), ("b.rs", "")]), [""; 0]);
        assert_eq!(
            cycles_in(&[lib, ("a.rs", "use crate::b::B;"), ("b.rs", "fn f(a: super::a::A) {}")]),
            ["import each other: crates/x/src/a.rs, crates/x/src/b.rs"]
        );
        let grouped = ("a.rs", "use crate::{b::{B, C as D}, c};");
        assert_eq!(cycles_in(&[lib, grouped, ("b.rs", "use crate::a::A;")]).len(), 1);
    }

    #[test]
    fn an_import_by_way_of_the_parent_is_reported() {
        let lib = ("lib.rs", "mod a;\nmod b;\npub use a::A;");
        assert_eq!(cycles_in(&[lib, ("a.rs", ""), ("b.rs", "use crate::A;")]), [""; 0]);
        let lib = ("lib.rs", "mod a;\nmod b;\npub use a::A;\npub use b::B;");
        assert_eq!(cycles_in(&[lib, ("a.rs", ""), ("b.rs", "use crate::A;")]).len(), 1);
        let parent = ("m/mod.rs", "mod a;\nmod b;\npub use a::A;\npub use b::B;");
        assert_eq!(cycles_in(&[parent, ("m/a.rs", ""), ("m/b.rs", "use super::A;")]).len(), 1);
        assert_eq!(cycles_in(&[parent, ("m/a.rs", ""), ("m/b.rs", "use super::a::A;")]), [""; 0]);
    }

    #[test]
    fn unit_tests_and_documentation_may_import_anything() {
        let lib = ("lib.rs", "mod a;\npub use a::A;");
        let test = ("a.rs", "#[cfg(test)]\nmod tests { use crate::A; }");
        assert_eq!(cycles_in(&[lib, test]), [""; 0]);
        assert_eq!(cycles_in(&[lib, ("a.rs", "/// See [`A`](crate::A).\nstruct A;")]), [""; 0]);
    }
}
