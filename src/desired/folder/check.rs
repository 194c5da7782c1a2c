//! Checks a folder or a file without touching anything.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    document::advice,
    object::{FileKey, Kind, Root, Spec},
    problem::Problem,
    references::{self, Reference},
    scan::{Content, Digests, Document, What, concerns_us, scan_file},
    separation::Separation,
    walk::{Roots, list},
};

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Files that were read.
    pub files: usize,
    /// Good users.
    pub users: usize,
    /// Good holds.
    pub holds: usize,
    /// Good gateways.
    pub gateways: usize,
    /// Everything that is wrong, in the order of files and lines.
    pub problems: Vec<Problem>,
    /// What is in force as it is written and most likely not meant, in the same order.
    pub warnings: Vec<Problem>,
    /// What the good documents name that has to be read elsewhere.
    pub references: Vec<Reference>,
    /// Where each good user is declared, by name.
    pub users_at: BTreeMap<String, UserAt>,
}

/// Where a user is declared, and the account that is theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAt {
    /// The place, as `file:line`.
    pub place: String,
    /// The account on the gateways.
    pub account: String,
}

/// Reads a folder, or one file, as the operator would on its first start.
///
/// # Errors
/// The path cannot be read at all.
pub fn check(path: &Path) -> io::Result<CheckReport> {
    let path = std::path::absolute(path)?;
    let mut report = CheckReport::default();
    let (folder, files) = if fs::metadata(&path)?.is_dir() {
        let listing = list(&path, |_| ())?;
        for (folder, reason) in listing.unreadable {
            report
                .problems
                .push(Problem::of_file(folder, format!("cannot be read: {reason}")));
        }
        (path, listing.files)
    } else {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or(io::ErrorKind::InvalidFilename)?;
        (path.parent().map(Path::to_owned).unwrap_or_default(), vec![name.into()])
    };
    let roots = Roots::new(folder, PathBuf::new(), None);
    let mut places = HashMap::new();
    let mut separation = Separation::default();
    for path in files {
        let file = FileKey {
            root: Root::People,
            path,
        };
        report.files += 1;
        let shown = &*file.path;
        match scan_file(&roots, &file, &Digests::default()).content {
            Content::Gone => {}
            Content::Unreadable(reason) | Content::Failed(reason) => {
                report.problems.push(Problem::of_file(shown, reason));
            }
            Content::Documents(documents) if !concerns_us(&documents) => {}
            Content::Documents(documents) => {
                for document in documents {
                    report.add(shown, document, &mut places, &mut separation);
                }
            }
        }
    }
    report.warnings.extend(separation.warnings());
    report.problems.sort();
    report.warnings.sort();
    Ok(report)
}

/// Where each object was declared first.
type Places = HashMap<(Kind, String), String>;

impl CheckReport {
    fn add(&mut self, file: &str, document: Document, places: &mut Places, separation: &mut Separation) {
        match document.what {
            // Nothing is known here, and everything is read.
            What::Known(_) | What::Unread(..) => {}
            What::Bad(bad) => {
                let faults = bad.faults.into_iter();
                self.problems.extend(faults.map(|fault| fault.at(file, document.base)));
            }
            What::Object(declared, text) => {
                let advice = advice(&declared, &text).into_iter();
                self.warnings.extend(advice.map(|fault| fault.at(file, document.base)));
                let key = (declared.kind, declared.name.clone());
                if let Some(first) = places.get(&key) {
                    self.problems.push(Problem {
                        file: file.to_owned(),
                        line: document.line,
                        column: 1,
                        field: None,
                        message: format!("{} {} is declared in {first} already", declared.kind, declared.name),
                    });
                    return;
                }
                places.insert(key, format!("{file}:{}", document.line));
                separation.add(&declared, file, document.line);
                self.references.extend(references::of(&declared, file, document.line));
                match &declared.spec {
                    Spec::User(spec) => {
                        self.users += 1;
                        let at = UserAt {
                            place: format!("{file}:{}", document.line),
                            account: spec.account(),
                        };
                        self.users_at.insert(declared.name, at);
                    }
                    Spec::Hold(_) => self.holds += 1,
                    Spec::Gateway(_) => self.gateways += 1,
                }
            }
        }
    }
}
