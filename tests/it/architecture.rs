//! The floors of the house: no room uses one above it, and no file uses another that uses it back.
//!
//! Read from the text of `src/`: from `use` items, and from paths that begin with `crate::`, `super::` or `self::`. What a
//! file names by way of its `mod.rs` (`super::Thing`, where that one imports or re-exports `Thing`) counts as naming the
//! file where it stands, so that a re-export hides no circle.
//!
//! Two things do not count. That a module names its own children: it declares them and puts them together, and in return
//! they may use what it defines itself. And tests: those of a file may use whatever they like.

mod graph;
mod source;

use std::{collections::BTreeMap, fs, path::Path};

use self::{
    graph::{Graph, circle},
    source::Source,
};

/// From the ground up. A room uses only rooms of its own floor and of those above it in this list.
const FLOORS: &[&[&str]] = &[
    &["model", "clock", "fence", "sqlite", "store", "texts"],
    &[
        "api",
        "desired",
        "credentials",
        "gateway",
        "history",
        "backup",
        "verdicts",
        "registry",
        "metrics",
        "cluster",
        "config",
        "serve",
        "telemetry",
        "simulation",
        "import",
        "inbox",
        "linking",
        "handover",
        "mail",
    ],
    &["auth"],
    &["forms"],
    &["roster"],
    &["issue"],
    &["reconcile"],
    &["access"],
    &["http", "bot"],
    &["cli"],
    &["main"],
];

fn room(module: &str) -> &str {
    module.split("::").next().unwrap_or_default()
}

/// What is wrong with the house, one line each.
fn faults(files: &[(String, String)]) -> Vec<String> {
    let sources: Vec<Source> = files
        .iter()
        .filter_map(|(path, text)| Source::read(path, text))
        .collect();
    let uses = source::uses(&sources);
    let mut faults = Vec::new();
    let floor = |name: &str| FLOORS.iter().position(|rooms| rooms.contains(&name));
    let mut rooms = Graph::new();
    for module in uses.keys() {
        if floor(room(module)).is_none() {
            faults.push(format!("{module} is in no room that has a floor"));
        }
    }
    for (module, used) in &uses {
        for other in used.iter().filter(|other| room(other) != room(module)) {
            if floor(room(other)) > floor(room(module)) {
                faults.push(format!("{module} reaches upwards to {other}"));
            }
            rooms
                .entry(room(module).to_owned())
                .or_default()
                .insert(room(other).to_owned());
        }
    }
    faults.extend(circle(&rooms).map(|names| format!("rooms use each other in a circle: {names}")));
    let within = |module: &String, other: &String| room(module) == room(other);
    let own_child = |module: &String, other: &String| other.starts_with(&format!("{module}::"));
    let files: Graph = uses
        .iter()
        .map(|(module, used)| {
            let counts = |other: &&String| within(module, other) && !own_child(module, other);
            (module.clone(), used.iter().filter(counts).cloned().collect())
        })
        .collect();
    let mut by_room: BTreeMap<String, Graph> = BTreeMap::new();
    for (module, used) in files {
        by_room
            .entry(room(&module).to_owned())
            .or_default()
            .insert(module, used);
    }
    for graph in by_room.values() {
        faults.extend(circle(graph).map(|names| format!("files use each other in a circle: {names}")));
    }
    faults
}

fn collect(folder: &Path, root: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, root, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn no_room_reaches_upwards_and_no_files_go_in_circles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    assert!(files.len() > 100, "{} files were found", files.len());
    let faults = faults(&files);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Whoever writes a client needs the types of the API, and nothing that stands behind them.
#[test]
fn the_api_uses_no_room_but_the_model() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    let sources: Vec<Source> = files
        .iter()
        .filter_map(|(path, text)| Source::read(path, text))
        .collect();
    let uses = source::uses(&sources);
    let of_api: Vec<_> = uses.iter().filter(|(module, _)| room(module) == "api").collect();
    assert!(of_api.len() > 10, "{of_api:?}");
    for (module, used) in of_api {
        let others: Vec<_> = used
            .iter()
            .filter(|other| !["api", "model"].contains(&room(other)))
            .collect();
        assert!(others.is_empty(), "{module} uses {others:?}");
    }
}

#[test]
fn every_room_has_its_floor_in_the_documentation() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for document in ["docs/architecture.md", "src/lib.rs"] {
        let text = fs::read_to_string(root.join(document)).unwrap();
        for name in FLOORS.iter().copied().flatten().filter(|name| **name != "main") {
            let named = [format!("`{name}/`"), format!("`{name}.rs`"), format!("[`{name}`]")];
            assert!(
                named.iter().any(|name| text.contains(name)),
                "{document} says nothing of {name}"
            );
        }
    }
}

#[test]
fn decision_records_have_one_number_each() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/decisions");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    assert!(!names.is_empty());
    let mut last = 0;
    for name in &names {
        let number: u32 = name.split_once('-').unwrap().0.parse().unwrap();
        assert!(name.starts_with(&format!("{number:04}-")) && number > last, "{name}");
        last = number;
        let text = fs::read_to_string(folder.join(name)).unwrap();
        assert!(
            text.starts_with(&format!("# {number}. ")),
            "{name}: the heading has another number"
        );
    }
}

mod planted {
    use super::faults;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect();
        faults(&files)
    }

    const ROSTER: (&str, &str) = ("roster/mod.rs", "pub mod guard;\npub struct Roster;");
    const GUARD: (&str, &str) = ("roster/guard.rs", "pub struct Guard;");

    #[test]
    fn reaching_upwards_is_found_however_it_is_written() {
        for text in [
            "use crate::roster::Roster;",
            "use crate::{\n    clock::Clock,\n    roster::{Roster, guard::Guard},\n};",
            "pub use super::super::roster::Roster as Everyone;",
            "fn f() { let _ = crate::roster::guard::Guard; }",
            "fn f() { use crate::roster::*; }",
            "/* it is /* not */ told */ use crate::roster::Roster; // and why",
            "const NOT_A_COMMENT: &str = \"//\"; use crate::roster::Roster;",
        ] {
            let faults = found(&[("auth/index.rs", text), ROSTER, GUARD]);
            assert!(
                faults
                    .iter()
                    .any(|fault| fault.starts_with("auth::index reaches upwards to roster")),
                "{text}: {faults:?}"
            );
        }
    }

    #[test]
    fn comments_strings_and_tests_reach_nowhere() {
        let quiet = "//! See [`crate::roster`].\nconst A: &str = \"crate::roster::Roster\";\nconst B: &str = r#\"use crate::roster::Roster;\"#;\n\
                     const C: char = '\"'; const D: &str = \"crate::roster\";\n\
                     #[cfg(test)]\nmod tests {\n    use crate::roster::Roster;\n    fn f() { if true {} }\n}\n";
        assert_eq!(found(&[("auth/index.rs", quiet), ROSTER, GUARD]), [""; 0]);
        let apart = "#[cfg(test)]\n#[path = \"index_tests.rs\"]\nmod tests;\n";
        let tests = ("auth/index_tests.rs", "use crate::roster::Roster;");
        assert_eq!(found(&[("auth/index.rs", apart), tests, ROSTER, GUARD]), [""; 0]);
    }

    #[test]
    fn what_stands_behind_tests_still_counts() {
        let text = "#[cfg(test)]\nmod tests {\n    fn f() {}\n}\nuse crate::roster::Roster;";
        assert_eq!(found(&[("auth/index.rs", text), ROSTER, GUARD]).len(), 1);
    }

    #[test]
    fn a_room_without_a_floor_is_found() {
        assert_eq!(
            found(&[("cellar/mod.rs", "")]),
            ["cellar is in no room that has a floor"]
        );
    }

    #[test]
    fn rooms_of_one_floor_may_use_each_other_one_way_only() {
        let one_way = [
            ("gateway/mod.rs", "pub struct A;"),
            ("history/mod.rs", "use crate::gateway::A;"),
        ];
        assert_eq!(found(&one_way), [""; 0]);
        let both = [
            ("gateway/mod.rs", "use crate::history::B; pub struct A;"),
            ("history/mod.rs", "use crate::gateway::A; pub struct B;"),
        ];
        assert_eq!(
            found(&both),
            ["rooms use each other in a circle: gateway -> history -> gateway"]
        );
    }

    #[test]
    fn files_in_a_circle_are_found_also_when_the_room_re_exports_them() {
        let a = ("http/a.rs", "use super::b::B; pub struct A;");
        let direct = ("http/b.rs", "use super::a::A; pub struct B;");
        let hidden = ("http/b.rs", "fn f(_: super::A) {} pub struct B;");
        let circle = ["files use each other in a circle: http::a -> http::b -> http::a"];
        for front in ["mod a; mod b; pub use self::a::A;", "mod a; mod b; use a::A;"] {
            assert_eq!(found(&[("http/mod.rs", front), a, direct]), circle);
            assert_eq!(found(&[("http/mod.rs", front), a, hidden]), circle);
        }
        let three = [
            ("http/a.rs", "use super::b::B;"),
            ("http/b.rs", "use super::deep::c::C;"),
            ("http/deep/c.rs", "use crate::http::a::A;"),
        ];
        assert_eq!(
            found(&three),
            ["files use each other in a circle: http::a -> http::b -> http::deep::c -> http::a"]
        );
    }

    #[test]
    fn a_module_and_its_children_may_use_each_other() {
        let house = [
            (
                "http/mod.rs",
                "mod a; mod b; pub use a::A; use self::b::B; pub struct State(B);",
            ),
            ("http/a.rs", "use super::State; pub struct A;"),
            ("http/b.rs", "use super::{State, a::A}; pub struct B;"),
        ];
        assert_eq!(found(&house), [""; 0]);
    }
}
