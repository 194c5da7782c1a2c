//! Checks of this machine: clock, data folder, database, desired state, certificates.

use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use sha2::{Digest, Sha256};

use super::Finding;
use crate::{
    cli::{
        audit::{self, Looked},
        nodes::Gateways,
        rooms,
    },
    config::{self, AUTH_TOKEN_FILE, CORPORATE_SECRET_FILE, Config, DesiredLocation, STATS_SECRET_FILE},
    credentials::KEY_FILE,
    desired::folder::check,
};

/// No machine that runs this program is in an earlier year.
const EARLIEST: &str = "2026-01-01T00:00:00Z";

/// How far a file's time may lie ahead of the clock.
const TOLERANCE_SECONDS: i64 = 5;

/// The clock does not lie behind what it wrote itself.
pub(super) fn clock(data_dir: &Path) -> Finding {
    let now = Timestamp::now();
    let advice = "set the clock (timedatectl set-ntp true): validity and revocation go by it";
    if EARLIEST.parse::<Timestamp>().is_ok_and(|earliest| now < earliest) {
        return Finding::failed("clock", format!("shows {now}, which cannot be"), advice);
    }
    let newest = std::fs::read_dir(data_dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| Timestamp::try_from(entry.ok()?.metadata().ok()?.modified().ok()?).ok())
        .max();
    match newest {
        Some(newest) if newest.as_second() > now.as_second() + TOLERANCE_SECONDS => Finding::failed(
            "clock",
            format!(
                "shows {now}, but files in {} were written at {newest}",
                data_dir.display()
            ),
            advice,
        ),
        _ => Finding::ok("clock", now.to_string()),
    }
}

/// The data folder can be written, and others cannot look into its secrets.
pub(super) fn data_folder(data_dir: &Path) -> Finding {
    const NAME: &str = "data folder";
    let shown = data_dir.display();
    if !data_dir.exists() {
        return Finding::skipped(NAME, format!("{shown} does not exist yet; the first run makes it"));
    }
    let probe = data_dir.join(format!(".doctor-{}", std::process::id()));
    if let Err(error) = write_and_remove(&probe) {
        return Finding::failed(
            NAME,
            format!("{shown} cannot be written: {error}"),
            "give it to the user that the operator runs as (chown), or free space on the disk",
        );
    }
    let secrets = [CORPORATE_SECRET_FILE, AUTH_TOKEN_FILE, STATS_SECRET_FILE, KEY_FILE].map(|name| data_dir.join(name));
    for file in secrets.iter().filter(|file| file.exists()) {
        match std::fs::metadata(file).map(|metadata| metadata.permissions().mode() & 0o077) {
            Ok(0) => {}
            Ok(_) => {
                return Finding::failed(
                    NAME,
                    format!("others on this machine can read {}", file.display()),
                    format!("chmod 600 {}, and replace the secret: it may be known", file.display()),
                );
            }
            Err(error) => {
                return Finding::failed(NAME, format!("{} cannot be read: {error}", file.display()), "chown it");
            }
        }
    }
    match config::open_to_others(data_dir) {
        Ok(0) => Finding::ok(NAME, format!("{shown} can be written, and others cannot look into it")),
        _ => Finding::warning(
            NAME,
            format!("others on this machine can list {shown}"),
            format!("chmod 700 {shown}"),
        ),
    }
}

/// Writes so much that a full disk says so, and takes it away again.
fn write_and_remove(probe: &Path) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(probe)?;
    let written = file.write_all(&vec![b'x'; 64 << 10]).and_then(|()| file.sync_data());
    written.and(std::fs::remove_file(probe))
}

/// What stands in the data folder is not real; nothing is said where it is.
pub(super) fn simulation(data_dir: &Path) -> Option<Finding> {
    data_dir.join(config::SIMULATED_FILE).exists().then(|| {
        Finding::warning(
            "simulation",
            "the node and its devices are simulated: nobody can really connect",
            "for real nodes, run without --simulate, with another --data",
        )
    })
}

/// The master key is there, can be read, and is the one that the data was made with.
pub(super) fn master_key(config: &Config) -> Finding {
    const NAME: &str = "master key";
    match rooms::check_master_key(&config.state.data_dir, &config.secrets) {
        Ok(Some(message)) => Finding::ok(NAME, message),
        Ok(None) => Finding::skipped(NAME, "there is none yet; the first run makes it"),
        Err(message) => Finding::failed(
            NAME,
            message,
            "restore the key from the backup: with another one every password and subscription link changes",
        ),
    }
}

/// What is on the disk of the database is whole, and nothing of the audit was changed or is missing. Whether it can be written is
/// known by the operator that has it open.
pub(super) async fn audit_chain(config: &Config) -> Finding {
    const NAME: &str = "audit chain";
    let (data_dir, head) = (&config.state.data_dir, config.state.audit_head());
    match audit::look(data_dir, &head, &config.secrets).await {
        Ok(Some(looked)) => of_audit(NAME, &looked),
        Ok(None) => Finding::skipped(NAME, "there is none yet; the first run makes it"),
        Err(error) => Finding::failed(
            NAME,
            error.to_string(),
            "until then logins are answered, and nothing new is recorded",
        ),
    }
}

/// What is on the disk of the registry of corporate IDs is whole.
pub(super) async fn registry(data_dir: &Path) -> Finding {
    const NAME: &str = "registry";
    match rooms::check_registry(data_dir).await {
        Ok(Some(message)) => Finding::ok(NAME, message),
        Ok(None) => Finding::skipped(NAME, "there is none yet; the first run makes it"),
        Err(message) => Finding::failed(
            NAME,
            message,
            "until then logins and denials work, no corporate ID is issued, and nobody new is granted access",
        ),
    }
}

fn of_audit(name: &str, looked: &Looked) -> Finding {
    let findings = &looked.verified.findings;
    if !findings.is_empty() {
        let findings: Vec<&str> = findings.iter().map(|finding| finding.what.as_str()).collect();
        return Finding::failed(
            name,
            findings.join("\n"),
            "find out who could write the database; put back what is missing from a backup, or accept that it is lost: then \
             vpn-operator audit acknowledge --reason …",
        );
    }
    let message = looked.lines().join("\n");
    if looked.verified.unproven > 0 {
        return Finding::warning(name, message, "run doctor where the master key is");
    }
    Finding::ok(name, message)
}

/// Desired state can be read, and every document is right.
pub(super) fn desired(desired: &DesiredLocation) -> Finding {
    const NAME: &str = "desired state";
    let DesiredLocation::Folder(path) = desired else {
        return Finding::skipped(NAME, "lives in Kubernetes; `kubectl get vpnusers` shows it");
    };
    if !path.exists() {
        return Finding::failed(
            NAME,
            format!("the folder {} does not exist", path.display()),
            "make it, or name another one with --desired folder:PATH",
        );
    }
    match check(path) {
        Ok(report) => match report.problems.first() {
            None => match report.warnings.first() {
                None => Finding::ok(
                    NAME,
                    format!("{} has {} users and no problems", path.display(), report.users),
                ),
                Some(first) => Finding::warning(
                    NAME,
                    format!("{} warnings; the first: {first}", report.warnings.len()),
                    format!("vpn-operator check {} shows all", path.display()),
                ),
            },
            Some(first) => Finding::failed(
                NAME,
                format!("{} problems; the first: {first}", report.problems.len()),
                format!("vpn-operator check {} shows all", path.display()),
            ),
        },
        Err(error) => Finding::failed(
            NAME,
            format!("{} cannot be read: {error}", path.display()),
            "give the user that the operator runs as the right to read it",
        ),
    }
}

/// A node's certificate is the one that its pin names.
pub(super) fn certificate(cert: Option<&Path>, gateways: &Gateways) -> Vec<Finding> {
    const NAME: &str = "certificate pin";
    let pins: Vec<(String, &str)> = gateways
        .nodes()
        .filter_map(|(name, node)| Some((name, node.pin_sha256.as_deref()?)))
        .collect();
    let Some(path) = cert else {
        let message = if pins.is_empty() {
            "no node has a pin"
        } else {
            "give --cert FILE to compare it with the pins"
        };
        return vec![Finding::skipped(NAME, message)];
    };
    let certificate = match CertificateDer::from_pem_file(path) {
        Ok(certificate) => certificate,
        Err(error) => {
            return vec![Finding::failed(
                NAME,
                format!("{} holds no PEM certificate: {error}", path.display()),
                "give the server's certificate file",
            )];
        }
    };
    let found = hex(&Sha256::digest(&certificate));
    if pins.is_empty() {
        return vec![Finding::skipped(
            NAME,
            format!("no node has a pin; this certificate's would be {found}"),
        )];
    }
    pins.into_iter()
        .map(|(node, pin)| {
            let name = format!("{NAME} of {node}");
            if pin.replace(':', "").eq_ignore_ascii_case(&found) {
                Finding::ok(name, "matches the certificate")
            } else {
                Finding::failed(
                    name,
                    format!("is {pin}, the certificate has {found}"),
                    "correct the pin, or no client that uses a link of this node connects",
                )
            }
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(digit.into(), 16));
            }
            text
        })
}
