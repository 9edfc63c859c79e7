//! A fake awork server with an invented workspace, for the demo, the tests and the benchmarks.
//!
//! It answers every resource of the catalogue as awork's API documentation describes, pages,
//! filters and orders included, and it can be told to misbehave. It listens on loopback
//! addresses only, and holds no real data.
#![forbid(unsafe_code)]
#![recursion_limit = "256"]

mod answer;
mod body;
mod change;
mod config;
mod control;
mod data;
mod engine;
mod fault;
mod filter;
mod identities;
mod limits;
mod list;
mod log;
mod oauth;
mod parents;
mod prepared;
mod request;
mod routes;
mod server;
mod source;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

pub use change::{Change, Changed, RowName, Update};
pub use config::{Config, Error, Identity, LargePages, RateLimit};
pub use fault::{Action, Fault};
pub use filter::{Feature, Refused};
pub use log::{ClientAuthentication, LogEntry};
pub use oauth::{ClientApplication, ExpiresIn, OAuth};

/// A running sandbox; it stops when dropped.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    shared: Arc<server::Shared>,
    runtime: Option<Runtime>,
}

impl Sandbox {
    /// Invents the data, listens, and answers on threads of its own.
    pub fn start(config: Config) -> Result<Sandbox, Error> {
        if !config.listen.ip().is_loopback() {
            return Err(Error::NotLoopback(config.listen));
        }
        let known = |name: &String| config.identities.iter().any(|one| one.name == *name);
        if let Some(name) = config.oauth.login.as_ref().filter(|name| !known(name)) {
            return Err(Error::LogIn(format!("there is no identity \"{name}\"")));
        }
        let listener = TcpListener::bind(config.listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let limits = limits::Limits::new(config.rate_limit);
        let oauth = oauth::Authority::new(config.oauth.clone(), format!("http://{address}"));
        let shared = Arc::new(server::Shared {
            engine: engine::Engine::new(config)?,
            faults: fault::Faults::default(),
            log: Arc::new(log::Log::new()),
            limits,
            oauth,
        });
        let runtime = Builder::new_multi_thread()
            .worker_threads(4)
            .thread_name("awork-sandbox")
            .enable_all()
            .build()?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        runtime.spawn(server::serve(listener, Arc::clone(&shared)));
        Ok(Sandbox { address, shared, runtime: Some(runtime) })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base of version 1, as the server option `api_url` takes it.
    pub fn api_url(&self) -> String {
        format!("http://{}/api/v1", self.address)
    }

    /// The requests since the start or since the log was cleared.
    pub fn log(&self) -> Vec<LogEntry> {
        self.shared.log.entries()
    }

    /// Empties the log.
    pub fn clear_log(&self) {
        self.shared.log.clear();
    }

    /// How many requests there were since the start. Clearing the log does not change it.
    pub fn requests(&self) -> u64 {
        self.shared.log.count()
    }

    /// The requests of the log that go on: they are not answered, or not to the last byte.
    pub fn running(&self) -> Vec<LogEntry> {
        self.shared.log.running()
    }

    /// How often a fault has met a request since the start, faults that were removed included.
    pub fn faults_met(&self) -> u64 {
        self.shared.faults.met()
    }

    /// Adds a fault; several may meet one request.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.faults.add(fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Refuses this in filters and orders from now on, and nothing else: such a request is
    /// answered with 400 and the code `invalid-filter-or-order`.
    pub fn refuse(&self, refused: Refused) {
        self.shared.engine.refuse(refused);
    }

    /// Takes these identities in place of the ones before, from the next request on. Logins go by
    /// name: they outlive a change of key, and are revoked where nobody of their name is left.
    pub fn replace_identities(&self, identities: Vec<Identity>) {
        self.shared.replace_identities(identities);
    }

    /// A code as the authorization endpoint gives it, for all scopes, without the way through a
    /// browser. The challenge is one by `S256`. Fails with [`Error::LogIn`] where the endpoint
    /// would refuse.
    pub fn log_in(
        &self,
        client_id: &str,
        identity: &str,
        redirect_uri: &str,
        code_challenge: Option<&str>,
    ) -> Result<String, Error> {
        let code = self.shared.log_in(client_id, identity, redirect_uri, code_challenge);
        code.map_err(Error::LogIn)
    }

    /// Lets all access tokens that were given so far expire now; refresh tokens stay. Says how
    /// many had not expired yet.
    pub fn expire_access_tokens(&self) -> usize {
        self.shared.oauth.expire()
    }

    /// Revokes all that was given for the logins of the identity of this name. Says how many codes
    /// and tokens that are, used and expired ones included.
    pub fn revoke_logins(&self, identity: &str) -> usize {
        self.shared.oauth.revoke(|name| name == identity)
    }

    /// Changes the data.
    pub fn change(&self, change: &Change) -> Result<Changed, Error> {
        self.shared.engine.change(change)
    }

    /// Every row of a resource as the API shows it to the first identity, in the order of the
    /// list without `orderby`. The parameters are those of the path, and of the query.
    pub fn rows(&self, resource: &str, parameters: &[(&str, &str)]) -> Vec<Value> {
        self.shared.engine.rows(resource, parameters)
    }

    /// The rows of [`Sandbox::rows`], one at a time, for lists that are too long to hold.
    pub fn visit(&self, resource: &str, parameters: &[(&str, &str)], visitor: impl FnMut(Value)) {
        self.shared.engine.visit(resource, parameters, visitor);
    }

    /// Parameters of a resource under which it has rows: of its path, and required ones of the
    /// query. None where nothing has rows.
    pub fn parameters(&self, resource: &str) -> Option<Vec<(String, String)>> {
        self.shared.engine.parameters(resource)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
