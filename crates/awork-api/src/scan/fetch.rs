//! One request of a scan: asks, decodes on the runtime's threads, and says in an error what was
//! asked for. Requests of a scan and of its parents share the permits to be in flight.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::Ordering;

use tokio_util::task::AbortOnDropHandle;

use super::job::Job;
use super::reader::{Page, Reader};
use crate::catalogue::Shape;
use crate::client::Answer;
use crate::error::{Error, ErrorKind};
use crate::pages::PageInfo;
use crate::request;
use crate::rows::decode::{self, DecodeError};
use crate::rows::{Batch, Projection};

impl Reader {
    /// Asks for rows: a page of the list, or the object at `target` where a shape is given.
    pub(super) fn fetch(
        &self,
        target: String,
        page: u64,
        shape: Option<Shape>,
    ) -> AbortOnDropHandle<Result<Page, Error>> {
        let (client, job, progress) =
            (self.client.clone(), self.job.clone(), self.progress.clone());
        let permits = self.permits.clone();
        progress.sending(&request::shown(job.resource.version, &target));
        AbortOnDropHandle::new(tokio::spawn(async move {
            let _permit = permits.acquire().await;
            let resource = job.resource;
            let is_lookup = shape.is_some();
            let answer = match client.get(resource.version, &target, &resource.headers).await {
                // A key that names nothing has no rows.
                Err(error)
                    if error.kind == ErrorKind::NoSuchObject
                        && (resource.is_keyed() || is_lookup) =>
                {
                    Answer { body: None, page: PageInfo { total: Some(0), ..Default::default() } }
                }
                other => other.map_err(|e| in_context(e, &job, page))?,
            };
            let shape = shape.unwrap_or(resource.shape);
            let batch = match &answer.body {
                Some(body) => decoded(body, shape, &job.projection, &job, &target)?,
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

    /// Asks for a page of which only the headers count.
    pub(super) fn fetch_none(&self, target: String) -> AbortOnDropHandle<Result<Page, Error>> {
        let (client, job, progress) =
            (self.client.clone(), self.job.clone(), self.progress.clone());
        let permits = self.permits.clone();
        progress.sending(&request::shown(job.resource.version, &target));
        AbortOnDropHandle::new(tokio::spawn(async move {
            let _permit = permits.acquire().await;
            let resource = job.resource;
            let answer = client
                .get(resource.version, &target, &resource.headers)
                .await
                .map_err(|e| in_context(e, &job, 1))?;
            progress.pages.fetch_add(1, Ordering::Relaxed);
            Ok(Page { batch: Batch::new(0), info: answer.page })
        }))
    }
}

/// Decodes an answer, with an error that names the request.
pub(super) fn decoded(
    body: &[u8],
    shape: Shape,
    projection: &Projection,
    job: &Job,
    target: &str,
) -> Result<Batch, Error> {
    decode::page(body, shape, projection).map_err(|error| undecodable(error, job, target))
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
