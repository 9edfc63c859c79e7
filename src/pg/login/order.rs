//! What a session has a worker do: an order, and the reply to it. Both travel in a segment of
//! shared memory of their own (dsm.c), which only the two processes know.

use std::sync::atomic::{AtomicU64, Ordering};

use awork_api::credentials::Secret;
use awork_api::credentials::oauth::Application;
use awork_api::error::{Error, ErrorKind};
use awork_api::settings::Settings;
use pgrx::pg_sys;
use serde::{Deserialize, Serialize};

use super::store::Place;
use crate::pg::foreign::{Options, settings_of};

/// Bytes for an order, and as many for its reply.
const ROOM: usize = 64 * 1024;

/// An order. All that it needs is in it, since the worker does not see what the session's
/// transaction has changed.
#[derive(Serialize, Deserialize)]
pub(super) struct Order {
    schema: u32,
    server: u32,
    role: u32,
    /// The options of the server.
    options: Options,
    client_id: String,
    client_secret: Option<String>,
    pub(super) task: Task,
}

/// What to do.
#[derive(Serialize, Deserialize)]
pub(super) enum Task {
    /// Keep what was made up for a login.
    Request { state: String, verifier: String, redirect_uri: String },
    /// Turn the code of a login into tokens, if the last login that was begun is the one of this
    /// state. The seed is the refresh token of the user mapping, in whose place the login comes.
    Exchange { code: String, state: String, seed: Option<String> },
    /// Get another access token than this one, which is of no use any more. Where there is none,
    /// the seed gives the first one.
    Refresh { refused: Option<String>, seed: Option<String> },
    /// Forget the tokens.
    LogOut,
}

/// What has become of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    Changed,
    /// There was nothing to be done.
    Unchanged,
    /// Another worker is changing the same login.
    Busy,
}

/// The reply to an order.
pub(super) type Reply = Result<Outcome, Error>;

impl Order {
    pub(super) fn new(
        place: Place,
        options: &Options,
        application: &Application,
        task: Task,
    ) -> Self {
        Self {
            schema: place.schema.to_u32(),
            server: place.server.to_u32(),
            role: place.role.to_u32(),
            options: options.clone(),
            client_id: application.id.clone(),
            client_secret: application.secret.as_ref().map(|s| s.reveal().to_owned()),
            task,
        }
    }

    pub(super) fn place(&self) -> Place {
        let oid = |number: u32| pg_sys::Oid::from(number);
        Place { schema: oid(self.schema), server: oid(self.server), role: oid(self.role) }
    }

    /// The settings of the server, and what its API begins with.
    pub(super) fn settings(&self) -> Result<(Settings, String), Error> {
        let settings = settings_of(&self.options)?;
        let api_url = settings.base(1)?;
        Ok((settings, api_url))
    }

    pub(super) fn application(&self) -> Result<Application, Error> {
        let secret = self.client_secret.as_ref();
        let secret = secret.map(|secret| Secret::new("client secret", secret)).transpose()?;
        Ok(Application { id: self.client_id.clone(), secret })
    }
}

/// The memory that an order and its reply travel in.
pub(super) struct Segment(*mut pg_sys::dsm_segment);

/// The segment's beginning: how long the order is and how long the reply.
#[repr(C)]
struct Lengths {
    order: AtomicU64,
    reply: AtomicU64,
}

impl Segment {
    /// A new segment with an order, for the session.
    pub(super) fn with(order: &Order) -> Result<Self, Error> {
        // SAFETY: the segment has room for the lengths and both texts. After an error it ends with
        // the resource owner of the statement.
        let segment = unsafe {
            Self(pg_sys::dsm_create((size_of::<Lengths>() + 2 * ROOM) as pg_sys::Size, 0))
        };
        // The memory may have been used before.
        segment.lengths().order.store(0, Ordering::Relaxed);
        segment.lengths().reply.store(0, Ordering::Relaxed);
        segment.write(0, &segment.lengths().order, order)?;
        Ok(segment)
    }

    /// The segment of a session, for the worker; none where the session is gone.
    pub(super) fn of(handle: pg_sys::dsm_handle) -> Option<Self> {
        // SAFETY: a handle of no segment gives a null pointer. The mapping stays for the life of
        // the process.
        unsafe {
            let segment = pg_sys::dsm_attach(handle);
            if segment.is_null() {
                return None;
            }
            pg_sys::dsm_pin_mapping(segment);
            Some(Self(segment))
        }
    }

    pub(super) fn handle(&self) -> pg_sys::dsm_handle {
        // SAFETY: the segment is attached.
        unsafe { pg_sys::dsm_segment_handle(self.0) }
    }

    /// Takes the order out, so that no secret stays behind.
    pub(super) fn order(&self) -> Result<Order, Error> {
        let order = self.read(0, &self.lengths().order);
        // SAFETY: nobody else reads the order.
        unsafe { std::ptr::write_bytes(self.part(0), 0, ROOM) };
        order
    }

    pub(super) fn reply(&self, reply: &Reply) -> Result<(), Error> {
        self.write(ROOM, &self.lengths().reply, reply)
    }

    /// The reply of a worker that has ended.
    pub(super) fn replied(&self) -> Reply {
        self.read(ROOM, &self.lengths().reply)?
    }

    fn lengths(&self) -> &Lengths {
        // SAFETY: the segment begins with the lengths, and is aligned to a page.
        unsafe { &*pg_sys::dsm_segment_address(self.0).cast::<Lengths>() }
    }

    /// # Safety
    /// Nobody may write to the part meanwhile.
    unsafe fn part(&self, start: usize) -> *mut u8 {
        // SAFETY: both parts are behind the lengths.
        unsafe {
            pg_sys::dsm_segment_address(self.0).cast::<u8>().add(size_of::<Lengths>() + start)
        }
    }

    fn write(&self, start: usize, length: &AtomicU64, what: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_vec(what).map_err(|e| internal(&e.to_string()))?;
        if text.len() > ROOM {
            return Err(internal("the options of the server are too large"));
        }
        // SAFETY: the part has room, and is not read before the length is set.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), self.part(start), text.len()) };
        length.store(text.len() as u64, Ordering::Release);
        Ok(())
    }

    fn read<T: for<'de> Deserialize<'de>>(
        &self,
        start: usize,
        length: &AtomicU64,
    ) -> Result<T, Error> {
        let length = length.load(Ordering::Acquire) as usize;
        if length == 0 {
            return Err(internal("the background worker for logins ended without a reply")
                .hint("The server's log may say why."));
        }
        // SAFETY: so much was written before the length was set.
        let text = unsafe { std::slice::from_raw_parts(self.part(start), length.min(ROOM)) };
        serde_json::from_slice(text).map_err(|e| internal(&e.to_string()))
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: the segment is attached; after an error the resource owner sees to it.
        unsafe {
            if !std::thread::panicking() {
                // Where no worker has taken it, the order is still there.
                std::ptr::write_bytes(self.part(0), 0, ROOM);
                pg_sys::dsm_detach(self.0);
            }
        }
    }
}

fn internal(message: &str) -> Error {
    Error::new(ErrorKind::Internal, message)
}
