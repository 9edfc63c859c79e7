//! Reads lists to their end with several pages in flight, and hands the rows over in order.
//!
//! [`job`] says what is read, `ask` which filters and order it is asked for with, `reader` does
//! the reading with single requests from `fetch` and what the cache has of a list (`kept`),
//! `answer` gives what takes no reading of a list, and [`parents`] finds the lists of a table that
//! has one per parent. This file is the consumer's side.
//!
//! Fetching and decoding happen on the runtime's threads. The consumer's thread takes finished
//! batches from a bounded channel; a socket becomes readable when there is one, so that the
//! consumer can wait for it together with whatever else it waits for. Dropping a [`Scan`]
//! stops its requests.

mod answer;
mod ask;
mod fetch;
mod head;
pub mod job;
mod kept;
pub mod parents;
mod reader;
mod reading;
pub mod sample;

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::task::AbortOnDropHandle;

use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::request::Bindings;
use crate::rows::Batch;
use crate::runtime::runtime;

pub use job::{Job, Order, Start};

/// A running scan.
#[derive(Debug)]
pub struct Scan {
    events: mpsc::Receiver<Event>,
    wake: UnixStream,
    demand: Arc<Notify>,
    reminder: Arc<Notify>,
    progress: Arc<Progress>,
    _task: AbortOnDropHandle<()>,
}

/// What a scan has read so far.
#[derive(Debug, Default)]
pub struct Progress {
    /// Pages decoded.
    pub pages: AtomicU64,
    /// Rows decoded, rows that came twice included.
    pub rows: AtomicU64,
    /// Values that do not fit their columns and are shown as null.
    pub mismatches: AtomicU64,
    /// Parents whose children were read, those included that have none.
    pub parents: AtomicU64,
    /// Conditions and orders that were left out since awork refuses them.
    refused: Mutex<Vec<String>>,
    /// The first request that was sent.
    first_request: Mutex<Option<String>>,
}

/// What the consumer gets from a scan: [`Event::Begun`] first, unless it fails before.
#[derive(Debug)]
pub enum Event {
    /// What of the question awork answers.
    Begun(Begun),
    /// Rows of one page, the parameters that they answer, and whether none follow.
    Rows(Batch, Arc<Bindings>, bool),
    /// Something that the user should know of a scan that goes on.
    Notice(String),
    /// The end; nothing follows.
    End,
    /// The scan failed; nothing follows.
    Failed(Error),
}

/// What of the question awork answers; the consumer has to do the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// Whether the rows come in the order that was required.
    pub ordered: bool,
    /// How many rows of the answer were skipped, of those that [`Start::At`] names.
    pub skipped: u64,
    /// The number of rows, where only that was asked for. No rows follow then.
    pub total: Option<u64>,
}

impl Scan {
    /// Starts reading. The first page is asked for at once, the others once [`Scan::demand`]
    /// says that it was not enough.
    pub fn start(client: Arc<Client>, job: Job) -> Result<Self, Error> {
        let pipe = UnixStream::pair().and_then(|(wake, waker)| {
            wake.set_nonblocking(true)?;
            waker.set_nonblocking(true)?;
            Ok((wake, waker))
        });
        let (wake, waker) = pipe.map_err(|e| {
            Error::new(ErrorKind::Internal, format!("could not open a socket pair: {e}"))
        })?;
        let (sender, events) = mpsc::channel(1);
        let (demand, reminder) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let progress = Arc::new(Progress::default());
        let waker = Arc::new(waker);
        let reminding = remind(reminder.clone(), waker.clone());
        let outlet = Outlet { sender, waker: Some(waker), demand: Some(demand.clone()) };
        let permits = Arc::new(Semaphore::new(client.settings().max_concurrency));
        let reading = reader::run(client, job, outlet, progress.clone(), permits);
        let task = runtime()?.spawn(async move {
            tokio::select! {
                () = reading => {}
                () = reminding => {}
            }
        });
        let task = AbortOnDropHandle::new(task);
        Ok(Self { events, wake, demand, reminder, progress, _task: task })
    }

    /// The next event, if there is one already. Otherwise wait until [`Scan::wake_fd`] is
    /// readable and ask again.
    pub fn poll(&mut self) -> Option<Event> {
        // Emptied before looking, so that an event that comes after the look is not missed.
        let mut bytes = [0; 64];
        while matches!((&self.wake).read(&mut bytes), Ok(n) if n > 0) {}
        match self.events.try_recv() {
            Ok(event) => Some(event),
            Err(mpsc::error::TryRecvError::Empty) => None,
            Err(mpsc::error::TryRecvError::Disconnected) => Some(Event::Failed(Error::new(
                ErrorKind::Internal,
                "the thread that reads from awork stopped unexpectedly",
            ))),
        }
    }

    /// A file descriptor that is readable when [`Scan::poll`] has something.
    pub fn wake_fd(&self) -> RawFd {
        self.wake.as_raw_fd()
    }

    /// Says that the rows delivered so far will not be enough.
    pub fn demand(&self) {
        self.demand.notify_one();
    }

    /// Makes [`Scan::wake_fd`] readable once within about 50 ms, even where nothing comes: for a
    /// consumer that waits where nothing else wakes it.
    pub fn remind(&self) {
        self.reminder.notify_one();
    }

    /// What has been read so far.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }
}

impl Progress {
    /// The conditions and orders that were left out since awork refuses them.
    pub fn refused(&self) -> Vec<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first request, as people read it: without escapes.
    pub fn first_request(&self) -> Option<String> {
        let first = self.first_request.lock().unwrap_or_else(PoisonError::into_inner);
        let decoded = |text: &String| percent_decode_str(text).decode_utf8_lossy().into_owned();
        first.as_ref().map(decoded)
    }

    fn leave_out(&self, what: &str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if !refused.iter().any(|known| known == what) {
            refused.push(what.to_owned());
        }
    }

    fn sending(&self, request: &str) {
        let mut first = self.first_request.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| request.to_owned());
    }
}

/// Where a reader puts what it has.
struct Outlet {
    sender: mpsc::Sender<Event>,
    /// Made readable with each event; none where the consumer waits for the channel itself.
    waker: Option<Arc<UnixStream>>,
    /// Tells that more than the first page is wanted; none where all of it is.
    demand: Option<Arc<Notify>>,
}

impl Outlet {
    /// Hands an event over; false where nobody is there to take it.
    async fn send(&self, event: Event) -> bool {
        let sent = self.sender.send(event).await.is_ok();
        if let Some(waker) = &self.waker {
            wake(waker);
        }
        sent
    }

    /// Waits until more is wanted.
    async fn demanded(&self) {
        if let Some(demand) = &self.demand {
            demand.notified().await;
        }
    }
}

/// How long after [`Scan::remind`] the consumer is woken.
const REMINDER: Duration = Duration::from_millis(50);

/// Wakes the consumer some time after each of its wishes to be reminded.
async fn remind(wanted: Arc<Notify>, waker: Arc<UnixStream>) {
    loop {
        wanted.notified().await;
        tokio::time::sleep(REMINDER).await;
        wake(&waker);
    }
}

fn wake(mut waker: &UnixStream) {
    // A full socket means that the consumer has a wake-up waiting already.
    let _ = waker.write(&[0]);
}
