//! One request of a scan: takes the answer from the cache, or asks and decodes on the runtime's
//! threads, and says in an error what was asked for. Requests of a scan and of its parents share
//! the permits to be in flight.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio_util::task::AbortOnDropHandle;

use super::Progress;
use super::job::Job;
use super::kept::{self, KeptPages, PagedList, Usable};
use super::reader::Reader;
use crate::catalogue::Shape;
use crate::client::{Answer, Client};
use crate::error::{Error, ErrorKind};
use crate::pages::{Page, PageInfo};
use crate::request;
use crate::rows::Batch;
use crate::rows::decode::{self, DecodeError};
use crate::shared::cache::{self, Cache, Found};

/// What of an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The rows of a list, or the object where the resource is one.
    Rows,
    /// The object of this shape, or none where it is not there.
    Object(Shape),
    /// What the headers say.
    Headers,
}

/// Which part of a list is asked for. The pages of a list that come from the cache have been read
/// together: all but the first are kept by when the first one was asked for.
#[derive(Debug)]
pub(super) enum Part {
    /// Something that has no pages, or of which only one is wanted.
    Only,
    /// The page that is read first.
    First(PagedList),
    /// A page of a list whose first page was asked for then.
    Later(u64),
    /// Such a page once more, since its answer does not go together with the others.
    Again(u64),
    /// A page of a list that the cache had whole.
    Kept(Arc<KeptPages>),
}

/// An answer whose rows are decoded.
pub(super) struct Fetched {
    pub(super) batch: Batch,
    pub(super) info: PageInfo,
    /// When it was asked for.
    pub(super) date: u64,
    /// The pages that follow, where it is the first of a list that the cache had whole.
    pub(super) kept: Option<Arc<KeptPages>>,
}

impl Reader {
    /// Asks for rows: a page of the list, or a single object.
    pub(super) fn fetch(
        &self,
        target: String,
        page: Page,
        wanted: Wanted,
        part: Part,
    ) -> AbortOnDropHandle<Result<Fetched, Error>> {
        let (client, job, progress) =
            (self.client.clone(), self.job.clone(), self.progress.clone());
        let permits = self.permits.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            let _permit = permits.acquire().await;
            let request = Request { client: &client, job: &job, progress: &progress, wanted };
            match (job.cache_ttl > Duration::ZERO).then(cache::cache).flatten() {
                Some(cache) => request.known_or_asked(cache, &target, page, &part).await,
                None => request.ask(&target, page).await,
            }
        }))
    }
}

struct Request<'r> {
    client: &'r Client,
    job: &'r Job,
    progress: &'r Progress,
    wanted: Wanted,
}

impl Request<'_> {
    /// The answer that the cache has, or that somebody else is waiting for, or else awork's.
    async fn known_or_asked(
        &self,
        cache: &'static Cache,
        target: &str,
        page: Page,
        part: &Part,
    ) -> Result<Fetched, Error> {
        let (client, ttl) = (self.client, self.job.cache_ttl);
        if let Part::Kept(pages) = part
            && let Some(copy) = pages.take(page)
            && let Some((info, batch)) = copy.read()
        {
            self.used(copy.date);
            return Ok(Fetched { batch, info, date: copy.date, kept: None });
        }
        let together_with = match part {
            Part::Later(date) | Part::Again(date) => Some(*date),
            Part::Only | Part::First(_) | Part::Kept(_) => None,
        };
        let key = kept::key(client, self.job, target, self.wanted, together_with);
        let mut pause = SHORTEST_PAUSE;
        let ticket = loop {
            if matches!(part, Part::Again(_)) {
                break cache.renew(&key);
            }
            match cache.look(&key, ttl) {
                Found::Answer(info, batch, date) => {
                    let mut kept = None;
                    if let Part::First(list) = part {
                        match Usable::new(cache, client, self.job, list, &info, date) {
                            Usable::BeingRead => {}
                            Usable::Whole(pages) => kept = Some(pages),
                            Usable::Not => break cache.renew(&key),
                        }
                    }
                    self.used(date);
                    return Ok(Fetched { batch, info, date, kept });
                }
                Found::InFlight => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Found::Nothing(ticket) => break ticket,
            }
        };
        client.count(|c| &c.misses, 1);
        let page = self.ask(target, page).await?;
        ticket.answer(page.date, &page.info, &page.batch);
        Ok(page)
    }

    /// Takes note of an answer from the cache.
    fn used(&self, date: u64) {
        self.client.count(|c| &c.hits, 1);
        self.client.used(cache::age(date));
    }

    async fn ask(&self, target: &str, page: Page) -> Result<Fetched, Error> {
        let Self { client, job, progress, wanted } = self;
        let resource = job.resource;
        progress.sending(&request::shown(resource.version, target));
        let date = cache::date();
        let answer = match client.get(resource.version, target, &resource.headers).await {
            // A key that names nothing has no rows.
            Err(error)
                if error.kind == ErrorKind::NoSuchObject
                    && *wanted != Wanted::Headers
                    && (resource.is_keyed() || *wanted != Wanted::Rows) =>
            {
                Answer { body: None, page: PageInfo { total: Some(0), ..Default::default() } }
            }
            other => other.map_err(|e| in_context(e, job, page))?,
        };
        progress.pages.fetch_add(1, Ordering::Relaxed);
        client.count(|c| &c.pages, 1);
        let shape = match wanted {
            Wanted::Headers => {
                return Ok(Fetched { batch: Batch::new(0), info: answer.page, date, kept: None });
            }
            Wanted::Rows => resource.shape,
            Wanted::Object(shape) => *shape,
        };
        let batch = match &answer.body {
            Some(body) => decoded(client, body, shape, job, target)?,
            None => Batch::new(0),
        };
        progress.rows.fetch_add(batch.rows() as u64, Ordering::Relaxed);
        progress.mismatches.fetch_add(batch.mismatches, Ordering::Relaxed);
        let mut info = answer.page;
        if let (Some(body), None) = (&answer.body, info.total) {
            info.fingerprint = Some(fingerprint(body));
        }
        Ok(Fetched { batch, info, date, kept: None })
    }
}

/// Between two looks for an answer that somebody else waits for.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// Decodes an answer, with an error that names the request.
pub(super) fn decoded(
    client: &Client,
    body: &[u8],
    shape: Shape,
    job: &Job,
    target: &str,
) -> Result<Batch, Error> {
    let started = Instant::now();
    let batch = decode::page(body, shape, &job.projection);
    client.decoded(batch.as_ref().map_or(0, Batch::rows), started.elapsed());
    batch.map_err(|error| undecodable(error, job, target))
}

/// The thread of a request is gone.
pub(super) fn stopped() -> Error {
    Error::new(ErrorKind::Internal, "a thread that decodes answers stopped unexpectedly")
}

fn fingerprint(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

fn in_context(mut error: Error, job: &Job, page: Page) -> Error {
    let what = match job.resource.shape {
        Shape::List if job.resource.paged => format!("page {} of resource", page.number),
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
