//! Folders full of people.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use secrecy::ExposeSecret;
use vpn_operator::{credentials::MasterKey, model::corporate_id::CorporateId};

/// How people are spread over files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One file each, a thousand a sub-folder.
    Each,
    /// All in one file.
    One,
}

impl Layout {
    pub fn name(self) -> &'static str {
        match self {
            Self::Each => "one file each",
            Self::One => "all in one file",
        }
    }
}

/// ID of a person by number.
pub fn id(number: usize) -> CorporateId {
    CorporateId::parse(&format!("AB{number:06}")).unwrap()
}

/// Account of a person by number.
pub fn account(number: usize) -> String {
    id(number).account()
}

/// What the person's client sends.
pub fn credential(key: &MasterKey, number: usize) -> String {
    format!("{}:{}", account(number), key.password(&id(number), 1).expose_secret())
}

/// A document as a person would write it.
pub fn document(number: usize, active: bool, owner: &str) -> String {
    let id = id(number);
    format!(
        "apiVersion: vpn-operator.io/v1alpha1\nkind: VpnUser\nmetadata:\n  name: {}\nspec:\n  corporateId: {id}\n  \
         owner: {owner} {number}\n  email: p{number}@example.com\n  role: engineer\n  active: {active}\n  \
         validUntil: 2099-01-01T00:00:00Z\n  traffic:\n    limit: 100Gi\n    period: Month\n",
        id.object_name()
    )
}

/// All people of a range in one text.
pub fn documents(numbers: std::ops::Range<usize>, owner: &str) -> String {
    let mut text = String::new();
    for number in numbers {
        let _ = writeln!(text, "---\n{}", document(number, true, owner));
    }
    text
}

/// Where a person's document is.
pub fn path(folder: &Path, layout: Layout, number: usize) -> PathBuf {
    match layout {
        Layout::Each => folder.join(format!("{:03}/{}.yaml", number / 1000, id(number).object_name())),
        Layout::One => folder.join("people.yaml"),
    }
}

/// Writes so many people into a folder.
pub fn write(folder: &Path, layout: Layout, count: usize) {
    match layout {
        Layout::One => fs::write(path(folder, layout, 0), documents(0..count, "Person")).unwrap(),
        Layout::Each => {
            for number in 0..count {
                let path = path(folder, layout, number);
                if number % 1000 == 0 {
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                }
                fs::write(path, document(number, true, "Person")).unwrap();
            }
        }
    }
}

/// Puts a new version of a file in place in one step, as editors and Git do.
pub fn replace(path: &Path, text: &str) {
    let new = path.with_file_name(".new-version");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}
