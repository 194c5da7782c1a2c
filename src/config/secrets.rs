//! Secrets: read from the environment or from files, made when there are none, and never shown.

use std::{
    ffi::OsString,
    fs::OpenOptions,
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

use super::{ConfigError, open_to_others};
use crate::model::secret_source::SecretSource;

/// Looks up a variable of the environment.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The environment of this process.
#[must_use]
pub fn process_environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Variables that hold a secret. Each can be given as a file with `_FILE` behind its name.
pub const SECRET_VARIABLES: [&str; 7] = [
    "CORPORATE_SECRET",
    "CORPORATE_SECRET_PREVIOUS",
    "MASTER_KEY",
    "MASTER_KEY_PREVIOUS",
    "HYSTERIA_AUTH_TOKEN",
    "HYSTERIA_STATS_SECRET",
    "HYSTERIA_OBFS_PASSWORD",
];

/// A secret, and where it was read from.
#[derive(Debug, Clone)]
pub struct Secret {
    /// Name of the variable.
    pub name: &'static str,
    /// The file that the variable with `_FILE` names; absent when the variable itself holds the value.
    pub file: Option<PathBuf>,
    /// The value.
    pub value: SecretString,
}

impl Secret {
    /// Reads `name` or `name_FILE`. Warns of a file that everybody on the machine can read.
    ///
    /// # Errors
    /// Both are set, the secret is empty or not text, or the file cannot be read.
    pub fn load(name: &'static str, environment: Lookup<'_>) -> Result<Option<Self>, ConfigError> {
        let file_name = format!("{name}_FILE");
        // An empty `_FILE` names no file; templates leave it so when nothing is mounted.
        let file = environment(&file_name)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from);
        match (environment(name), file) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(ConfigError::BothSet { name }),
            (Some(value), None) => text(value, name).map(|value| {
                Some(Self {
                    name,
                    file: None,
                    value,
                })
            }),
            (None, Some(path)) => {
                let value = read_file(&path, &file_name)?;
                Ok(Some(Self {
                    name,
                    file: Some(path),
                    value,
                }))
            }
        }
    }

    /// Where the secret was read from, for messages.
    #[must_use]
    pub fn origin(&self) -> String {
        match &self.file {
            Some(path) => format!("{}_FILE ({})", self.name, path.display()),
            None => self.name.to_owned(),
        }
    }
}

/// The secrets that were given. What is absent and needed is made by [`super::Config::complete_secrets`].
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// What callers of the API send as `X-Corporate-Secret`.
    pub corporate: Option<Secret>,
    /// Accepted beside it while callers change over.
    pub corporate_previous: Option<Secret>,
    /// The key from which passwords and subscription tokens are derived.
    pub master_key: Option<Secret>,
    /// The key before, while rotating.
    pub master_key_previous: Option<Secret>,
    /// Path secret of the auth listener.
    pub hysteria_auth_token: Option<Secret>,
    /// Secret of the nodes' statistics APIs.
    pub hysteria_stats_secret: Option<Secret>,
    /// Obfuscation password of the environment's gateway.
    pub hysteria_obfs_password: Option<Secret>,
}

impl Secrets {
    /// Reads every secret that is given.
    ///
    /// # Errors
    /// As [`Secret::load`].
    pub fn load(environment: Lookup<'_>) -> Result<Self, ConfigError> {
        let [
            corporate,
            corporate_previous,
            master_key,
            master_key_previous,
            auth_token,
            stats_secret,
            obfs,
        ] = SECRET_VARIABLES;
        let read = |name| Secret::load(name, environment);
        Ok(Self {
            corporate: read(corporate)?,
            corporate_previous: read(corporate_previous)?,
            master_key: read(master_key)?,
            master_key_previous: read(master_key_previous)?,
            hysteria_auth_token: read(auth_token)?,
            hysteria_stats_secret: read(stats_secret)?,
            hysteria_obfs_password: read(obfs)?,
        })
    }
}

/// The secret kept in `path`, or a new one of 256 bits, kept there with mode 0600 from then on.
///
/// The second part says whether it was made now. Two processes that start at once agree on one secret.
///
/// # Errors
/// The file cannot be read or written, or is empty.
pub fn load_or_create(path: &Path) -> Result<(SecretString, bool), ConfigError> {
    match read_kept(path)? {
        Some(value) => Ok((value, false)),
        None => create(path),
    }
}

/// The secret kept in `path`; `None` if there is no such file.
///
/// # Errors
/// The file cannot be read, or is empty.
pub fn read_kept(path: &Path) -> Result<Option<SecretString>, ConfigError> {
    match path.try_exists() {
        Ok(false) => Ok(None),
        _ => read_file(path, "secret file").map(Some),
    }
}

fn create(path: &Path) -> Result<(SecretString, bool), ConfigError> {
    let failed = |error: &dyn std::fmt::Display| ConfigError::File {
        origin: format!("secret file {}", path.display()),
        message: format!("cannot be written: {error}"),
    };
    let mut random = [0u8; 32];
    getrandom::fill(&mut random).map_err(|error| failed(&error))?;
    let mark = getrandom::u64().map_err(|error| failed(&error))?;
    let value = SecretString::from(URL_SAFE_NO_PAD.encode(random));
    let folder = path.parent().unwrap_or(Path::new("."));
    // Written aside and linked into place, so that nobody ever reads half a secret and the first of two writers wins.
    let aside = path.with_extension(format!("new-{mark:x}"));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)
        .and_then(|mut file| {
            file.write_all(value.expose_secret().as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        })
        .and_then(|()| std::fs::hard_link(&aside, path));
    let removed = std::fs::remove_file(&aside);
    match written {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return read_file(path, "secret file").map(|value| (value, false));
        }
        Err(error) => return Err(failed(&error)),
        Ok(()) => removed.map_err(|error| failed(&error))?,
    }
    std::fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| failed(&error))?;
    Ok((value, true))
}

/// Reads what a resource's secret source names. For sources that need no cluster.
///
/// # Errors
/// Not exactly one place is named, the place is a Kubernetes Secret, or it cannot be read. `field` is named.
pub fn read_source(source: &SecretSource, field: &str, environment: Lookup<'_>) -> Result<SecretString, ConfigError> {
    let wrong = |message| ConfigError::Source {
        field: field.to_owned(),
        message,
    };
    match (&source.secret_key_ref, &source.env, &source.file) {
        (None, Some(name), None) => match environment(name) {
            Some(value) => text(value, &format!("{field} (environment variable {name})")),
            None => Err(ConfigError::File {
                origin: field.to_owned(),
                message: format!("the environment variable {name} is not set"),
            }),
        },
        (None, None, Some(path)) => read_file(Path::new(path), field),
        (Some(_), None, None) => Err(wrong("secretKeyRef is a Secret of a cluster: use file or env here")),
        _ => Err(wrong("set exactly one of secretKeyRef, env and file")),
    }
}

fn read_file(path: &Path, setting: &str) -> Result<SecretString, ConfigError> {
    let origin = format!("{setting} ({})", path.display());
    let unreadable = |error: std::io::Error| ConfigError::File {
        origin: origin.clone(),
        message: format!("cannot be read: {error}"),
    };
    if open_to_others(path).map_err(unreadable)? != 0 {
        tracing::warn!(
            setting,
            path = %path.display(),
            "everybody on this machine can read this secret: chmod 600 it (defaultMode: 0400 for a mounted Secret)"
        );
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let Ok(mut value) = String::from_utf8(bytes) else {
        return Err(ConfigError::NotText { origin });
    };
    let kept = value
        .strip_suffix('\n')
        .map_or(value.len(), |rest| rest.strip_suffix('\r').unwrap_or(rest).len());
    value.truncate(kept);
    not_empty(value, &origin)
}

fn text(value: OsString, origin: &str) -> Result<SecretString, ConfigError> {
    match value.into_string() {
        Ok(value) => not_empty(value, origin),
        Err(_) => Err(ConfigError::NotText {
            origin: origin.to_owned(),
        }),
    }
}

fn not_empty(value: String, origin: &str) -> Result<SecretString, ConfigError> {
    if value.trim().is_empty() {
        return Err(ConfigError::EmptySecret {
            origin: origin.to_owned(),
        });
    }
    Ok(value.into())
}
