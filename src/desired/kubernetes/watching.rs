//! Watches that go on whatever becomes of a connection.

use std::{fmt::Debug, time::Duration};

use futures::{Stream, StreamExt as _, stream, stream::BoxStream};
use k8s_openapi::serde::de::DeserializeOwned;
use kube::{
    Api, Resource,
    runtime::{WatchStreamExt as _, watcher, watcher::Event},
};

use super::{call::plain, pace::Pace};

/// How long one watch request lasts, in seconds. A connection that dies without a word is noticed a few seconds later, and
/// until then denials would go unseen.
const WATCH_SECONDS: u32 = 30;

/// How long a list may say nothing before it is begun again. The client bounds the time until an answer begins; one whose
/// body stops half-way would keep everything that changes unseen for good.
const LIST_SILENCE: Duration = Duration::from_secs(20);

/// Watches what a label selector accepts, everything without one. What broke is begun again, and said.
pub(super) fn watch<K>(api: Api<K>, labels: Option<&str>) -> BoxStream<'static, Result<Event<K>, String>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = watcher::Config::default().timeout(WATCH_SECONDS);
    let config = labels.map_or_else(|| config.clone(), |labels| config.clone().labels(labels));
    let begin = move || watcher(api.clone(), config.clone()).boxed();
    bounded(begin).backoff(Pace::default()).boxed()
}

/// The events of one watch after another: one that lists and stops saying anything is followed by the next.
fn bounded<K, E>(
    begin: impl Fn() -> BoxStream<'static, Result<Event<K>, E>> + Send + 'static,
) -> impl Stream<Item = Result<Event<K>, String>> + Send
where
    K: Send + 'static,
    E: std::error::Error + Send + 'static,
{
    let first = begin();
    stream::unfold((first, begin, false), async |(mut events, begin, mut listing)| {
        let next = if listing {
            tokio::time::timeout(LIST_SILENCE, events.next()).await
        } else {
            Ok(events.next().await)
        };
        let said = if let Ok(next) = next {
            next?.map_err(|error| plain(&error))
        } else {
            events = begin();
            Err(format!("a list said nothing for {} s", LIST_SILENCE.as_secs()))
        };
        // After an error a list begins anew, if one was under way.
        listing = matches!(&said, Ok(Event::Init | Event::InitApply(_)));
        Some((said, (events, begin, listing)))
    })
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_list_that_stops_half_way_is_begun_again_and_a_watch_may_be_silent() {
        let begun = AtomicUsize::new(0);
        let begin = move || -> BoxStream<'static, Result<Event<u8>, Infallible>> {
            let events = match begun.fetch_add(1, Ordering::Relaxed) {
                0 => vec![Event::Init, Event::InitApply(1)],
                _ => vec![Event::Init, Event::InitApply(1), Event::InitApply(2), Event::InitDone],
            };
            stream::iter(events.into_iter().map(Ok))
                .chain(stream::pending())
                .boxed()
        };
        let mut events = Box::pin(bounded(begin));
        let mut said = Vec::new();
        let hour = Duration::from_secs(3600);
        while let Ok(Some(event)) = tokio::time::timeout(hour, events.next()).await {
            said.push(match event {
                Ok(Event::Init) => "begin".to_owned(),
                Ok(Event::InitApply(object)) => object.to_string(),
                Ok(Event::InitDone) => "end".to_owned(),
                Ok(Event::Apply(_) | Event::Delete(_)) => "change".to_owned(),
                Err(error) => error,
            });
        }
        assert_eq!(
            said,
            ["begin", "1", "a list said nothing for 20 s", "begin", "1", "2", "end"]
        );
    }
}
