//! A user's login and its access token. Access tokens expire; only the process's main thread can
//! get a new one, since that is stored in the database. So the threads that send requests put
//! down that they need one, and the main thread, wherever it waits, looks for that.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;

use super::Secret;
use crate::error::{Error, ErrorKind};

/// An access token and how long it is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// What follows `Bearer`.
    pub token: Secret,
    /// When awork gave it.
    pub issued: Timestamp,
    /// When it expires; none where awork did not say.
    pub expires: Option<Timestamp>,
}

impl AccessToken {
    /// Whether it has expired.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Whether it is time for another one: the last tenth of its life, and at the most five
    /// minutes before its end, so that the clocks may differ and requests may take long.
    pub fn is_ending(&self, now: Timestamp) -> bool {
        let Some(expires) = self.expires else { return false };
        let margin = (expires.duration_since(self.issued) / 10).min(SignedDuration::from_mins(5));
        expires.duration_since(now) <= margin
    }
}

/// The login of a user.
pub struct Login {
    /// Tells logins apart, also those of the same role one after the other.
    pub id: u128,
    /// By what the main thread knows where the login is stored.
    pub place: u64,
    current: Mutex<AccessToken>,
    renewals: &'static Renewals,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Login {
    /// A login with its access token of the moment; others are asked for in [`RENEWALS`].
    pub fn new(id: u128, place: u64, current: AccessToken) -> Arc<Self> {
        RENEWALS.in_use.store(true, Ordering::Relaxed);
        Arc::new(Self { id, place, current: Mutex::new(current), renewals: &RENEWALS })
    }

    /// The access token of the moment.
    pub fn current(&self) -> AccessToken {
        self.lock().clone()
    }

    /// Takes note of a new access token.
    pub fn replace(&self, token: AccessToken) {
        *self.lock() = token;
    }

    fn lock(&self) -> MutexGuard<'_, AccessToken> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn token(self: &Arc<Self>) -> Result<Secret, Error> {
        let current = self.current();
        // A long scan may outlive the token it began with.
        match current.is_expired(Timestamp::now()) {
            true => self.renewed(&current.token).await,
            false => Ok(current.token),
        }
    }

    pub(super) async fn renewed(self: &Arc<Self>, refused: &Secret) -> Result<Secret, Error> {
        let (answer, outcome) = oneshot::channel();
        self.renewals.ask(Renewal { login: self.clone(), refused: refused.clone(), answer });
        outcome.await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "nobody is there to renew an access token"))
        })?;
        Ok(self.current().token)
    }
}

/// A request for another access token.
#[derive(Debug)]
pub struct Renewal {
    /// Whose.
    pub login: Arc<Login>,
    /// The token that is of no use any more. Where the login has another one by now, there is
    /// nothing to do.
    pub refused: Secret,
    /// Takes the outcome; the new token is in `login` by then.
    pub answer: oneshot::Sender<Result<(), Error>>,
}

/// The requests that nobody has looked at yet.
#[derive(Debug)]
pub struct Renewals {
    in_use: AtomicBool,
    waiting: Mutex<Vec<Renewal>>,
}

/// The requests of this process.
pub static RENEWALS: Renewals =
    Renewals { in_use: AtomicBool::new(false), waiting: Mutex::new(Vec::new()) };

impl Renewals {
    /// Whether there are logins in this process, so that there may be requests.
    pub fn is_used(&self) -> bool {
        self.in_use.load(Ordering::Relaxed)
    }

    fn ask(&self, renewal: Renewal) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(renewal);
    }

    /// Takes all requests.
    pub fn take(&self) -> Vec<Renewal> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(seconds: i64) -> AccessToken {
        let issued = Timestamp::UNIX_EPOCH;
        let expires = Some(issued + SignedDuration::from_secs(seconds));
        AccessToken { token: Secret::new("token", "t").unwrap(), issued, expires }
    }

    #[test]
    fn tokens_are_renewed_before_they_expire() {
        let at = |seconds| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        let day = token(86_400);
        assert!(!day.is_ending(at(86_000)) && day.is_ending(at(86_100)));
        assert!(!day.is_expired(at(86_399)) && day.is_expired(at(86_400)));
        let short = token(10);
        assert!(!short.is_ending(at(8)) && short.is_ending(at(9)));
        let endless = AccessToken { expires: None, ..token(1) };
        assert!(!endless.is_ending(at(100)) && !endless.is_expired(at(100)));
    }
}
