//! What shares a transaction, and what its members have of each other.

use std::sync::{
    Mutex,
    mpsc::{Sender, channel},
};

use super::*;

/// Keeps the writer busy until something is sent, so that jobs gather behind it. Answers once it is.
async fn busy(store: &Store) -> (Sender<()>, tokio::task::JoinHandle<Result<(), StoreError>>) {
    let (release, gate) = channel::<()>();
    let (enter, entered) = tokio::sync::oneshot::channel();
    let store = store.clone();
    let blocker = tokio::spawn(async move {
        let wait = move |_: &Connection| {
            enter.send(()).unwrap();
            let _ = gate.recv();
            Ok(())
        };
        store.write(wait).await
    });
    entered.await.unwrap();
    (release, blocker)
}

async fn until_jobs_wait(store: &Store, jobs: usize) {
    let places = &store.inner.queue.as_ref().unwrap().places;
    // The one that keeps the writer busy has a place as well.
    until("the jobs wait", async || {
        places.available_permits() == queue::PLACES - jobs - 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_shares_one_flush_and_everybody_is_answered_their_own_result() {
    let Fixture { store, folder, .. } = Fixture::new();
    let (release, blocker) = busy(&store).await;
    let mut jobs = Vec::new();
    for number in 0..50 {
        let store = store.clone();
        jobs.push(tokio::spawn(async move { store.write(note(number.to_string())).await }));
    }
    until_jobs_wait(&store, 50).await;
    let before = store.commits();
    release.send(()).unwrap();
    blocker.await.unwrap().unwrap();
    let mut counted = Vec::new();
    for job in jobs {
        counted.push(job.await.unwrap().unwrap());
    }
    assert_eq!(
        store.commits() - before,
        2,
        "that of the first job, and one of all others"
    );
    counted.sort_unstable();
    assert_eq!(
        counted,
        (1..=50).collect::<Vec<_>>(),
        "each sees what those before it wrote"
    );

    // What was answered is in the files, which nobody closed.
    let image = TempDir::new().unwrap();
    for name in ["notes.db", "notes.db-wal"] {
        fs::copy(folder.path().join(name), image.path().join(name)).unwrap();
    }
    let copy = Connection::open(image.path().join("notes.db")).unwrap();
    assert_eq!(count(&copy).unwrap(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_leaves_nothing_behind_and_harms_no_other_of_its_group() {
    let Fixture {
        store, folder: _folder, ..
    } = Fixture::new();
    store.write(note("taken")).await.unwrap();
    let (release, blocker) = busy(&store).await;
    let mut jobs = Vec::new();
    for number in 0..20 {
        let store = store.clone();
        jobs.push(tokio::spawn(async move {
            match number {
                7 => {
                    let half = |conn: &Connection| {
                        note("half of a job")(conn)?;
                        note("taken")(conn)
                    };
                    store.write(half).await
                }
                13 => {
                    let half = |conn: &Connection| {
                        note("half of another job")(conn)?;
                        panic!("a mistake")
                    };
                    store.write(half).await
                }
                _ => store.write(note(number.to_string())).await,
            }
        }));
    }
    until_jobs_wait(&store, 20).await;
    release.send(()).unwrap();
    blocker.await.unwrap().unwrap();
    for (number, job) in jobs.into_iter().enumerate() {
        let answer = job.await.unwrap();
        match number {
            7 => assert!(answer.unwrap_err().to_string().contains("UNIQUE constraint failed")),
            13 => assert!(answer.unwrap_err().to_string().contains("ended in a panic")),
            _ => drop(answer.unwrap()),
        }
    }
    assert!(store.last_error().is_none(), "a bad job is no state of the file");
    assert_eq!(store.read(count).await.unwrap(), 19);
    let halves = |conn: &Connection| {
        conn.query_row("SELECT count(*) FROM notes WHERE text LIKE 'half%'", [], |row| {
            row.get::<_, i64>(0)
        })
    };
    assert_eq!(store.read(halves).await.unwrap(), 0);
    store.write(note("later")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_caller_went_away_is_done_all_the_same() {
    let Fixture {
        store, folder: _folder, ..
    } = Fixture::new();
    let (release, blocker) = busy(&store).await;
    let theirs = store.clone();
    let caller = tokio::spawn(async move { theirs.write(note("left behind")).await });
    until_jobs_wait(&store, 1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    release.send(()).unwrap();
    blocker.await.unwrap().unwrap();
    assert_eq!(store.write(note("next")).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_past_retention_goes_with_a_transaction_that_writes_anyway_once_a_minute() {
    let Fixture {
        store,
        clock,
        folder: _folder,
    } = Fixture::new();
    store.write(note("first")).await.unwrap();
    clock.advance(2_000_000 * DAY);
    assert_eq!(store.read(count).await.unwrap(), 1, "time alone removes nothing");
    assert_eq!(store.write(note("second")).await.unwrap(), 2, "after the jobs");
    assert_eq!(store.read(count).await.unwrap(), 0);
    store.write(note("third")).await.unwrap();
    assert_eq!(store.read(count).await.unwrap(), 1, "not with each transaction");
}

/// Work that waits until it is written.
#[derive(Default)]
struct Notes {
    waiting: Mutex<Vec<String>>,
    owned: Mutex<u32>,
}

impl Companion for Notes {
    fn owned(&self) {
        *self.owned.lock().unwrap() += 1;
    }

    fn due(&self) -> Option<Instant> {
        (!self.waiting.lock().unwrap().is_empty()).then(Instant::now)
    }

    fn next(self: Arc<Self>, _: Timestamp) -> Option<Part> {
        let text = self.waiting.lock().unwrap().first()?.clone();
        Some(Part {
            run: Box::new(move |conn| note(text)(conn).map(drop)),
            done: Box::new(move |durable| {
                if durable {
                    self.waiting.lock().unwrap().remove(0);
                }
            }),
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_of_a_companion_goes_in_front_of_jobs_is_tried_until_it_is_written_and_before_the_end() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notes.db");
    let notes = Arc::new(Notes::default());
    let clock = ManualClock::at(NOON.parse().unwrap());
    let store = Store::open_with(&path, NOTES, clock.clone(), notes.clone(), true).unwrap();
    let wait = |text: String| notes.waiting.lock().unwrap().push(text);
    assert_eq!(*notes.owned.lock().unwrap(), 1);
    wait("woken".to_owned());
    store.wake();
    until("it is written without a job", async || notes.due().is_none()).await;

    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    wait("kept waiting".to_owned());
    wait("behind it".to_owned());
    store.wake();
    until("it is known", async || store.last_error().is_some()).await;
    assert_eq!(
        notes.waiting.lock().unwrap().len(),
        2,
        "nothing is lost and nothing overtakes"
    );
    other.execute_batch("ROLLBACK").unwrap();
    until("it is written when it can be", async || notes.due().is_none()).await;
    assert_eq!(store.read(count).await.unwrap(), 3);

    let fixture = Fixture { folder, clock, store };
    wait("the last".to_owned());
    let fixture = fixture.reopened(|_| {}).unwrap();
    assert_eq!(fixture.store.read(count).await.unwrap(), 4);
    assert_eq!(*notes.owned.lock().unwrap(), 1);
}
