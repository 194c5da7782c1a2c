//! Reads one file: documents, digests, and the objects in those that are not known yet.

use std::{
    collections::HashMap,
    fs, io,
    io::Read as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    document::{Bad, Declared, Reading, digest, read},
    object::{Digest, FileKey, Kind},
    odd_characters::{decode, mentions},
    problem::Fault,
    split::{is_blank, split},
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
    Bad(Bad),
}

static TICKETS: AtomicU64 = AtomicU64::new(1);

/// Reads a file. Never fails: what goes wrong is part of the answer.
pub(super) fn scan_file(roots: &Roots, file: &FileKey, digests: &Digests) -> FileScan {
    let ticket = TICKETS.fetch_add(1, Ordering::Relaxed);
    let path = roots.absolute(file);
    let mut stamp = 0;
    // A parser's bug must not take the whole source down.
    let content = catch_unwind(AssertUnwindSafe(|| match read_text(&path, &mut stamp) {
        Ok(Ok(text)) => Content::Documents(documents(&text, digests)),
        Ok(Err(wrong)) => Content::Documents(vec![Document {
            base: 1,
            line: 1,
            digest: Digest::default(),
            what: What::Bad(Bad::unreadable(wrong.fault, wrong.ours)),
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
    documents
        .iter()
        .any(|document| !matches!(&document.what, What::Bad(bad) if !bad.ours))
}

fn documents(text: &str, digests: &Digests) -> Vec<Document> {
    let slices = split(text);
    let mut found = Vec::with_capacity(slices.len());
    for chunk in slices.chunks(CHUNK) {
        let sums: Vec<Digest> = chunk.iter().map(|slice| digest(slice.text)).collect();
        let known: Vec<Option<u32>> = {
            let digests = digests.read().unwrap_or_else(PoisonError::into_inner);
            sums.iter().map(|sum| digests.get(sum).copied()).collect()
        };
        for ((slice, digest), known) in chunk.iter().zip(sums).zip(known) {
            let lead = slice.text.lines().take_while(|row| is_blank(row)).count();
            let mut push = |line: u32, digest, what| {
                found.push(Document {
                    base: slice.line,
                    line: slice.line.saturating_add(line),
                    digest,
                    what,
                });
            };
            let lead = u32::try_from(lead).unwrap_or(u32::MAX);
            match known.map_or_else(|| read(slice.text), |_| Reading::Ignored) {
                Reading::Ignored => {
                    if let Some(id) = known {
                        push(lead, digest, What::Known(id));
                    }
                }
                Reading::Object(declared) => push(lead, digest, What::Object(declared, slice.text.into())),
                Reading::Bad(bad) => push(lead, digest, What::Bad(bad)),
                Reading::Items(items) => {
                    let text: Arc<str> = slice.text.into();
                    for item in items {
                        let known = digests
                            .read()
                            .unwrap_or_else(PoisonError::into_inner)
                            .get(&item.digest)
                            .copied();
                        let what = match (known, item.reading) {
                            (Some(id), _) => What::Known(id),
                            (None, Reading::Object(declared)) => What::Object(declared, text.clone()),
                            (None, Reading::Bad(bad)) => What::Bad(bad),
                            (None, Reading::Ignored | Reading::Items(_)) => continue,
                        };
                        push(item.line.saturating_sub(1), item.digest, what);
                    }
                }
            }
        }
    }
    found
}
