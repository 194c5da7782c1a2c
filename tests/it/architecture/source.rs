//! One file of source text, as far as it names others.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use regex::Regex;

use super::graph::Graph;

/// A path as it is written, in its parts.
type Written = Vec<String>;

static TESTS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*mod\s+\w+\s*([;{])").unwrap());
static USE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\buse\s+([^;<>]+);").unwrap());
static PATH: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b(?:crate|super|self|vpn_operator)(?:\s*::\s*\w+)+").unwrap());

/// What a file names.
pub struct Source {
    /// Its own path: `["http", "users"]`.
    module: Written,
    /// Every path that it names, beginning at the crate.
    named: Vec<Written>,
    /// What names that it imports stand for: its children may use them as its own.
    imports: BTreeMap<String, Written>,
}

impl Source {
    /// Reads a file below `src/`; `None` for files of tests, and for the list of rooms.
    pub fn read(path: &str, text: &str) -> Option<Self> {
        let mut module: Written = path.strip_suffix(".rs")?.split('/').map(str::to_owned).collect();
        let last = module.last()?.clone();
        if last == "tests" || last.ends_with("_tests") || module == ["lib"] {
            return None;
        }
        if last == "mod" {
            module.pop();
        }
        let text = without_tests(&code(text));
        let mut named = Vec::new();
        let mut imports = BTreeMap::new();
        for item in USE.captures_iter(&text) {
            let mut leaves = Vec::new();
            expand(&item[1], &[], &mut leaves);
            for (alias, written) in leaves {
                let path = absolute(&module, written);
                imports.insert(alias, path.clone());
                named.push(path);
            }
        }
        for path in PATH.find_iter(&USE.replace_all(&text, "")) {
            named.push(absolute(&module, parts(path.as_str())));
        }
        Some(Self { module, named, imports })
    }
}

/// By module: the modules that it names.
pub fn uses(sources: &[Source]) -> Graph {
    let modules: BTreeMap<&[String], &Source> = sources.iter().map(|it| (it.module.as_slice(), it)).collect();
    let of = |source: &Source| -> BTreeSet<String> {
        let found = source.named.iter().filter_map(|path| home(&modules, source, path));
        found.map(|module| module.join("::")).collect()
    };
    sources.iter().map(|it| (it.module.join("::"), of(it))).collect()
}

/// The module that a path leads to: the deepest on the way, through what modules import from elsewhere.
fn home(modules: &BTreeMap<&[String], &Source>, from: &Source, path: &[String]) -> Option<Written> {
    let mut path = path.to_vec();
    // As many steps as anybody re-exports something: a name that stands for itself would have no end.
    for _ in 0..8 {
        let depth = (1..=path.len())
            .rev()
            .find(|depth| modules.contains_key(&path[..*depth]))?;
        let module = modules[&path[..depth]];
        let leads_on = path
            .get(depth)
            .and_then(|name| module.imports.get(name))
            .filter(|_| module.module != from.module);
        match leads_on {
            Some(target) => path = target.iter().chain(&path[depth + 1..]).cloned().collect(),
            None => return Some(path[..depth].to_vec()).filter(|found| *found != from.module),
        }
    }
    None
}

/// A path from the crate on. One that begins with neither `crate` nor `self` nor `super` names a child, or another crate.
fn absolute(module: &[String], written: Written) -> Written {
    let mut base = module.to_vec();
    let mut rest = written.into_iter().peekable();
    match rest.peek().map(String::as_str) {
        Some("crate" | "vpn_operator") => {
            base.clear();
            rest.next();
        }
        Some("self") => drop(rest.next()),
        _ => {}
    }
    while rest.next_if(|part| part == "super").is_some() {
        base.pop();
    }
    base.extend(rest.filter(|part| part != "self"));
    base
}

fn parts(path: &str) -> Written {
    path.split("::").map(|part| part.trim().to_owned()).collect()
}

/// Every path of a tree of `use`, with the name that it gets.
fn expand(tree: &str, before: &[String], leaves: &mut Vec<(String, Written)>) {
    let tree = tree.trim();
    if let Some((head, list)) = tree.split_once('{') {
        let mut base = before.to_vec();
        base.extend(parts(head).into_iter().filter(|part| !part.is_empty()));
        let list = list.trim_end().strip_suffix('}').unwrap_or(list);
        let (mut depth, mut begin) = (0, 0);
        for (at, letter) in list.char_indices().chain([(list.len(), ',')]) {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    let branch = list[begin..at].trim();
                    if !branch.is_empty() {
                        expand(branch, &base, leaves);
                    }
                    begin = (at + 1).min(list.len());
                }
                _ => {}
            }
        }
        return;
    }
    let (path, alias) = tree.split_once(" as ").unwrap_or((tree, ""));
    let mut whole = before.to_vec();
    whole.extend(parts(path));
    let name = if alias.is_empty() {
        whole
            .iter()
            .rev()
            .find(|part| *part != "self")
            .cloned()
            .unwrap_or_default()
    } else {
        alias.trim().to_owned()
    };
    leaves.push((name, whole));
}

/// The text without comments, and with nothing in its literals.
fn code(text: &str) -> String {
    static OTHER: LazyLock<Regex> = LazyLock::new(|| {
        let pieces = [
            r"//[^\n]*",
            r"/\*",
            r#"\bb?r#*""#,
            r#""(?:[^"\\]|\\.)*""#,
            r"'(?:[^'\\\n]|\\[^\n][^'\n]*)'",
        ];
        Regex::new(&format!("(?s){}", pieces.join("|"))).unwrap()
    });
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = OTHER.find(rest) {
        code.push_str(&rest[..found.start()]);
        code.push(' ');
        let end = match found.as_str() {
            "/*" => found.start() + comment_len(&rest[found.start()..]),
            raw if raw.ends_with('"') && raw.trim_start_matches('b').starts_with('r') => {
                let close = format!("\"{}", "#".repeat(raw.matches('#').count()));
                rest[found.end()..]
                    .find(&close)
                    .map_or(rest.len(), |at| found.end() + at + close.len())
            }
            _ => found.end(),
        };
        rest = &rest[end..];
    }
    code + rest
}

/// Length of a block comment; they nest.
fn comment_len(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The code without modules of tests.
fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(found) = TESTS.captures(rest) {
        let (whole, end) = (found.get(0).unwrap(), found.get(1).unwrap());
        kept.push_str(&rest[..whole.start()]);
        rest = &rest[whole.end()..];
        if end.as_str() == "{" {
            let mut depth = 1;
            let close = rest.find(|letter| {
                depth += i32::from(letter == '{') - i32::from(letter == '}');
                depth == 0
            });
            rest = close.map_or("", |at| &rest[at + 1..]);
        }
    }
    kept + rest
}
