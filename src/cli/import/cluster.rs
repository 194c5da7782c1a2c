//! Into a cluster: a `VpnUser` a person, with the password in a Secret beside it. What is there already is never written onto.

use std::sync::Arc;

use kube::Client;

use super::{
    super::{
        exit::{CommandError, Exit},
        run::connect,
    },
    ACTOR,
    results::Results,
};
use crate::{
    clock::{SharedClock, SystemClock},
    desired::{
        DesiredError, DesiredState, FieldManager, HoldNotes,
        kubernetes::{GivenPassword, KubernetesSource, PASSWORD_KEY, keep_password},
    },
    fence::Fence,
    import::Person,
    model::secret_source::{SecretKeyRef, SecretSource},
};

/// A namespace.
pub(super) struct Namespace {
    client: Client,
    name: String,
    source: Arc<KubernetesSource>,
}

impl Namespace {
    /// The namespace of this name, else the pod's own, else the kubeconfig's. Nothing is asked yet.
    pub(super) async fn connect(name: Option<&str>) -> Result<Self, CommandError> {
        let (client, name) = connect(name).await.map_err(CommandError::invalid)?;
        let clock: SharedClock = Arc::new(SystemClock);
        Ok(Self {
            source: KubernetesSource::new(&client, &name, &Fence::always_open(), clock),
            client,
            name,
        })
    }

    /// Makes everybody who is not there yet.
    pub(super) async fn take<'a>(
        &self,
        people: impl Iterator<Item = &'a Person>,
        results: &mut Results,
    ) -> Result<(), CommandError> {
        for person in people {
            match self.take_one(person, results).await {
                Ok(()) => {}
                Err(error) if error.is_retryable() => {
                    return Err(CommandError::new(Exit::Unavailable, error.to_string())
                        .hint("What was made stays. Run it again then: it goes on there."));
                }
                Err(error) => results.refuse(format!("{}: {error}", person.id)),
            }
        }
        Ok(())
    }

    /// A person counts as taken over once their `VpnUser` is there. It is made last: behind the hold that keeps them out,
    /// and behind the password.
    async fn take_one(&self, person: &Person, results: &mut Results) -> Result<(), DesiredError> {
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
            // What people changed since an import is theirs.
            let imported = there.spec.credentials_from == spec.credentials_from;
            results.declared(person, (!imported).then_some(""));
            return Ok(());
        }
        if results.dry_run {
            results.would_make(person);
            return Ok(());
        }
        for hold in &person.holds {
            let placed = self
                .source
                .create_hold(&hold.name, hold.spec.clone(), HoldNotes::by(ACTOR), FieldManager::Api)
                .await;
            match placed {
                // One that says something else keeps them out as well.
                Ok(_) | Err(DesiredError::AlreadyExists { .. }) => results.holds.add(placed.is_ok()),
                Err(error) => return Err(error),
            }
        }
        match keep_password(&self.client, &self.name, &secret, &person.password).await? {
            GivenPassword::Made | GivenPassword::There => {}
            GivenPassword::Taken => {
                results.refuse(format!(
                    "{}: the Secret {secret} is there, and is not ours or holds another password: move it away",
                    person.id
                ));
                return Ok(());
            }
        }
        self.source.create_user(&name, spec, FieldManager::Api).await?;
        results.people.add(true);
        Ok(())
    }
}
