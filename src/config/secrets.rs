//! Secrets: read from the environment or from files, and never shown.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use secrecy::{SecretString, zeroize::Zeroizing};

use super::{AUTH_TOKEN_FILE, CORPORATE_SECRET_FILE, ConfigError, STATS_SECRET_FILE, open_to_others};
use crate::credentials::{Origin, load_or_create_secret, secret_in};

/// Looks up a variable of the environment.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The environment of this process.
#[must_use]
pub fn process_environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Variables that hold a secret. Each can be given as a file with `_FILE` behind its name.
pub const SECRET_VARIABLES: [&str; 14] = [
    "CORPORATE_SECRET",
    "CORPORATE_SECRET_PREVIOUS",
    "MASTER_KEY",
    "MASTER_KEY_PREVIOUS",
    "HYSTERIA_AUTH_TOKEN",
    "HYSTERIA_STATS_SECRET",
    "HYSTERIA_OBFS_PASSWORD",
    "BLITZ_API_TOKEN",
    "WEBHOOK_SECRETS",
    "WEBHOOK_SECRET",
    "API_CLIENTS",
    "SMTP_PASSWORD",
    "TELEGRAM_BOT_TOKEN",
    "API_TOKEN",
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
    /// API token of the environment's Blitz panel.
    pub blitz_api_token: Option<Secret>,
    /// Secrets of senders of HR events, each with its scheme.
    pub webhook_secrets: Option<Secret>,
    /// The one secret of a sender of HR events, as former installations have it.
    pub webhook_secret: Option<Secret>,
    /// Clients of the API with tokens of their own.
    pub api_clients: Option<Secret>,
    /// Password of the mail server.
    pub smtp_password: Option<Secret>,
    /// Token of the Telegram bot.
    pub bot_token: Option<Secret>,
    /// Token by which a bot of its own asks the operator.
    pub api_token: Option<Secret>,
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
            blitz,
            webhooks,
            webhook,
            clients,
            smtp,
            bot,
            api,
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
            blitz_api_token: read(blitz)?,
            webhook_secrets: read(webhooks)?,
            webhook_secret: read(webhook)?,
            api_clients: read(clients)?,
            smtp_password: read(smtp)?,
            bot_token: read(bot)?,
            api_token: read(api)?,
        })
    }

    /// The secrets that are made when they are not given: name of the variable, name of the file, and the secret.
    fn kept(&mut self) -> [(&'static str, &'static str, &mut Option<Secret>); 3] {
        [
            ("CORPORATE_SECRET", CORPORATE_SECRET_FILE, &mut self.corporate),
            ("HYSTERIA_AUTH_TOKEN", AUTH_TOKEN_FILE, &mut self.hysteria_auth_token),
            (
                "HYSTERIA_STATS_SECRET",
                STATS_SECRET_FILE,
                &mut self.hysteria_stats_secret,
            ),
        ]
    }

    /// As [`super::Config::complete_secrets`].
    pub(super) fn complete(&mut self, data_dir: &Path) -> Result<Vec<PathBuf>, ConfigError> {
        let mut made = Vec::new();
        for (name, file, secret) in self.kept() {
            if secret.is_some() {
                continue;
            }
            let (value, origin) = load_or_create_secret(data_dir, file, None)?;
            let path = data_dir.join(file);
            if matches!(origin, Origin::Created(_)) {
                made.push(path.clone());
            }
            *secret = Some(Secret {
                name,
                file: Some(path),
                value,
            });
        }
        Ok(made)
    }

    /// Completes the secrets with those that a running operator has made. Makes none itself.
    ///
    /// # Errors
    /// A file in the data folder cannot be read, or is empty.
    pub fn complete_from(&mut self, data_dir: &Path) -> Result<(), ConfigError> {
        for (name, file, secret) in self.kept() {
            let path = data_dir.join(file);
            if secret.is_none()
                && let Some(value) = read_kept(&path)?
            {
                *secret = Some(Secret {
                    name,
                    file: Some(path),
                    value,
                });
            }
        }
        Ok(())
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
    let bytes = Zeroizing::new(bytes);
    let value = std::str::from_utf8(&bytes).map_err(|_| ConfigError::NotText { origin: origin.clone() })?;
    not_empty(value, &origin)
}

fn text(value: OsString, origin: &str) -> Result<SecretString, ConfigError> {
    match value.into_string() {
        Ok(value) => not_empty(&Zeroizing::new(value), origin),
        Err(_) => Err(ConfigError::NotText {
            origin: origin.to_owned(),
        }),
    }
}

fn not_empty(text: &str, origin: &str) -> Result<SecretString, ConfigError> {
    let value = secret_in(text);
    if value.trim().is_empty() {
        return Err(ConfigError::EmptySecret {
            origin: origin.to_owned(),
        });
    }
    Ok(value.into())
}
