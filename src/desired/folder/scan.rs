//! Reads one file: documents, digests, and the objects in those that are not known yet.

use std::{
    collections::HashMap,
    fs, io,
    io::Read as _,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    document::{Bad, Declared, Item, Reading, digest, read},
    object::{Digest, FileKey, Kind},
    odd_characters::{decode, mentions},
    problem::Fault,
    split::{Slice, is_blank, split},
    walk::{Roots, signature},
};

use crate::model::GROUP;

/// Largest file in bytes.
const MAX_FILE: u64 = 1 << 30;
/// Documents that are looked up under one lock.
const CHUNK: usize = 1024;

/// Documents in force, by digest. A document found here needs no parsing.
pub(super) type Digests = Arc<RwLock<HashMap<Digest, u32>>>;

/// A file as it was read.
#[derive(Debug)]
pub(super) struct FileScan {
    pub file: FileKey,
    /// Rises with every reading: an older reading never overwrites a newer one.
    pub ticket: u64,
    /// Signature before reading.
    pub signature: u64,
    pub content: Content,
    /// Deleted on purpose: its absence needs no second look.
    pub deleted: Vec<(Kind, String)>,
}

/// What was in the file.
#[derive(Debug)]
pub(super) enum Content {
    /// It cannot be read as a whole, for what it says.
    Unreadable(String),
    /// It cannot be read at present: trying again may help.
    Failed(String),
    /// There is no such file.
    Gone,
    /// Its documents, in their order; those that do not concern us left out.
    Documents(Vec<Document>),
}

/// One document.
#[derive(Debug)]
pub(super) struct Document {
    /// Line of the file on which the text begins; faults count from it.
    pub base: u32,
    /// Line on which the document itself begins, after its marker and comments.
    pub line: u32,
    pub digest: Digest,
    pub what: What,
}

/// What a document says.
#[derive(Debug)]
pub(super) enum What {
    /// The same as this object's document that is in force.
    Known(u32),
    /// A good document, and its text: all of a list that it is an item of.
    Object(Box<Declared>, Arc<str>),
    /// A document with faults.
    Bad(Box<Bad>),
    /// One that was not read yet: the text of the file, and where in it the document is. See [`scan_in_part`].
    Unread(Arc<String>, Range<usize>),
}

impl Document {
    /// The documents that this one is, read if it was not: none when it is not ours.
    pub fn read(self, digests: &Digests) -> Vec<Self> {
        let What::Unread(text, range) = &self.what else {
            return vec![self];
        };
        let slice = Slice {
            text: text.get(range.clone()).unwrap_or_default(),
            start: range.start,
            line: self.base,
        };
        // As in a scan: a parser's bug must not take the whole source down.
        catch_unwind(AssertUnwindSafe(|| read_slice(&slice, self.digest, digests))).unwrap_or_else(|_| {
            let fault = Fault {
                line: 1,
                column: 1,
                field: None,
                message: "cannot be parsed".to_owned(),
            };
            vec![Self {
                what: What::Bad(Box::new(Bad::unreadable(fault, true))),
                ..self
            }]
        })
    }
}

static TICKETS: AtomicU64 = AtomicU64::new(1);

/// Reads a file. Never fails: what goes wrong is part of the answer.
pub(super) fn scan_file(roots: &Roots, file: &FileKey, digests: &Digests) -> FileScan {
    scan_in_part(roots, file, digests, usize::MAX)
}

/// Reads a file, but of its documents that are new only about so many: the rest is [`What::Unread`], which takes less memory
/// than what it says. Whether the file holds something, and something of ours, is known in any case.
pub(super) fn scan_in_part(roots: &Roots, file: &FileKey, digests: &Digests, most: usize) -> FileScan {
    let ticket = TICKETS.fetch_add(1, Ordering::Relaxed);
    let path = roots.absolute(file);
    let mut stamp = 0;
    // A parser's bug must not take the whole source down.
    let content = catch_unwind(AssertUnwindSafe(|| match read_text(&path, &mut stamp) {
        Ok(Ok(text)) => Content::Documents(documents(text, digests, most)),
        Ok(Err(wrong)) => Content::Documents(vec![Document {
            base: 1,
            line: 1,
            digest: Digest::default(),
            what: What::Bad(Box::new(Bad::unreadable(wrong.fault, wrong.ours))),
        }]),
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(&path).is_err() => {
            match roots.check(file.root) {
                Ok(_) => Content::Gone,
                Err(error) => Content::Failed(format!("the folder cannot be read: {error}")),
            }
        }
        Err(error) if error.raw_os_error().is_some() => Content::Failed(format!("cannot be read: {error}")),
        Err(error) => Content::Unreadable(format!("cannot be read: {error}")),
    }));
    FileScan {
        file: file.clone(),
        ticket,
        signature: stamp,
        content: content.unwrap_or_else(|_| Content::Unreadable("cannot be parsed".to_owned())),
        deleted: Vec::new(),
    }
}

/// A file that is no text.
pub(super) struct NoText {
    pub fault: Fault,
    /// It speaks of our group all the same.
    pub ours: bool,
}

pub(super) fn read_text(path: &Path, stamp: &mut u64) -> io::Result<Result<String, NoText>> {
    let meta = fs::metadata(path)?;
    if !meta.is_file() {
        return Err(if meta.is_dir() {
            io::ErrorKind::NotFound.into()
        } else {
            io::Error::other("not a regular file")
        });
    }
    let mut file = fs::File::open(path)?;
    let meta = file.metadata()?;
    *stamp = signature(&meta);
    if meta.len() > MAX_FILE {
        return Err(io::Error::other(format!(
            "{} bytes are more than the {MAX_FILE} that are read",
            meta.len()
        )));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0).saturating_add(1));
    file.read_to_end(&mut bytes)?;
    let ours = |bytes: &[u8]| mentions(bytes, GROUP);
    Ok(decode(bytes).map_err(|(fault, bytes)| NoText {
        fault,
        ours: ours(&bytes),
    }))
}

/// Whether a file holds something of ours. What else is in it is nobody's mistake then.
pub(super) fn concerns_us(documents: &[Document]) -> bool {
    documents.iter().any(|document| document.what.concerns_us())
}

impl What {
    fn concerns_us(&self) -> bool {
        !matches!(self, Self::Bad(bad) if !bad.ours)
    }
}

fn documents(text: String, digests: &Digests, most: usize) -> Vec<Document> {
    let text = Arc::new(text);
    let slices = split(&text);
    let mut found = Vec::with_capacity(slices.len());
    let (mut read, mut ours) = (0, false);
    for chunk in slices.chunks(CHUNK) {
        let sums: Vec<Digest> = chunk.iter().map(|slice| digest(slice.text)).collect();
        let known: Vec<Option<u32>> = {
            let digests = digests.read().unwrap_or_else(PoisonError::into_inner);
            sums.iter().map(|sum| digests.get(sum).copied()).collect()
        };
        for ((slice, digest), known) in chunk.iter().zip(sums).zip(known) {
            let so_far = found.len();
            if let Some(id) = known {
                found.push(document_at(slice, digest, What::Known(id)));
            } else if read >= most && ours && !may_be_list(slice.text) {
                let range = slice.start..slice.start + slice.text.len();
                found.push(document_at(slice, digest, What::Unread(Arc::clone(&text), range)));
            } else {
                found.extend(read_slice(slice, digest, digests));
                read += 1;
            }
            ours = ours || found.iter().skip(so_far).any(|new| new.what.concerns_us());
        }
    }
    found
}

/// Items that are known have to be told before anything else of their file.
fn may_be_list(text: &str) -> bool {
    text.contains("items")
}

fn document_at(slice: &Slice<'_>, digest: Digest, what: What) -> Document {
    let lead = slice.text.lines().take_while(|row| is_blank(row)).count();
    Document {
        base: slice.line,
        line: slice.line.saturating_add(u32::try_from(lead).unwrap_or(u32::MAX)),
        digest,
        what,
    }
}

fn read_slice(slice: &Slice<'_>, digest: Digest, digests: &Digests) -> Vec<Document> {
    match read(slice.text) {
        Reading::Ignored => Vec::new(),
        Reading::Object(declared) => vec![document_at(slice, digest, What::Object(declared, slice.text.into()))],
        Reading::Bad(bad) => vec![document_at(slice, digest, What::Bad(Box::new(bad)))],
        Reading::Items(items) => {
            let text: Arc<str> = slice.text.into();
            let document = |item: Item| {
                let known = digests
                    .read()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get(&item.digest)
                    .copied();
                let what = match (known, item.reading) {
                    (Some(id), _) => What::Known(id),
                    (None, Reading::Object(declared)) => What::Object(declared, Arc::clone(&text)),
                    (None, Reading::Bad(bad)) => What::Bad(Box::new(bad)),
                    (None, Reading::Ignored | Reading::Items(_)) => return None,
                };
                Some(Document {
                    base: slice.line,
                    line: slice.line.saturating_add(item.line.saturating_sub(1)),
                    digest: item.digest,
                    what,
                })
            };
            items.into_iter().filter_map(document).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(number: usize) -> String {
        format!(
            "apiVersion: vpn-operator.io/v1alpha1\nkind: VpnUser\nmetadata:\n  name: ab{number:06}\nspec:\n  corporateId: \
             AB{number:06}\n"
        )
    }

    #[test]
    fn a_file_that_is_read_in_part_says_the_same_in_the_end() {
        let foreign = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n";
        let list = format!("kind: List\nitems:\n- {}", user(7).trim_end().replace('\n', "\n  "));
        let documents_of = [
            foreign.to_owned(),
            "a: 1\n".to_owned(),
            "# nothing\n".to_owned(),
            user(1),
            user(2).replace("corporateId: AB000002", "corporateId: 7"),
            foreign.to_owned(),
            format!("\n# of two\n{}", user(3)),
            list,
            "kind: [\n".to_owned(),
            user(4),
        ];
        let text = documents_of.join("---\n");
        let digests = Digests::default();
        let known = split(&text).into_iter().find(|slice| slice.text.contains("ab000001"));
        digests.write().unwrap().insert(digest(known.unwrap().text), 5);
        let whole = documents(text.clone(), &digests, usize::MAX);
        assert!(whole.iter().any(|it| matches!(it.what, What::Known(5))));
        for most in 0..documents_of.len() {
            let part = documents(text.clone(), &digests, most);
            let unread = part.iter().filter(|it| matches!(it.what, What::Unread(..))).count();
            assert!(most > 2 || unread > 2, "{most}: {unread}");
            let read: Vec<Document> = part.into_iter().flat_map(|it| it.read(&digests)).collect();
            assert_eq!(format!("{read:?}"), format!("{whole:?}"), "{most}");
        }
    }
}
