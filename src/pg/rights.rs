//! Says once per session and credential that it is no admin, since awork leaves out what others
//! may not see, and says nothing (API documentation, "Permissions").

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use awork_api::client::Client;
use awork_api::runtime::runtime;
use pgrx::pg_sys;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use super::wait::{Event, pause};
use crate::{check, error, settings};

/// How long the end of a scan waits for the answer, which was asked for with its first request.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

thread_local! {
    /// The credentials of this session of which it is known, or has been asked for.
    static ASKED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// A question that is on its way. Dropping it ends the request.
pub(super) struct Rights {
    answer: oneshot::Receiver<Option<bool>>,
    _task: AbortOnDropHandle<()>,
    server: String,
    scope: u64,
    /// Whether the user has been told, if there is anything to tell.
    is_told: bool,
}

impl Drop for Rights {
    fn drop(&mut self) {
        if !self.is_told {
            // The statement has failed, so that the next one is to ask.
            ASKED.with_borrow_mut(|asked| asked.retain(|scope| *scope != self.scope));
        }
    }
}

impl Rights {
    /// Asks what the credential of a client may do; none where that is known, or where nobody
    /// would see the warning.
    pub(super) fn ask(client: &Client, server: pg_sys::Oid) -> Option<Self> {
        // SAFETY: a setting of the session.
        let is_seen = unsafe { pg_sys::client_min_messages } <= pg_sys::WARNING as i32;
        if !settings::warn_not_admin() || !is_seen {
            return None;
        }
        let scope = client.scope();
        let is_known = ASKED.with_borrow(|asked| asked.contains(&scope));
        if is_known {
            return None;
        }
        let runtime = runtime().ok()?;
        ASKED.with_borrow_mut(|asked| asked.push(scope));
        let client = Arc::new(client.another());
        let (sender, answer) = oneshot::channel();
        let _task = AbortOnDropHandle::new(runtime.spawn(async move {
            // The statement may have ended.
            let _ = sender.send(check::is_admin(&client).await);
        }));
        let (server, _) = super::foreign::server_options(server);
        Some(Self { answer, _task, server, scope, is_told: false })
    }

    /// Warns where the credential is no admin.
    pub(super) fn tell(mut self) {
        let started = Instant::now();
        loop {
            // An answer that takes longer is not waited for once more.
            match self.answer.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) if started.elapsed() < LONGEST_WAIT => {
                    pause(Duration::from_millis(1), Event::Response);
                }
                answer => {
                    self.is_told = true;
                    if answer == Ok(Some(false)) {
                        error::warn_not_admin(&self.server);
                    }
                    return;
                }
            }
        }
    }
}
