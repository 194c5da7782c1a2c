//! Into a cluster: a `VpnUser` a person, with the password in a Secret beside it. What is there already is never written onto.

use std::sync::Arc;

use kube::Client;

use super::{
    super::{
        exit::{CommandError, Exit},
        import_args::ImportLegacy,
        run::connect,
    },
    ACTOR, past,
    report::Report,
};
use crate::{
    clock::{SharedClock, SystemClock},
    desired::{
        DesiredError, DesiredState, FieldManager,
        kubernetes::{GivenPassword, KubernetesSource, PASSWORD_KEY, keep_password},
    },
    fence::Fence,
    import::legacy::{Person, Plan},
    model::secret_source::{SecretKeyRef, SecretSource},
};

/// A namespace.
struct Target {
    client: Client,
    namespace: String,
    source: Arc<KubernetesSource>,
}

pub(super) async fn carry_out(plan: Plan, args: &ImportLegacy, report: &mut Report) -> Result<(), CommandError> {
    let (client, namespace) = connect(args.namespace.as_deref())
        .await
        .map_err(CommandError::invalid)?;
    let clock: SharedClock = Arc::new(SystemClock);
    let target = Target {
        source: KubernetesSource::new(&client, &namespace, &Fence::always_open(), clock),
        client,
        namespace,
    };
    // First of all: from here on no operator works with the data folder.
    let history = match &args.data_dir {
        Some(data_dir) if !args.dry_run => Some(past::open(data_dir)?),
        _ => None,
    };
    for person in &plan.people {
        if person.has_old_link {
            report.link(person.id.as_str());
        }
        match target.take(person, report).await {
            Ok(()) => {}
            Err(error) if error.is_retryable() => {
                return Err(CommandError::new(Exit::Unavailable, error.to_string())
                    .hint("What was made stays. Run it again then: it goes on there."));
            }
            Err(error) => report.refuse(format!("{}: {error}", person.id)),
        }
    }
    let Some(data_dir) = &args.data_dir else {
        let left = plan.past.len() + plan.registry.len();
        report.note(format!(
            "history and issued IDs were not taken over ({left} rows): give --data, with the volume of the operator and no \
             operator on it"
        ));
        return Ok(());
    };
    report.past = Some(match history {
        Some(owned) => past::write(&owned.history, plan.past).await?,
        None => past::look(data_dir, &plan.past).await?,
    });
    report.registry = Some(past::keep_registry(data_dir, &plan.registry, !args.dry_run)?);
    Ok(())
}

impl Target {
    /// A person counts as taken over once their `VpnUser` is there. It is made last: behind the hold that keeps them out,
    /// and behind the password.
    async fn take(&self, person: &Person, report: &mut Report) -> Result<(), DesiredError> {
        let name = person.id.object_name();
        let secret = format!("{name}-imported");
        let spec = person.spec(SecretSource {
            secret_key_ref: Some(SecretKeyRef {
                name: secret.clone(),
                key: PASSWORD_KEY.to_owned(),
            }),
            ..SecretSource::default()
        });
        if let Some(there) = self.source.get_user(&name).await? {
            report.people.add(false);
            // What people changed since an import is theirs.
            if there.spec.credentials_from != spec.credentials_from {
                let out = if person.holds.is_empty() {
                    ""
                } else {
                    ", and no hold is placed, although they were inactive or locked"
                };
                report.note(format!("{}: declared already: that stays as it is{out}", person.id));
            }
            return Ok(());
        }
        if report.dry_run {
            report.people.add(true);
            report.holds.made += person.holds.len() as u64;
            return Ok(());
        }
        for hold in &person.holds {
            let placed = self
                .source
                .create_hold(&hold.name, hold.spec.clone(), ACTOR, FieldManager::Api)
                .await;
            match placed {
                // One that says something else keeps them out as well.
                Ok(_) | Err(DesiredError::AlreadyExists { .. }) => report.holds.add(placed.is_ok()),
                Err(error) => return Err(error),
            }
        }
        match keep_password(&self.client, &self.namespace, &secret, &person.password).await? {
            GivenPassword::Made | GivenPassword::There => {}
            GivenPassword::Taken => {
                report.refuse(format!(
                    "{}: the Secret {secret} is there, and is not ours or holds another password: move it away",
                    person.id
                ));
                return Ok(());
            }
        }
        self.source.create_user(&name, spec, FieldManager::Api).await?;
        report.people.add(true);
        Ok(())
    }
}
