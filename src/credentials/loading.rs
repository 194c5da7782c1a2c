//! Where the master key comes from, and why a wrong one is never used.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use secrecy::{ExposeSecret, SecretBox, SecretString, zeroize::Zeroizing};

use super::{FileError, Key, MasterKey, Origin, private_file};

/// The key, in the data folder.
pub const KEY_FILE: &str = "master.key";
/// Keys of before a rotation, one a line, in the data folder.
pub const PREVIOUS_KEY_FILE: &str = "master.key.previous";
/// The id of the key with which the data beside it was made. Public.
pub const KEY_ID_FILE: &str = "key-id";

/// Why there is no master key. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// What was given is not 32 bytes.
    #[error(
        "{0} is not a master key: give 32 random bytes as 64 hexadecimal digits or as base64, \
         as `openssl rand -hex 32` prints them"
    )]
    Malformed(String),
    /// There is data, and no key.
    #[error(
        "{path} is missing, and the data beside it was made with master key {id}: restore that file from a backup, or give \
         the key in MASTER_KEY. No new key is made, because it would change every password and link",
        path = path.display()
    )]
    Missing {
        /// Where the key should be.
        path: PathBuf,
        /// Id of the key that is wanted.
        id: String,
    },
    /// There is no key, and none is made here.
    #[error(
        "there is no master key yet: start `vpn-operator run` once, which makes {path}, or give the key in MASTER_KEY",
        path = .0.display()
    )]
    None(PathBuf),
    /// There is no key, and this process must not make one.
    #[error(
        "there is no master key: give the one that the controller has in MASTER_KEY or MASTER_KEY_FILE. None is made here, \
         because passwords derived from another one would be refused"
    )]
    NotGiven,
    /// There is data, and the key is another one.
    #[error(
        "the master key from {origin} has the id {given}, and the data was made with {recorded} (see {record}): \
         give that key. To change the key on purpose, which changes every generated password and link, also give the old \
         one in MASTER_KEY_PREVIOUS",
        record = record.display()
    )]
    Wrong {
        /// Where the key came from.
        origin: String,
        /// Its id.
        given: String,
        /// Id of the key that is wanted.
        recorded: String,
        /// Where that is recorded.
        record: PathBuf,
    },
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

impl MasterKey {
    /// Finds the key: `given` (the value of `MASTER_KEY`), else [`KEY_FILE`] in the data folder, else, only when the
    /// folder has no recorded key id, a new one. Previous keys are read from [`PREVIOUS_KEY_FILE`] if there is one.
    ///
    /// # Errors
    /// Refuses a missing or another key for existing data, files that others can read, and what is not a key.
    pub fn load_or_create(data_dir: &Path, given: Option<SecretString>) -> Result<(Self, Origin), KeyError> {
        Self::load_or_rotate(data_dir, given, None)
    }

    /// As [`Self::load_or_create`], with previous keys given explicitly (the value of `MASTER_KEY_PREVIOUS`, one key or
    /// several separated by white space or commas). When the recorded key is one of them, the data passes to the new key.
    ///
    /// # Errors
    /// As [`Self::load_or_create`].
    pub fn load_or_rotate(
        data_dir: &Path,
        given: Option<SecretString>,
        previous: Option<SecretString>,
    ) -> Result<(Self, Origin), KeyError> {
        private_file::make_folder(data_dir)?;
        let found = Found::look(data_dir, given, previous)?;
        let (record, recorded) = (found.record.clone(), found.recorded.clone());
        let (key, origin) = match found.check()? {
            Ok(present) => present,
            Err((path, previous)) => {
                let key = create(&path)?;
                (Self::new(key, previous), Origin::Created(path))
            }
        };
        if recorded.as_deref() != Some(key.id()) {
            private_file::write(&record, key.id())?;
        }
        Ok((key, origin))
    }

    /// Finds the key as [`Self::load_or_rotate`] does, and changes nothing: no key is made, and no data passes to another.
    ///
    /// # Errors
    /// As [`Self::load_or_create`], and when there is no key.
    pub fn load(
        data_dir: &Path,
        given: Option<SecretString>,
        previous: Option<SecretString>,
    ) -> Result<Self, KeyError> {
        match Found::look(data_dir, given, previous)?.check()? {
            Ok((key, _)) => Ok(key),
            Err((path, _)) => Err(KeyError::None(path)),
        }
    }

    /// The key that is given (the value of `MASTER_KEY`), without a data folder: whether it is the one that the controller
    /// has nobody can tell here. Previous keys as with [`Self::load_or_rotate`].
    ///
    /// # Errors
    /// What is given is not a key, or nothing is.
    pub fn given(given: Option<SecretString>, previous: Option<SecretString>) -> Result<Self, KeyError> {
        let given = given.ok_or(KeyError::NotGiven)?;
        let key = parse(given.expose_secret(), "MASTER_KEY")?;
        let previous = previous.map_or(Ok(Vec::new()), |previous| parse_all(&previous, "MASTER_KEY_PREVIOUS"))?;
        Ok(Self::new(key, previous))
    }

    fn new(current: Key, previous: Vec<Key>) -> Self {
        Self {
            current: Arc::new(current),
            previous: previous.into(),
        }
    }
}

/// What there is of keys, before anything is judged.
struct Found {
    /// The key, where it came from, and that place for people.
    key: Option<(Key, Origin, String)>,
    previous: Vec<Key>,
    path: PathBuf,
    record: PathBuf,
    recorded: Option<String>,
}

/// A key that fits the data with its origin; or where one is to be made, and the previous ones.
type Judged = Result<(MasterKey, Origin), (PathBuf, Vec<Key>)>;

impl Found {
    fn look(data_dir: &Path, given: Option<SecretString>, previous: Option<SecretString>) -> Result<Self, KeyError> {
        let (path, record) = (data_dir.join(KEY_FILE), data_dir.join(KEY_ID_FILE));
        let previous = if let Some(previous) = previous {
            parse_all(&previous, "MASTER_KEY_PREVIOUS")?
        } else {
            let path = data_dir.join(PREVIOUS_KEY_FILE);
            let text = private_file::read(&path)?;
            text.map_or(Ok(Vec::new()), |text| parse_all(&text, &path.display().to_string()))?
        };
        let key = if let Some(given) = given {
            let key = parse(given.expose_secret(), "MASTER_KEY")?;
            Some((key, Origin::Given, "MASTER_KEY".to_owned()))
        } else if let Some(text) = private_file::read(&path)? {
            let place = path.display().to_string();
            Some((parse(text.expose_secret(), &place)?, Origin::File(path.clone()), place))
        } else {
            None
        };
        Ok(Self {
            key,
            previous,
            recorded: read_record(&record)?,
            path,
            record,
        })
    }

    /// Refuses a missing or another key for existing data.
    fn check(self) -> Result<Judged, KeyError> {
        let Some((key, origin, place)) = self.key else {
            return match self.recorded {
                Some(id) => Err(KeyError::Missing { path: self.path, id }),
                None => Ok(Err((self.path, self.previous))),
            };
        };
        match self.recorded {
            Some(recorded) if recorded != key.id && !self.previous.iter().any(|key| key.id == recorded) => {
                Err(KeyError::Wrong {
                    origin: place,
                    given: key.id,
                    recorded,
                    record: self.record,
                })
            }
            _ => Ok(Ok((MasterKey::new(key, self.previous), origin))),
        }
    }
}

fn read_record(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::Read {
            path: path.to_owned(),
            error,
        }),
    }
}

fn create(path: &Path) -> Result<Key, FileError> {
    let bytes = private_file::random_bytes()?;
    let text: Zeroizing<String> = Zeroizing::new(bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        text.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('0')));
        text
    }));
    private_file::write(path, &text)?;
    Ok(Key::new(SecretBox::new(Box::new(*bytes))))
}

fn parse_all(text: &SecretString, place: &str) -> Result<Vec<Key>, KeyError> {
    let keys = text.expose_secret().split(|c: char| c.is_whitespace() || c == ',');
    keys.filter(|key| !key.is_empty())
        .map(|key| parse(key, place))
        .collect()
}

fn parse(text: &str, place: &str) -> Result<Key, KeyError> {
    let text = text.trim();
    let bytes = from_hex(text).or_else(|| from_base64(text));
    let bytes = bytes.ok_or_else(|| KeyError::Malformed(place.to_owned()))?;
    Ok(Key::new(SecretBox::new(Box::new(*bytes))))
}

fn from_hex(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    if text.len() != 64 {
        return None;
    }
    let mut digits = text.chars().map(|c| c.to_digit(16));
    for byte in bytes.iter_mut() {
        let pair = digits.next()?? << 4 | digits.next()??;
        *byte = u8::try_from(pair).ok()?;
    }
    Some(bytes)
}

/// Either alphabet, with or without padding.
fn from_base64(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let plain = Zeroizing::new(text.trim_end_matches('=').replace('-', "+").replace('_', "/"));
    let decoded = Zeroizing::new(STANDARD_NO_PAD.decode(plain.as_bytes()).ok()?);
    Some(Zeroizing::new(decoded.as_slice().try_into().ok()?))
}
