//! Objects of the three kinds: how they are kept (as JSON text) and how they are given out.

use std::{collections::BTreeMap, fmt, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::model::{
    FINALIZER, OWN,
    gateway::{VpnGateway, VpnGatewaySpec, VpnGatewayStatus},
    hold::{VpnHold, VpnHoldSpec, VpnHoldStatus},
    hr::{HR_MARKS, HrMarks},
    user::{VpnUser, VpnUserSpec, VpnUserStatus},
};

/// Annotation with the file that declares an object.
pub const SOURCE_FILE: &str = "vpn-operator.io/source-file";

/// Kind of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    User,
    Hold,
    Gateway,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::User, Self::Hold, Self::Gateway];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "VpnUser",
            Self::Hold => "VpnHold",
            Self::Gateway => "VpnGateway",
        }
    }

    /// The kind of the generated definitions.
    pub const fn model(self) -> crate::model::Kind {
        match self {
            Self::User => crate::model::Kind::VpnUser,
            Self::Hold => crate::model::Kind::VpnHold,
            Self::Gateway => crate::model::Kind::VpnGateway,
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A declared spec.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Spec {
    User(Box<VpnUserSpec>),
    Hold(Box<VpnHoldSpec>),
    Gateway(Box<VpnGatewaySpec>),
}

impl Spec {
    pub const fn kind(&self) -> Kind {
        match self {
            Self::User(_) => Kind::User,
            Self::Hold(_) => Kind::Hold,
            Self::Gateway(_) => Kind::Gateway,
        }
    }

    pub fn from_json(kind: Kind, text: &str) -> Result<Self, serde_json::Error> {
        Ok(match kind {
            Kind::User => Self::User(serde_json::from_str(text)?),
            Kind::Hold => Self::Hold(serde_json::from_str(text)?),
            Kind::Gateway => Self::Gateway(serde_json::from_str(text)?),
        })
    }

    pub fn to_value(&self) -> Result<serde_json::Value, serde_json::Error> {
        match self {
            Self::User(spec) => serde_json::to_value(spec),
            Self::Hold(spec) => serde_json::to_value(spec),
            Self::Gateway(spec) => serde_json::to_value(spec),
        }
    }

    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::User(spec) => serde_json::to_string(spec),
            Self::Hold(spec) => serde_json::to_string(spec),
            Self::Gateway(spec) => serde_json::to_string(spec),
        }
    }
}

/// Declared labels and annotations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Notes {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Which folder a file is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Root {
    /// The folder that people write.
    People,
    /// The folder of the operator's own holds.
    Own,
}

/// A file: its folder, and its path in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileKey {
    pub root: Root,
    pub path: Arc<str>,
}

/// First 128 bits of the SHA-256 of a document's text.
pub(super) type Digest = [u8; 16];

/// Everything that is kept of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// Number of the object, its key in the record.
    pub id: u32,
    pub kind: Kind,
    pub namespace: Arc<str>,
    pub name: Arc<str>,
    pub uid: [u8; 16],
    pub generation: i64,
    pub version: u64,
    /// Creation time.
    pub created: Timestamp,
    /// When its document was found to be gone.
    pub deleted: Option<Timestamp>,
    pub file: FileKey,
    /// Digest of the document that is in force.
    pub digest: Digest,
    /// Spec as JSON.
    pub spec: Arc<str>,
    /// [`Notes`] as JSON.
    pub notes: Option<Arc<str>>,
    /// Status as JSON.
    pub status: Option<Arc<str>>,
    /// What HR's events left on a user. Kept here alone: no document is edited for it.
    pub hr: HrMarks,
}

/// A kind that can be put together from a row.
pub(super) trait Assemble: Sized {
    type Spec: DeserializeOwned;
    type Status: DeserializeOwned;
    fn assemble(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self;
}

macro_rules! assemble {
    ($object:ident, $spec:ident, $status:ident) => {
        impl Assemble for $object {
            type Spec = $spec;
            type Status = $status;
            fn assemble(metadata: ObjectMeta, spec: $spec, status: Option<$status>) -> Self {
                Self {
                    metadata,
                    spec,
                    status,
                }
            }
        }
    };
}
assemble!(VpnUser, VpnUserSpec, VpnUserStatus);
assemble!(VpnHold, VpnHoldSpec, VpnHoldStatus);
assemble!(VpnGateway, VpnGatewaySpec, VpnGatewayStatus);

/// The object as an API server would give it out.
pub(super) fn assemble<K: Assemble>(row: &Row) -> Result<K, serde_json::Error> {
    let notes: Notes = row
        .notes
        .as_deref()
        .map(serde_json::from_str)
        .transpose()?
        .unwrap_or_default();
    let mut annotations = notes.annotations;
    annotations.retain(|name, _| row.kind != Kind::User || !HR_MARKS.contains(&name.as_str()));
    annotations.extend(row.hr.annotations());
    annotations.insert(SOURCE_FILE.to_owned(), row.file.path.to_string());
    if row.file.root == Root::Own {
        annotations.insert(OWN.to_owned(), "true".to_owned());
    }
    let metadata = ObjectMeta {
        name: Some(row.name.to_string()),
        namespace: Some(row.namespace.to_string()),
        uid: Some(uid_text(row.uid)),
        generation: Some(row.generation),
        resource_version: Some(row.version.to_string()),
        creation_timestamp: Some(Time(row.created)),
        deletion_timestamp: row.deleted.map(Time),
        finalizers: Some(vec![FINALIZER.to_owned()]),
        labels: (!notes.labels.is_empty()).then_some(notes.labels),
        annotations: Some(annotations),
        ..ObjectMeta::default()
    };
    let status = row.status.as_deref().map(serde_json::from_str).transpose()?;
    Ok(K::assemble(metadata, serde_json::from_str(&row.spec)?, status))
}

/// What of a row cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken {
    /// Spec, labels or annotations: what its document says.
    pub document: bool,
    pub status: bool,
}

impl Row {
    /// Looks at the parts one by one.
    pub fn broken(&self) -> Broken {
        fn parts<K: Assemble>(row: &Row) -> Broken {
            fn is_bad<T: DeserializeOwned>(text: Option<&str>) -> bool {
                text.is_some_and(|text| serde_json::from_str::<T>(text).is_err())
            }
            Broken {
                document: is_bad::<K::Spec>(Some(&row.spec)) || is_bad::<Notes>(row.notes.as_deref()),
                status: is_bad::<K::Status>(row.status.as_deref()),
            }
        }
        match self.kind {
            Kind::User => parts::<VpnUser>(self),
            Kind::Hold => parts::<VpnHold>(self),
            Kind::Gateway => parts::<VpnGateway>(self),
        }
    }
}

/// A random uid (version 4).
pub(super) fn new_uid() -> [u8; 16] {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        // Without randomness uniqueness within this process must do; a uid is a name, not a secret.
        bytes = jiff::Timestamp::now().as_nanosecond().to_le_bytes();
    }
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    bytes
}

fn uid_text(uid: [u8; 16]) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(uid));
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}
