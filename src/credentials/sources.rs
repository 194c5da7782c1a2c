//! Reading the secrets that resources name.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use tokio::io::AsyncReadExt;

use super::secret_in;
use crate::model::secret_source::{SecretKeyRef, SecretSource};

/// More than any secret has, certificates included.
const MAX_LEN: u64 = 64 * 1024;

/// The operator's own secrets, these and those that begin with them and `_`. Whoever may write a resource must not be
/// able to copy them into a link or send them to a host of their choice.
const OWN_VARIABLES: [&str; 4] = ["MASTER_KEY", "CORPORATE_SECRET", "WEBHOOK_SECRET", "TELEGRAM_BOT_TOKEN"];

/// Folders that show the operator's environment, memory and identity.
const OWN_FOLDERS: [&str; 4] = ["/proc", "/sys", "/dev", "/run/secrets/kubernetes.io"];

/// Why a secret could not be read. Names the source, never the value.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// None or several of the fields are set.
    #[error("exactly one of secretKeyRef, env and file must be given")]
    NotOne,
    /// No such variable.
    #[error("the environment variable {0} is not set, or is not UTF-8: set it for the operator's process")]
    NoVariable(String),
    /// The file cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is nothing in it.
    #[error("{0} is empty")]
    Empty(String),
    /// One of the operator's own secrets.
    #[error("{0} belongs to the operator itself, and no resource may use it: keep this secret somewhere else")]
    Own(String),
    /// A file or a variable of the pod, and whoever may write a resource in the cluster does not own the pod.
    #[error("in a cluster only secretKeyRef can be used: put the secret into a Secret of the namespace")]
    NotInCluster,
    /// A Secret of Kubernetes, and there is no Kubernetes.
    #[error("secretKeyRef needs Kubernetes, and desired state is a folder: use env or file instead")]
    NoCluster,
    /// The Secret cannot be read.
    #[error("key {key} of Secret {name} cannot be read: {message}")]
    Cluster {
        /// Name of the Secret.
        name: String,
        /// Key within the Secret.
        key: String,
        /// Why, without the value.
        message: String,
    },
}

/// Reads keys of Secrets from a cluster.
#[async_trait]
pub trait SecretLookup: Send + Sync + 'static {
    /// Reads one key; an error says why not, without the value.
    async fn lookup(&self, key: &SecretKeyRef) -> Result<SecretString, String>;
}

/// Reads the secrets that resources name.
#[derive(Clone)]
pub struct Sources {
    data_dir: PathBuf,
    cluster: Option<Arc<dyn SecretLookup>>,
}

impl Sources {
    /// Sources without a cluster. No resource may read what is in the data folder.
    #[must_use]
    pub fn local(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            cluster: None,
        }
    }

    /// Sources with a cluster: Secrets, and nothing of the pod itself, where the operator's own secrets are files.
    #[must_use]
    pub fn cluster(data_dir: &Path, lookup: Arc<dyn SecretLookup>) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            cluster: Some(lookup),
        }
    }

    /// Reads a secret. Line ends behind it are not part of it.
    ///
    /// # Errors
    /// Names the source and what to do.
    pub async fn resolve(&self, source: &SecretSource) -> Result<SecretString, SourceError> {
        let (text, place) = match source {
            SecretSource {
                secret_key_ref: Some(key),
                env: None,
                file: None,
            } => (
                self.read_key(key).await?,
                format!("key {} of Secret {}", key.key, key.name),
            ),
            SecretSource {
                secret_key_ref: None,
                env: Some(_),
                file: None,
            }
            | SecretSource {
                secret_key_ref: None,
                env: None,
                file: Some(_),
            } if self.cluster.is_some() => return Err(SourceError::NotInCluster),
            SecretSource {
                secret_key_ref: None,
                env: Some(name),
                file: None,
            } => (read_variable(name)?, format!("the environment variable {name}")),
            SecretSource {
                secret_key_ref: None,
                env: None,
                file: Some(path),
            } => (self.read_file(Path::new(path)).await?, path.clone()),
            _ => return Err(SourceError::NotOne),
        };
        let secret = secret_in(text.expose_secret());
        if secret.is_empty() {
            return Err(SourceError::Empty(place));
        }
        Ok(SecretString::from(secret))
    }

    async fn read_key(&self, key: &SecretKeyRef) -> Result<SecretString, SourceError> {
        let cluster = self.cluster.as_ref().ok_or(SourceError::NoCluster)?;
        cluster.lookup(key).await.map_err(|message| SourceError::Cluster {
            name: key.name.clone(),
            key: key.key.clone(),
            message,
        })
    }

    async fn read_file(&self, path: &Path) -> Result<SecretString, SourceError> {
        let failed = |error| SourceError::File {
            path: path.to_owned(),
            error,
        };
        // Links are followed first, so that the file that is judged is the one that is read.
        let real = tokio::fs::canonicalize(path).await.map_err(failed)?;
        let data_dir = tokio::fs::canonicalize(&self.data_dir).await;
        let data_dir = data_dir.unwrap_or_else(|_| self.data_dir.clone());
        if real.starts_with(data_dir) || OWN_FOLDERS.iter().any(|folder| real.starts_with(folder)) {
            return Err(SourceError::Own(path.display().to_string()));
        }
        // Opening a pipe would wait for its other end.
        if !tokio::fs::metadata(&real).await.map_err(failed)?.is_file() {
            return Err(failed(io::Error::other("it is not a regular file")));
        }
        let file = tokio::fs::File::open(&real).await.map_err(failed)?;
        let mut text = Zeroizing::new(String::new());
        let length = file.take(MAX_LEN + 1).read_to_string(&mut text).await.map_err(failed)?;
        if length as u64 > MAX_LEN {
            return Err(failed(io::Error::other("it is longer than 64 KiB")));
        }
        Ok(SecretString::from(text.as_str()))
    }
}

fn read_variable(name: &str) -> Result<SecretString, SourceError> {
    let own = |own: &str| {
        name.strip_prefix(own)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    if OWN_VARIABLES.iter().any(|variable| own(variable)) {
        return Err(SourceError::Own(format!("the environment variable {name}")));
    }
    let value = std::env::var(name).map_err(|_| SourceError::NoVariable(name.to_owned()))?;
    Ok(SecretString::from(value))
}
