//! Reads a list to its end with several pages in flight, and hands the rows over in order.
//!
//! Fetching and decoding happen on the runtime's threads. The consumer's thread takes finished
//! batches from a bounded channel; a socket becomes readable when there is one, so that the
//! consumer can wait for it together with whatever else it waits for. Dropping a [`Scan`]
//! stops its requests.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, mpsc};
use tokio_util::task::AbortOnDropHandle;

use crate::catalogue::{Resource, Shape};
use crate::client::{Answer, Client};
use crate::error::{Error, ErrorKind};
use crate::pages::{PageInfo, Pages, Repeated};
use crate::request::{self, Bindings};
use crate::rows::decode::{self, DecodeError};
use crate::rows::{Batch, Projection};
use crate::runtime::runtime;

/// What to read.
#[derive(Debug)]
pub struct Job {
    /// The list or object.
    pub resource: &'static Resource,
    /// The parameters of each request; several where a key may have several values.
    pub bindings: Vec<Bindings>,
    /// What is wanted of each row.
    pub projection: Projection,
    /// The order that keeps pages stable while they are read, if any.
    pub orderby: Option<String>,
    /// Rows per page.
    pub page_size: u32,
    /// The foreign table's name, for errors.
    pub table: String,
}

/// A running scan.
#[derive(Debug)]
pub struct Scan {
    events: mpsc::Receiver<Event>,
    wake: UnixStream,
    demand: Arc<Notify>,
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
}

/// What the consumer gets from a scan.
#[derive(Debug)]
pub enum Event {
    /// Rows of one page, and the index of the bindings that they answer.
    Rows(Batch, usize),
    /// Something that the user should know of a scan that goes on.
    Notice(String),
    /// The end; nothing follows.
    End,
    /// The scan failed; nothing follows.
    Failed(Error),
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
        let demand = Arc::new(Notify::new());
        let progress = Arc::new(Progress::default());
        let reader = Reader {
            client,
            job: Arc::new(job),
            sender,
            waker,
            demand: demand.clone(),
            progress: progress.clone(),
        };
        let task = AbortOnDropHandle::new(runtime()?.spawn(reader.run()));
        Ok(Self { events, wake, demand, progress, _task: task })
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

    /// What has been read so far.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }
}

struct Reader {
    client: Arc<Client>,
    job: Arc<Job>,
    sender: mpsc::Sender<Event>,
    waker: UnixStream,
    demand: Arc<Notify>,
    progress: Arc<Progress>,
}

/// A page that has been asked for.
struct InFlight {
    binding: usize,
    page: u64,
    ordered: bool,
    task: AbortOnDropHandle<Result<Page, Error>>,
}

struct Page {
    batch: Batch,
    info: PageInfo,
}

impl Reader {
    async fn run(self) {
        let last = match self.read().await {
            Ok(()) => Event::End,
            Err(error) => Event::Failed(error),
        };
        self.send(last).await;
    }

    async fn read(&self) -> Result<(), Error> {
        let max = self.client.settings().max_concurrency;
        let job = &self.job;
        let mut orderby = job.orderby.clone();
        let mut lists: Vec<(usize, Pages)> = Vec::new();
        let mut unopened = 0..job.bindings.len();
        let mut in_flight: VecDeque<InFlight> = VecDeque::new();
        let mut window = 1;
        loop {
            while in_flight.len() < window {
                let next = lists
                    .iter_mut()
                    .find_map(|(binding, pages)| pages.request().map(|page| (*binding, page)));
                let next = next.or_else(|| {
                    let binding = unopened.next()?;
                    let mut pages = Pages::new(job.resource.paged, job.page_size);
                    let page = pages.request()?;
                    lists.push((binding, pages));
                    Some((binding, page))
                });
                let Some((binding, page)) = next else { break };
                let pages = &list(&mut lists, binding)?.1;
                let Some(target) = self.target(binding, page, pages, orderby.as_deref()) else {
                    // The value addresses nothing, so nothing can have it.
                    lists.retain(|(b, _)| *b != binding);
                    continue;
                };
                let task = self.fetch(target, page);
                let ordered = orderby.is_some() && pages.is_paged(page);
                in_flight.push_back(InFlight { binding, page, ordered, task });
            }
            let Some(InFlight { binding, page, ordered, task }) = in_flight.pop_front() else {
                return Ok(());
            };
            let outcome = task.await.map_err(|_| {
                Error::new(
                    ErrorKind::Internal,
                    "a thread that decodes answers stopped unexpectedly",
                )
            })?;
            let received = match outcome {
                Err(error) if error.kind == ErrorKind::RefusedFilter && ordered && page == 1 => {
                    // The order only keeps pages stable; without it the rows are the same.
                    orderby = None;
                    lists.retain(|(b, _)| *b != binding);
                    let mut pages = Pages::new(job.resource.paged, job.page_size);
                    let page = pages.request().unwrap_or(1);
                    if let Some(target) = self.target(binding, page, &pages, None) {
                        let task = self.fetch(target, page);
                        in_flight.push_front(InFlight { binding, page, ordered: false, task });
                        lists.push((binding, pages));
                    }
                    continue;
                }
                other => other?,
            };
            let mut batch = received.batch;
            let pages = &mut list(&mut lists, binding)?.1;
            let repeated = pages
                .received(page, batch.rows(), batch.ids(), received.info)
                .map_err(|e| e.detail(format!("The resource is \"{}\".", job.resource.name)))?;
            let done = pages.is_done();
            let shortfall = pages.shortfall();
            if done {
                lists.retain(|(b, _)| *b != binding);
            }
            let more = !done || !lists.is_empty() || !unopened.is_empty();
            match repeated {
                Repeated::Rows(ids) => {
                    batch.drop_rows(|id| ids.contains(&id));
                }
                Repeated::Page => batch = Batch::new(0),
            }
            if !self.send(Event::Rows(batch, binding)).await {
                return Ok(());
            }
            if let (true, Some((announced, came))) = (done, shortfall) {
                self.send(Event::Notice(format!(
                    "awork announced {announced} rows of \"{}\" and sent {came}",
                    job.resource.name
                )))
                .await;
            }
            if more && window == 1 {
                // A query that has enough with the first page costs one request.
                self.demand.notified().await;
            }
            window = (window * 2).min(max);
        }
    }

    fn target(
        &self,
        binding: usize,
        page: u64,
        pages: &Pages,
        order: Option<&str>,
    ) -> Option<String> {
        let target = request::target(self.job.resource, &self.job.bindings[binding])?;
        Some(if pages.is_paged(page) {
            request::page(&target, page, pages.page_size(), order)
        } else {
            target
        })
    }

    fn fetch(&self, target: String, page: u64) -> AbortOnDropHandle<Result<Page, Error>> {
        let (client, job, progress) =
            (self.client.clone(), self.job.clone(), self.progress.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            let resource = job.resource;
            let answer = match client.get(resource.version, &target, &resource.headers).await {
                // A key that names nothing has no rows.
                Err(error) if error.kind == ErrorKind::NoSuchObject && resource.is_keyed() => {
                    Answer { body: None, page: Default::default() }
                }
                other => other.map_err(|e| in_context(e, &job, page))?,
            };
            let batch = match &answer.body {
                Some(body) => decode::page(body, resource.shape, &job.projection)
                    .map_err(|e| undecodable(e, &job, &target))?,
                None => Batch::new(0),
            };
            progress.pages.fetch_add(1, Ordering::Relaxed);
            progress.rows.fetch_add(batch.rows() as u64, Ordering::Relaxed);
            let mut info = answer.page;
            if let (Some(body), None) = (&answer.body, info.total) {
                info.fingerprint = Some(fingerprint(body));
            }
            Ok(Page { batch, info })
        }))
    }

    /// Hands an event over; false where nobody is there to take it.
    async fn send(&self, event: Event) -> bool {
        let sent = self.sender.send(event).await.is_ok();
        // A full socket means that the consumer has a wake-up waiting already.
        let _ = (&self.waker).write(&[0]);
        sent
    }
}

fn list(lists: &mut [(usize, Pages)], binding: usize) -> Result<&mut (usize, Pages), Error> {
    lists
        .iter_mut()
        .find(|(b, _)| *b == binding)
        .ok_or_else(|| Error::new(ErrorKind::Internal, "a page of no list"))
}

fn fingerprint(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

fn in_context(mut error: Error, job: &Job, page: u64) -> Error {
    let what = match job.resource.shape {
        Shape::List if job.resource.paged => format!("page {page} of resource"),
        _ => "resource".to_owned(),
    };
    error.message = format!("could not fetch {what} \"{}\": {}", job.resource.name, error.message);
    error
}

fn undecodable(error: DecodeError, job: &Job, target: &str) -> Error {
    let request = request::shown(job.resource.version, target);
    let request = format!("Remote request was {request}, answered with HTTP status 200.");
    match error {
        DecodeError::Malformed(why) => Error::new(
            ErrorKind::BadReply,
            format!("malformed answer for resource \"{}\": {why}", job.resource.name),
        )
        .detail(request)
        .hint("Check that the server option \"api_url\" is the address of awork's API."),
        DecodeError::Value(bad) => {
            let mut detail = format!("Value {} {}.", bad.text, bad.reason);
            if let Some(id) = bad.id {
                detail = format!("{detail} The object's id is {id}.");
            }
            Error::new(
                ErrorKind::BadValue,
                format!(
                    "value of resource \"{}\" does not fit column \"{}\" of foreign table \"{}\"",
                    job.resource.name, bad.column, job.table
                ),
            )
            .detail(detail)
            .detail(request)
            .hint("Declare the column as text or jsonb to read the value as it is.")
        }
    }
}
