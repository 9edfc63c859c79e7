//! Logins and what was given for them: codes, access tokens, refresh tokens. Their lifetimes pass
//! in real time, since the sandbox's present never moves.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::refusal::Refusal;
use super::secret;
use super::settings::OAuth;

/// Somebody's consent to an application.
pub(crate) struct Login {
    pub(crate) client: String,
    /// The identity's name.
    pub(crate) identity: String,
    /// The scopes, divided by blanks.
    pub(crate) scope: String,
}

/// What ends after a while.
struct Lifetime {
    given: Instant,
    lasts: Duration,
}

impl Lifetime {
    fn of(lasts: Duration) -> Lifetime {
        Lifetime { given: Instant::now(), lasts }
    }

    fn over(&self) -> bool {
        self.given.elapsed() >= self.lasts
    }
}

struct Code {
    login: Arc<Login>,
    redirect_uri: String,
    challenge: Option<String>,
    lifetime: Lifetime,
    used: bool,
}

struct Access {
    login: Arc<Login>,
    lifetime: Lifetime,
}

struct Refresh {
    login: Arc<Login>,
    lifetime: Lifetime,
    used: bool,
}

/// All of it. Nothing is forgotten but what is revoked, since the sandbox must know an expired
/// token from an unknown one.
#[derive(Default)]
pub(crate) struct Store {
    codes: HashMap<String, Code>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
}

/// What an access token is worth.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Worth {
    /// It acts as the identity of this name.
    Identity(String),
    Expired,
    Unknown,
}

/// Fresh tokens.
pub(crate) struct Tokens {
    pub(crate) access: String,
    /// Seconds from 1970 to the end of the access token, rounded up.
    pub(crate) ends: u64,
    pub(crate) refresh: Option<String>,
    /// The scope of the access token.
    pub(crate) scope: String,
    /// The name of the identity that they act as.
    pub(crate) identity: String,
}

impl Store {
    /// A code for a login.
    pub(crate) fn give_code(
        &mut self,
        login: Login,
        redirect_uri: &str,
        challenge: Option<&str>,
        lasts: Duration,
    ) -> String {
        let code = Code {
            login: Arc::new(login),
            redirect_uri: redirect_uri.to_owned(),
            challenge: challenge.map(str::to_owned),
            lifetime: Lifetime::of(lasts),
            used: false,
        };
        let text = secret::random();
        self.codes.insert(text.clone(), code);
        text
    }

    /// Takes a code and gives tokens for it. A code that comes again ends the login, since one of
    /// the two who sent it has stolen it (RFC 6749, section 4.1.2).
    pub(crate) fn redeem(
        &mut self,
        code: &str,
        client: &str,
        redirect_uri: &str,
        verifier: Option<&str>,
        settings: &OAuth,
    ) -> Result<Tokens, Refusal> {
        let known = self.codes.get_mut(code).filter(|code| code.login.client == client);
        let Some(found) = known else {
            return Err(Refusal::invalid_grant("the code is unknown, or of another application"));
        };
        let login = Arc::clone(&found.login);
        if found.used {
            self.end(|other| std::ptr::eq(other, &*login));
            return Err(Refusal::invalid_grant("the code was used before"));
        }
        if found.lifetime.over() {
            return Err(Refusal::invalid_grant("the code has expired"));
        }
        if found.redirect_uri != redirect_uri {
            return Err(Refusal::invalid_grant("redirect_uri is not the one of the code"));
        }
        match (&found.challenge, verifier) {
            (Some(_), None) => return Err(Refusal::invalid_request("code_verifier is missing")),
            (Some(challenge), Some(verifier)) if secret::challenge(verifier) != *challenge => {
                return Err(Refusal::invalid_grant("code_verifier does not fit the challenge"));
            }
            (None, Some(_)) => {
                return Err(Refusal::invalid_grant("the code was given without a challenge"));
            }
            _ => {}
        }
        found.used = true;
        Ok(self.issue(&login, None, settings))
    }

    /// Takes a refresh token and gives tokens for it, a new refresh token among them.
    pub(crate) fn rotate(
        &mut self,
        token: &str,
        client: &str,
        scope: Option<&str>,
        settings: &OAuth,
    ) -> Result<Tokens, Refusal> {
        let known = self.refresh.get_mut(token).filter(|token| token.login.client == client);
        let Some(found) = known else {
            return Err(Refusal::invalid_grant("the refresh token is unknown, or of another"));
        };
        let login = Arc::clone(&found.login);
        if found.used {
            if settings.revoke_on_reuse {
                self.end(|other| std::ptr::eq(other, &*login));
            }
            return Err(Refusal::invalid_grant("the refresh token was used before"));
        }
        if found.lifetime.over() {
            return Err(Refusal::invalid_grant("the refresh token has expired"));
        }
        let granted = |wanted: &str| login.scope.split(' ').any(|scope| scope == wanted);
        if scope.is_some_and(|scope| !scope.split(' ').all(granted)) {
            return Err(Refusal::new("invalid_scope", "more than was consented to"));
        }
        found.used = true;
        Ok(self.issue(&login, scope, settings))
    }

    fn issue(&mut self, login: &Arc<Login>, scope: Option<&str>, settings: &OAuth) -> Tokens {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ends = now.saturating_add(settings.access_token_lifetime).as_secs_f64().ceil() as u64;
        let text = secret::token(&login.identity, now.as_secs(), ends);
        let lifetime = Lifetime::of(settings.access_token_lifetime);
        self.access.insert(text.clone(), Access { login: Arc::clone(login), lifetime });
        // A narrower scope is that of the access token alone; the consent stays (section 6).
        let lasting = login.scope.split(' ').any(|scope| scope == "offline_access");
        let refresh = lasting.then(|| {
            let text = secret::random();
            let lifetime = Lifetime::of(settings.refresh_token_lifetime);
            let token = Refresh { login: Arc::clone(login), lifetime, used: false };
            self.refresh.insert(text.clone(), token);
            text
        });
        let scope = scope.unwrap_or(&login.scope).to_owned();
        Tokens { access: text, ends, refresh, scope, identity: login.identity.clone() }
    }

    /// What an access token is worth now.
    pub(crate) fn worth(&self, token: &str) -> Worth {
        match self.access.get(token) {
            None => Worth::Unknown,
            Some(token) if token.lifetime.over() => Worth::Expired,
            Some(token) => Worth::Identity(token.login.identity.clone()),
        }
    }

    /// Ends all access tokens now; says how many there were to end.
    pub(crate) fn expire(&mut self) -> usize {
        let alive = self.access.values_mut().filter(|token| !token.lifetime.over());
        alive.map(|token| token.lifetime.lasts = Duration::ZERO).count()
    }

    /// Revokes all that was given for some logins; says how many codes and tokens that are. The
    /// used ones count and stay unknown from then on.
    pub(crate) fn end(&mut self, of: impl Fn(&Login) -> bool) -> usize {
        let count = |store: &Store| store.codes.len() + store.access.len() + store.refresh.len();
        let before = count(self);
        self.codes.retain(|_, code| !of(&code.login));
        self.access.retain(|_, token| !of(&token.login));
        self.refresh.retain(|_, token| !of(&token.login));
        before - count(self)
    }
}
