//! What the operator itself writes into the folders. Blocking; runs on threads that may block.

use std::{
    collections::HashMap,
    fmt, fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_yaml::Value;

use super::{
    document::{Reading, read},
    document_text::document_text,
    edit::set_spec_scalars,
    files::{self, Written},
    mailbox::{Found, Mailbox, Urgent},
    object::{FileKey, Kind, Notes, Root, Spec},
    scan::{Digests, read_text, scan_file},
    split::{Slice, is_blank, split},
    walk::Roots,
};
use crate::{
    clock::SharedClock,
    desired::{DesiredError, FieldManager, Result, UserPatch},
    model::{ORDERED_BY, user::VpnUserSpec},
};

/// How often an edit begins anew when other writers get in its way.
const ATTEMPTS: usize = 8;
/// Mode of a new file in the people's folder; the umask takes from it.
const PEOPLE_MODE: u32 = 0o664;
/// Mode of the operator's own files.
const OWN_MODE: u32 = 0o600;

/// Makes a file and its name durable: [`files::sync`].
pub(super) type SyncFile = Arc<dyn Fn(&Path) -> io::Result<()> + Send + Sync>;

/// Everything that writing needs.
pub(super) struct DocumentWriter {
    pub roots: Arc<Roots>,
    pub digests: Digests,
    pub mailbox: Arc<Mailbox>,
    pub clock: SharedClock,
    pub sync: SyncFile,
}

/// A change of one document of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Edit {
    Patch(UserPatch),
    Delete,
}

impl DocumentWriter {
    pub fn get(&self, kind: Kind, name: &str) -> Result<Option<Found>> {
        self.mailbox.ask(|reply| Urgent::Get(kind, name.to_owned(), reply))
    }

    /// Reads a file that was just written, and waits until its events are sent.
    fn refresh(&self, file: &FileKey, deleted: Vec<(Kind, String)>) -> Result<()> {
        let mut scan = scan_file(&self.roots, file, &self.digests);
        scan.deleted = deleted;
        self.mailbox.ask(|reply| Urgent::Refresh(scan, reply))
    }

    /// Creates an object of its own file. One that exists with the same spec is success.
    ///
    /// It is durable when this returns. One of the operator's own, which is a hold, denies before it is durable: that waits for the
    /// disk, and nobody is let in meanwhile. A power failure in between leaves an order that nobody was told of: it stands, by its
    /// content or by the name of its file, or it does not.
    pub fn create(&self, root: Root, name: &str, spec: &Spec, notes: &Notes, manager: FieldManager) -> Result<Found> {
        let kind = spec.kind();
        let json = spec
            .to_json()
            .map_err(|error| DesiredError::Invalid(error.to_string()))?;
        let exists = || DesiredError::AlreadyExists {
            kind: kind.as_str(),
            name: name.to_owned(),
        };
        if let Some(found) = self.get(kind, name)?
            && found.row.deleted.is_none()
        {
            return if *found.row.spec == *json {
                Ok(found)
            } else {
                Err(exists())
            };
        }
        let text = self.text(name, spec, notes, manager).or_else(|error| {
            // A hold is an order, and is placed although the name of who ordered it cannot stand in a document.
            let mut without = notes.clone();
            if without.annotations.remove(ORDERED_BY).is_none() {
                return Err(error);
            }
            self.text(name, spec, &without, manager)
        })?;
        let file = self.write_new(root, name, &text)?;
        self.refresh(&file, Vec::new())?;
        if root == Root::Own {
            self.make_durable(&file, name, &text)?;
        }
        match self.get(kind, name)? {
            Some(found) if found.row.file == file => Ok(found),
            other => {
                // Somebody else declared it at the same moment: theirs stays, ours would only be in the way.
                let written = files::remove(&self.roots.absolute(&file), text.as_bytes());
                self.refresh(&file, Vec::new())?;
                match (other, written) {
                    (Some(found), _) if *found.row.spec == *json && found.row.deleted.is_none() => Ok(found),
                    _ => Err(exists()),
                }
            }
        }
    }

    /// Makes the file of a hold durable. Where that fails the hold is lifted again: whoever ordered it is told, and has to know
    /// where they stand.
    fn make_durable(&self, file: &FileKey, name: &str, text: &str) -> Result<()> {
        let path = self.roots.absolute(file);
        let failed = match (self.sync)(&path) {
            Ok(()) => return Ok(()),
            // Lifted again already.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => self.unwritable(file.root, &error),
        };
        match files::remove(&path, text.as_bytes()) {
            Ok(_) => self.refresh(file, vec![(Kind::Hold, name.to_owned())])?,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "a hold that is not durable cannot be removed either: it denies");
            }
        }
        Err(failed)
    }

    fn text(&self, name: &str, spec: &Spec, notes: &Notes, manager: FieldManager) -> Result<String> {
        let now = self.clock.now();
        let now = now.round(jiff::Unit::Second).unwrap_or(now);
        document_text(&format!("Created by {} at {now}.", manager.as_str()), name, spec, notes)
    }

    /// Writes a new file `<name>.yaml`, or the next free name. One of the operator's own is not durable yet.
    fn write_new(&self, root: Root, name: &str, text: &str) -> Result<FileKey> {
        if !is_object_name(name) {
            return Err(DesiredError::Invalid(format!(
                "metadata.name: '{name}' is not an object name: lower-case letters, digits, '-' and '.' are accepted"
            )));
        }
        if root == Root::People {
            // Not into the empty mount point of a folder that is away.
            self.roots.check(root).map_err(|error| self.unwritable(root, &error))?;
        }
        let mode = if root == Root::Own { OWN_MODE } else { PEOPLE_MODE };
        for number in 1..=100 {
            let path = if number == 1 {
                format!("{name}.yaml")
            } else {
                format!("{name}-{number}.yaml")
            };
            let file = FileKey {
                root,
                path: path.into(),
            };
            let absolute = self.roots.absolute(&file);
            if root == Root::Own && fs::read(&absolute).is_ok_and(|there| there == text.as_bytes()) {
                return Ok(file);
            }
            let written = match root {
                Root::Own => files::place(&absolute, text.as_bytes(), mode),
                Root::People => files::create(&absolute, text.as_bytes(), mode),
            };
            match written {
                Ok(()) => return Ok(file),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(self.unwritable(root, &error)),
            }
        }
        Err(DesiredError::Unavailable(format!(
            "{name}.yaml and every other name for it is taken"
        )))
    }

    fn unwritable(&self, root: Root, error: &io::Error) -> DesiredError {
        DesiredError::Unavailable(format!(
            "{} cannot be written: {error}",
            self.roots.path(root).display()
        ))
    }

    /// Removes a hold's own file. The hold is gone when this returns.
    pub fn lift_hold(&self, name: &str) -> Result<()> {
        let found = self.get(Kind::Hold, name)?.ok_or_else(|| DesiredError::NotFound {
            kind: Kind::Hold.as_str(),
            name: name.to_owned(),
        })?;
        let file = &found.row.file;
        if file.root == Root::People && found.row.deleted.is_none() {
            return Err(DesiredError::NotEditable {
                name: name.to_owned(),
                message: format!(
                    "people declare this hold in {}:{}: remove it there",
                    self.roots.display(file),
                    found.line
                ),
            });
        }
        if file.root == Root::Own {
            let path = self.roots.absolute(file);
            match fs::read(&path).and_then(|content| files::remove(&path, &content)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(self.unwritable(Root::Own, &error)),
            }
        }
        let scan = scan_file(&self.roots, file, &self.digests);
        self.mailbox.ask(|reply| Urgent::Lift(scan, name.to_owned(), reply))
    }

    /// Makes edits of one file in one write. Answers each edit.
    pub fn edit(&self, file: &FileKey, edits: &[(String, Edit)]) -> Vec<Result<()>> {
        for _ in 0..ATTEMPTS {
            match self.try_edit(file, edits) {
                Ok(Some(answers)) => return answers,
                Ok(None) => {}
                Err(message) => return edits.iter().map(|(name, _)| not_editable(name, &message)).collect(),
            }
        }
        let conflict = |(name, _): &(String, Edit)| {
            Err(DesiredError::Conflict {
                kind: Kind::User.as_str(),
                name: name.clone(),
                message: format!("{} is being written all the time", self.roots.display(file)),
            })
        };
        edits.iter().map(conflict).collect()
    }

    /// One attempt; `None` when another writer was faster.
    fn try_edit(&self, file: &FileKey, edits: &[(String, Edit)]) -> Result<Option<Vec<Result<()>>>, String> {
        let path = self.real_path(file)?;
        let failed = |error: &dyn fmt::Display| format!("{} cannot be read: {error}", path.display());
        let text = read_text(&path, &mut 0).map_err(|error| failed(&error))?;
        let text = text.map_err(|wrong| failed(&wrong.fault.message))?;
        let mut pages = Pages::new(&text);
        let mut answers: Vec<Result<()>> = edits.iter().map(|(name, edit)| pages.edit(name, edit)).collect();
        let new = pages.text();
        if new != text {
            let empty = split(&new).iter().all(|slice| slice.text.lines().all(is_blank));
            let written = if empty {
                files::remove(&path, text.as_bytes())
            } else {
                files::replace(&path, text.as_bytes(), new.as_bytes())
            };
            match written {
                Ok(Written::Done) => {}
                Ok(Written::Overtaken) => return Ok(None),
                Err(error) => return Err(format!("{} cannot be written: {error}", path.display())),
            }
        }
        let gone = |((name, edit), answer): (&(String, Edit), &Result<()>)| {
            (*edit == Edit::Delete && answer.is_ok()).then(|| (Kind::User, name.clone()))
        };
        let deleted = edits.iter().zip(&answers).filter_map(gone).collect();
        if let Err(error) = self.refresh(file, deleted) {
            let message = error.to_string();
            for answer in answers.iter_mut().filter(|answer| answer.is_ok()) {
                *answer = Err(DesiredError::Unavailable(message.clone()));
            }
        }
        Ok(Some(answers))
    }

    /// The file behind a link, if it may be written.
    fn real_path(&self, file: &FileKey) -> Result<PathBuf, String> {
        let shown = self.roots.display(file);
        let by_hand = |what: &str| format!("{shown} {what}: change it by hand");
        let path = self.roots.absolute(file);
        let failed = |error: io::Error| format!("{shown} cannot be read: {error}");
        let real = fs::canonicalize(&path).map_err(failed)?;
        let root = fs::canonicalize(self.roots.path(file.root)).map_err(failed)?;
        if !real.starts_with(root) {
            return Err(by_hand("is a link to a file outside the folder"));
        }
        let meta = fs::metadata(&real).map_err(failed)?;
        if meta.permissions().readonly() {
            return Err(by_hand("is read-only"));
        }
        if meta.nlink() > 1 {
            return Err(by_hand("has several names (hard links)"));
        }
        let hidden = |path: &Path| {
            path.components()
                .any(|part| part.as_os_str().to_string_lossy().starts_with(".."))
        };
        if hidden(&real) {
            return Err(by_hand("is mounted from a ConfigMap"));
        }
        Ok(real)
    }
}

fn not_editable(name: &str, message: &str) -> Result<()> {
    Err(DesiredError::NotEditable {
        name: name.to_owned(),
        message: message.to_owned(),
    })
}

/// Whether this can be the name of an object, and so the name of a file.
fn is_object_name(name: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    name.len() <= 200 && edge(name.bytes().next()) && edge(name.bytes().last()) && name.bytes().all(inner)
}

/// A file's documents while they are edited.
struct Pages<'a> {
    slices: Vec<Slice<'a>>,
    /// Edited documents; an empty one is removed.
    edited: HashMap<usize, String>,
    /// Documents by what stands after `name:` in them. Only a hint.
    names: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Pages<'a> {
    fn new(text: &'a str) -> Self {
        let slices = split(text);
        let mut names: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, slice) in slices.iter().enumerate() {
            for row in slice.text.lines() {
                if let Some((key, value)) = row.split_once("name")
                    && key
                        .chars()
                        .all(|c| " {\"',".contains(c) || c.is_ascii_alphabetic() || c == ':')
                {
                    let value = value.trim_start_matches(['"', '\'', ':', ' ']);
                    let value = value.split(['"', '\'', ' ', ',', '}', '#']).next().unwrap_or_default();
                    names.entry(value).or_default().push(at);
                }
            }
        }
        Self {
            slices,
            edited: HashMap::new(),
            names,
        }
    }

    fn page(&self, at: usize) -> &str {
        match self.edited.get(&at) {
            Some(text) => text,
            None => self.slices.get(at).map_or("", |slice| slice.text),
        }
    }

    /// The document that declares a user.
    fn find(&self, name: &str) -> Option<(usize, Reading)> {
        let found = |reading: &Reading| match reading {
            Reading::Object(declared) => declared.kind == Kind::User && declared.name == name,
            Reading::Bad(bad) => bad
                .identity
                .as_ref()
                .is_some_and(|(kind, it)| *kind == Kind::User && it == name),
            Reading::Ignored | Reading::Items(_) => false,
        };
        let is_it = |at: usize| match read(self.page(at)) {
            Reading::Items(items) => {
                let mut readings = items.into_iter().map(|item| item.reading);
                readings.find(&found).map(|reading| (at, reading))
            }
            reading => found(&reading).then_some((at, reading)),
        };
        let hinted = self.names.get(name).into_iter().flatten().find_map(|at| is_it(*at));
        hinted.or_else(|| {
            let holds_name = |at: &usize| self.page(*at).contains(name);
            (0..self.slices.len()).filter(holds_name).find_map(is_it)
        })
    }

    fn edit(&mut self, name: &str, edit: &Edit) -> Result<()> {
        let Some((at, reading)) = self.find(name) else {
            return Err(DesiredError::NotFound {
                kind: Kind::User.as_str(),
                name: name.to_owned(),
            });
        };
        let new = match (edit, reading) {
            (Edit::Delete, Reading::Object(declared)) if declared.item.is_some() => {
                return not_editable(name, "it is an item of a list: take it out by hand");
            }
            (Edit::Delete, _) => String::new(),
            (Edit::Patch(patch), Reading::Object(declared)) => {
                let Spec::User(spec) = &declared.spec else {
                    return not_editable(name, "it is not a user");
                };
                let changes = changes(spec, patch);
                if changes.is_empty() {
                    return Ok(());
                }
                match set_spec_scalars(self.page(at), declared.item, &changes) {
                    Ok(new) => new,
                    Err(message) => return not_editable(name, &message),
                }
            }
            (Edit::Patch(_), _) => return not_editable(name, "its document has faults: mend them first"),
        };
        self.edited.insert(at, new);
        Ok(())
    }

    fn text(&self) -> String {
        (0..self.slices.len()).map(|at| self.page(at)).collect()
    }
}

fn changes(spec: &VpnUserSpec, patch: &UserPatch) -> Vec<(&'static str, Value)> {
    let flag = patch
        .active
        .filter(|new| *new != spec.active)
        .map(|new| ("active", Value::Bool(new)));
    let number = |field, old: i64, new: Option<i64>| {
        new.filter(|new| *new != old)
            .map(|new| (field, Value::Number(new.into())))
    };
    let numbers = [
        number(
            "credentialGeneration",
            spec.credential_generation,
            patch.credential_generation,
        ),
        number(
            "subscriptionGeneration",
            spec.subscription_generation,
            patch.subscription_generation,
        ),
    ];
    let role = patch.role.as_ref().filter(|new| spec.role.as_ref() != Some(new));
    let role = role.map(|new| ("role", Value::from(new.as_str())));
    let numbers = numbers.into_iter().flatten();
    flag.into_iter().chain(role).chain(numbers).collect()
}
