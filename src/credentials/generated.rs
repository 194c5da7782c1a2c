//! Secrets that are made on a first run when nobody gives them.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::{FileError, Origin, private_file, secret_in};

/// Finds a secret: the given `value`, else the file of that name in the data folder, else a new random one that is kept
/// there with mode 0600. A trailing newline is not part of it. The caller logs the file of a new one, never the value.
///
/// # Errors
/// Refuses an empty secret, and a file that others can read.
pub fn load_or_create_secret(
    data_dir: &Path,
    file_name: &str,
    value: Option<SecretString>,
) -> Result<(SecretString, Origin), FileError> {
    if let Some(value) = value {
        let secret = secret_in(value.expose_secret());
        if secret.is_empty() {
            return Err(FileError::Empty(format!("the value given for {file_name}")));
        }
        return Ok((SecretString::from(secret), Origin::Given));
    }
    let path = data_dir.join(file_name);
    if let Some(secret) = private_file::read(&path)? {
        return Ok((secret, Origin::File(path)));
    }
    private_file::make_folder(data_dir)?;
    let secret = private_file::random_token()?;
    private_file::write(&path, secret.expose_secret())?;
    Ok((secret, Origin::Created(path)))
}
