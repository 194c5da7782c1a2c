//! Into a folder: a file a person, with the password sealed beside it; holds and history in the data folder.
//!
//! A person counts as taken over once their own file is there. It is written last: behind the hold that keeps them out, and
//! behind the password. A run that was cut short leaves nobody in who should be out, and the next one goes on.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use secrecy::ExposeSecret;

use super::{
    super::{
        exit::{CommandError, Exit},
        import_args::ImportLegacy,
        rooms,
    },
    ACTOR, past,
    report::Report,
    stopped,
};
use crate::{
    config::{Secrets, secrets::process_environment},
    credentials::MasterKey,
    desired::folder::{Deposit, DepositError, Placed, check},
    import::legacy::{Person, Plan},
    model::secret_source::SecretSource,
    reconcile::imported,
};

/// The data folder when none is named.
const DATA_DIR: &str = "./data";
/// First line of every document.
const HEADLINE: &str = "Imported from the former service by vpn-operator import.";

pub(super) async fn carry_out(
    plan: Plan,
    folder: &Path,
    args: &ImportLegacy,
    report: &mut Report,
) -> Result<(), CommandError> {
    let data_dir = args.data_dir.clone().unwrap_or_else(|| DATA_DIR.into());
    refuse_nested(folder, &data_dir)?;
    past::refuse_simulated(&data_dir)?;
    let declared = declared(folder).await?;
    let deposit = Deposit::new(folder, &data_dir, HEADLINE);
    let new = sort_out(&plan.people, &declared, report);
    if args.dry_run {
        report.past = Some(past::look(&data_dir, &plan.past).await?);
        report.registry = Some(past::keep_registry(&data_dir, &plan.registry, false)?);
        return Ok(());
    }
    let secrets = Secrets::load(&process_environment)?;
    // First of all: from here on no operator works with the folder.
    let owned = past::open(&data_dir)?;
    let key = rooms::key_for_import(&data_dir, &secrets)?;
    let written = tokio::task::spawn_blocking(move || write(&deposit, &key, &new)).await;
    for written in written.map_err(|error| stopped(&error))?? {
        match written {
            Written::Person { holds } => {
                report.people.add(true);
                for placed in holds {
                    report.holds.add(placed == Placed::Made);
                }
            }
            Written::Refused(message) => report.refuse(message),
        }
    }
    report.past = Some(past::write(&owned.history, plan.past).await?);
    report.registry = Some(past::keep_registry(&data_dir, &plan.registry, true)?);
    Ok(())
}

/// Nobody may name a file in the data folder, and the operator's own files are no declarations.
fn refuse_nested(folder: &Path, data_dir: &Path) -> Result<(), CommandError> {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (people, data) = (absolute(folder), absolute(data_dir));
    if people.starts_with(&data) || data.starts_with(&people) {
        return Err(CommandError::invalid(format!(
            "{} and {} are inside one another: give the data folder a place of its own with --data",
            people.display(),
            data.display()
        )));
    }
    Ok(())
}

/// Where everybody who is declared already is declared, by name.
async fn declared(folder: &Path) -> Result<BTreeMap<String, String>, CommandError> {
    let path = folder.to_owned();
    if !path.is_dir() {
        return Err(CommandError::new(
            Exit::NotFound,
            format!("{} is no folder: make it, or name the operator's own", path.display()),
        ));
    }
    let checked = tokio::task::spawn_blocking(move || check(&path))
        .await
        .map_err(|error| stopped(&error))?;
    let checked =
        checked.map_err(|error| CommandError::failed(format!("{} cannot be read: {error}", folder.display())))?;
    // Somebody whose document cannot be read would be declared a second time.
    if let Some(problem) = checked.problems.first() {
        return Err(CommandError::invalid(format!("{problem}")).hint(format!(
            "Nothing was imported. `vpn-operator check {}` names everything that is wrong there: mend it first.",
            folder.display()
        )));
    }
    Ok(checked.users_at)
}

/// Those who are not declared yet; of the others it is said what has to be known.
fn sort_out(people: &[Person], declared: &BTreeMap<String, String>, report: &mut Report) -> Vec<Person> {
    let mut new = Vec::new();
    for person in people {
        let name = person.id.object_name();
        if person.has_old_link {
            report.link(person.id.as_str());
        }
        let Some(place) = declared.get(&name) else {
            if report.dry_run {
                report.people.add(true);
                report.holds.made += person.holds.len() as u64;
            }
            new.push(person.clone());
            continue;
        };
        report.people.add(false);
        if !place.starts_with(&format!("imported/{name}.yaml:")) {
            let out = if person.holds.is_empty() {
                ""
            } else {
                ", and no hold is placed, although they were inactive or locked"
            };
            report.note(format!(
                "{}: declared in {place} already: that stays as it is{out}",
                person.id
            ));
        }
    }
    new
}

/// What became of somebody.
enum Written {
    Person { holds: Vec<Placed> },
    Refused(String),
}

/// Writes everybody. Blocking.
fn write(deposit: &Deposit, key: &MasterKey, people: &[Person]) -> Result<Vec<Written>, CommandError> {
    let failed = |error: DepositError| {
        CommandError::failed(error.to_string()).hint("What was written stays. Run it again then: it goes on there.")
    };
    let mut all = Vec::with_capacity(people.len());
    for person in people {
        match write_one(deposit, key, person) {
            Ok(written) => all.push(written),
            Err(DepositError::Invalid(error)) => all.push(Written::Refused(format!("{}: {error}", person.id))),
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(all)
}

fn write_one(deposit: &Deposit, key: &MasterKey, person: &Person) -> Result<Written, DepositError> {
    let name = person.id.object_name();
    let path: PathBuf = deposit.sealed_at(&name);
    let refused = |message: String| Ok(Written::Refused(format!("{}: {message}", person.id)));
    let Some(file) = path.to_str() else {
        return refused(format!("{} is no text that a document could name", path.display()));
    };
    let there = deposit.sealed(&name)?;
    if let Some(sealed) = &there {
        let opened = imported::open(key, &person.id, sealed.trim_end());
        let same = opened.is_ok_and(|password| password.expose_secret() == person.password.expose_secret());
        if !same {
            return refused(format!(
                "{} is there and holds another password: move it away",
                path.display()
            ));
        }
    }
    let mut holds = Vec::with_capacity(person.holds.len());
    for hold in &person.holds {
        holds.push(deposit.hold(&hold.name, hold.spec.clone(), ACTOR)?);
    }
    if there.is_none() {
        match imported::seal(key, &person.id, &person.password) {
            Ok(sealed) => deposit.seal(&name, &sealed)?,
            Err(message) => return refused(message),
        };
    }
    let source = SecretSource {
        file: Some(file.to_owned()),
        ..SecretSource::default()
    };
    match deposit.user(&name, person.spec(source))? {
        Placed::Made => Ok(Written::Person { holds }),
        Placed::There => refused(format!(
            "imported/{name}.yaml is there and declares somebody else: move it away"
        )),
    }
}
