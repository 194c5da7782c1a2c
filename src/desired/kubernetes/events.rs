//! Events on objects: what happened, for whoever looks with `kubectl describe`.
//!
//! A repetition raises the count of the Event that is there, as a series, instead of making another one.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event, events::v1::EventSeries},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::call::{Subject, call, create};
use crate::{
    clock::SharedClock,
    desired::{
        DesiredError, FieldManager,
        announcement::{Announcement, Announcer, Tone},
    },
    model::{API_VERSION, user::VpnUser},
};

/// Most bytes of a note; the limit of Kubernetes.
const MAX_NOTE_LEN: usize = 1024;

/// Announcements that wait. More than this many are news to nobody.
const WAITING: usize = 4096;

/// For how long a repetition belongs to the same series.
const SERIES: Duration = Duration::from_secs(360);

/// Series that are remembered.
const REMEMBERED: usize = 4096;

struct QueuedAnnouncement {
    user: ObjectReference,
    announcement: Announcement,
}

/// The end that announcements are handed to.
pub struct EventAnnouncer {
    sender: mpsc::Sender<QueuedAnnouncement>,
}

/// The end that publishes them.
pub struct Publisher {
    api: Api<Event>,
    clock: SharedClock,
    instance: String,
    receiver: mpsc::Receiver<QueuedAnnouncement>,
    series: HashMap<Key, Series>,
}

/// An Event that was made, and how often it happened.
struct Series {
    name: String,
    uid: Option<String>,
    count: i32,
    at: Instant,
}

#[derive(PartialEq, Eq, Hash, Clone)]
struct Key {
    uid: String,
    reason: Cow<'static, str>,
    note: String,
}

impl EventAnnouncer {
    /// Both ends. `instance` is the name of this process.
    #[must_use]
    pub fn new(client: &Client, namespace: &str, instance: &str, clock: SharedClock) -> (Arc<Self>, Publisher) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let publisher = Publisher {
            api: Api::namespaced(client.clone(), namespace),
            clock,
            instance: instance.to_owned(),
            receiver,
            series: HashMap::new(),
        };
        (Arc::new(Self { sender }), publisher)
    }
}

impl Announcer for EventAnnouncer {
    fn announce(&self, user: &VpnUser, announcement: Announcement) {
        let user = ObjectReference {
            api_version: Some(API_VERSION.to_owned()),
            kind: Some("VpnUser".to_owned()),
            name: user.metadata.name.clone(),
            namespace: user.metadata.namespace.clone(),
            uid: user.metadata.uid.clone(),
            // Without the version: repetitions speak of the same object.
            ..ObjectReference::default()
        };
        if self.sender.try_send(QueuedAnnouncement { user, announcement }).is_err() {
            tracing::debug!("an Event is left out: too many wait");
        }
    }
}

impl Publisher {
    /// Publishes until `cancel`. What cannot be published is left out: the status and the history have it.
    pub async fn run(mut self, cancel: CancellationToken) {
        loop {
            let queued = tokio::select! {
                () = cancel.cancelled() => return,
                queued = self.receiver.recv() => queued,
            };
            let Some(queued) = queued else { return };
            match self.publish(queued).await {
                Ok(()) => {}
                // Nothing can be created in a namespace that is being deleted.
                Err(error) if error.to_string().contains("being terminated") => {
                    tracing::debug!(%error, "an Event could not be published");
                }
                Err(error) => tracing::warn!(%error, "an Event could not be published"),
            }
        }
    }

    async fn publish(&mut self, queued: QueuedAnnouncement) -> Result<(), DesiredError> {
        let Announcement {
            tone,
            reason,
            action,
            note,
        } = queued.announcement;
        let note = short(note);
        let now = MicroTime(self.clock.now());
        let key = Key {
            uid: queued.user.uid.clone().unwrap_or_default(),
            reason: reason.clone(),
            note: note.clone(),
        };
        if let Some(Series { name, uid, count, at }) = self.series.get_mut(&key)
            && at.elapsed() < SERIES
        {
            let series = EventSeries {
                count: *count + 1,
                last_observed_time: now.clone(),
            };
            let patch = Patch::Merge(json!({ "metadata": { "uid": uid }, "series": series }));
            let params = PatchParams {
                field_manager: Some(FieldManager::Operator.as_str().to_owned()),
                ..PatchParams::default()
            };
            let subject = Subject { kind: "Event", name };
            match call(subject, self.api.patch(name, &params, &patch)).await {
                Ok(_) => {
                    *count += 1;
                    *at = Instant::now();
                    return Ok(());
                }
                // Events are kept for an hour or so: it is gone, or another one has its name.
                Err(DesiredError::NotFound { .. } | DesiredError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let about = queued.user.name.as_deref().unwrap_or_default();
        // As other reporters name theirs.
        let name = format!("{about}.{:x}", now.0.as_nanosecond());
        let event = Event {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: queued.user.namespace.clone(),
                ..ObjectMeta::default()
            },
            action: Some(action.to_owned()),
            event_time: Some(now),
            note: Some(note),
            reason: Some(reason.to_string()),
            regarding: Some(queued.user),
            reporting_controller: Some(FieldManager::Operator.as_str().to_owned()),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(
                match tone {
                    Tone::Normal => "Normal",
                    Tone::Warning => "Warning",
                }
                .to_owned(),
            ),
            ..Event::default()
        };
        let subject = Subject {
            kind: "Event",
            name: &reason,
        };
        let made = create(&self.api, subject, &event, FieldManager::Operator).await?;
        if self.series.len() >= REMEMBERED {
            self.series.retain(|_, series| series.at.elapsed() < SERIES / 4);
        }
        if self.series.len() < REMEMBERED {
            let series = Series {
                name: made.name_any(),
                uid: made.uid(),
                count: 1,
                at: Instant::now(),
            };
            self.series.insert(key, series);
        }
        Ok(())
    }
}

/// Cuts a note between characters.
fn short(mut note: String) -> String {
    if note.len() > MAX_NOTE_LEN {
        let mut end = MAX_NOTE_LEN;
        while !note.is_char_boundary(end) {
            end -= 1;
        }
        note.truncate(end);
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_between_characters() {
        let note = short(format!("a{}", "\u{e9}".repeat(MAX_NOTE_LEN)));
        assert_eq!(note.len(), MAX_NOTE_LEN - 1);
        assert_eq!(short("short".to_owned()), "short");
    }
}
