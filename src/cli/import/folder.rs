//! Into a folder: a file a person, with the password sealed beside it; holds and history in the data folder.
//!
//! A person counts as taken over once their own file is there. It is written last: behind the hold that keeps them out, and
//! behind the password. A run that was cut short leaves nobody in who should be out, and the next one goes on.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use secrecy::ExposeSecret;

use super::{
    super::{
        exit::{CommandError, Exit},
        rooms,
    },
    ACTOR, owned,
    results::Results,
    stopped,
};
use crate::{
    config::Secrets,
    credentials::MasterKey,
    desired::folder::{Deposit, DepositError, Placed, UserAt, check},
    import::Person,
    model::secret_source::SecretSource,
    reconcile::imported,
};

/// The data folder when none is named.
pub(super) const DATA_DIR: &str = "./data";

/// A folder that people write, and who is declared in it already.
pub(super) struct Folder {
    data_dir: PathBuf,
    deposit: Deposit,
    declared: BTreeMap<String, UserAt>,
}

impl Folder {
    /// Looks at a folder, and changes nothing. `headline`: the first line of every document that is put into it.
    pub(super) async fn look(folder: &Path, data_dir: &Path, headline: &str) -> Result<Self, CommandError> {
        refuse_nested(folder, data_dir)?;
        owned::refuse_simulated(data_dir)?;
        Ok(Self {
            data_dir: data_dir.to_owned(),
            deposit: Deposit::new(folder, data_dir, headline),
            declared: declared(folder).await?,
        })
    }

    /// Those who are not declared yet; of the others it is said what has to be known.
    pub(super) fn sort_out<'a>(&self, people: impl Iterator<Item = &'a Person>, results: &mut Results) -> Vec<Person> {
        let accounts = self.declared.iter().map(|(name, at)| (at.account.as_str(), name));
        let accounts: HashMap<&str, &String> = accounts.collect();
        let mut new = Vec::new();
        for person in people {
            let name = person.id.object_name();
            if let Some(UserAt { place, .. }) = self.declared.get(&name) {
                let imported = place.starts_with(&format!("imported/{name}.yaml:"));
                let elsewhere = (!imported).then(|| format!(" in {place}"));
                results.declared(person, elsewhere.as_deref());
            } else if let Some(other) = accounts.get(person.username.as_str()) {
                let (account, id) = (&person.username, &person.id);
                let place = self.declared.get(*other).map_or("", |at| at.place.as_str());
                results.refuse(format!(
                    "{id}: its account {account} is that of VpnUser {other} ({place}): declare by hand whose it is"
                ));
            } else {
                if results.dry_run {
                    results.would_make(person);
                }
                new.push(person.clone());
            }
        }
        new
    }

    /// Writes everybody. The caller owns the data folder.
    pub(super) async fn write(
        self,
        new: Vec<Person>,
        secrets: &Secrets,
        results: &mut Results,
    ) -> Result<(), CommandError> {
        let key = rooms::key_for_import(&self.data_dir, secrets)?;
        let written = tokio::task::spawn_blocking(move || write(&self.deposit, &key, &new)).await;
        for written in written.map_err(|error| stopped(&error))?? {
            match written {
                Written::Person { holds } => {
                    results.people.add(true);
                    for placed in holds {
                        results.holds.add(placed == Placed::Made);
                    }
                }
                Written::Refused(message) => results.refuse(message),
            }
        }
        Ok(())
    }
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
async fn declared(folder: &Path) -> Result<BTreeMap<String, UserAt>, CommandError> {
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
