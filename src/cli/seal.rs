//! `seal`: an existing password, made fit to be kept beside the declarations.

use std::io::{IsTerminal, Read};

use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

use super::{
    args::Seal,
    exit::CommandError,
    output::{Output, note},
    rooms,
};
use crate::{
    config::{Secrets, secrets::process_environment},
    credentials::secret_in,
};

/// More than any password has.
const MAX_LEN: u64 = 4096;

pub(super) fn run(args: &Seal, output: &mut Output) -> Result<(), CommandError> {
    let secrets = Secrets::load(&process_environment)?;
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        note("Type the password and end with Ctrl-D. It is visible while you type: `… < FILE` is not.");
    }
    let password = read(stdin.lock())?;
    let sealed = rooms::seal(&args.data_dir, &secrets, &args.id, &password)?;
    output.line(&sealed)
}

/// One line, without its end.
fn read(from: impl Read) -> Result<SecretString, CommandError> {
    let mut text = Zeroizing::new(String::new());
    let length = from
        .take(MAX_LEN + 1)
        .read_to_string(&mut text)
        .map_err(|error| CommandError::invalid(format!("the password cannot be read from stdin: {error}")))?;
    let password = SecretString::from(secret_in(&text));
    let wrong = |what: &str| Err(CommandError::invalid(format!("the password on stdin {what}")));
    if length as u64 > MAX_LEN {
        return wrong(&format!("is longer than {MAX_LEN} bytes"));
    }
    if password.expose_secret().is_empty() {
        return wrong("is empty");
    }
    if password.expose_secret().chars().any(char::is_control) {
        return wrong("has several lines or control characters: no client could send it");
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_read_without_its_end_and_nothing_else() {
        for (given, want) in [
            ("hunter2", Some("hunter2")),
            ("hunter2\n", Some("hunter2")),
            ("hunter2\r\n", Some("hunter2")),
            (" a:b \n", Some(" a:b ")),
            ("", None),
            ("\n", None),
            ("a\nb\n", None),
            (&"x".repeat(5000), None),
        ] {
            let read = read(given.as_bytes());
            if let Err(error) = &read {
                assert!(!error.message.contains("hunter2"));
            }
            assert_eq!(read.ok().as_ref().map(ExposeSecret::expose_secret), want, "{given:?}");
        }
    }
}
