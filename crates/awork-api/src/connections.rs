//! The connections of this process, which all clients share.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use reqwest::Certificate;
use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue, USER_AGENT};

use crate::error::{Error, ErrorKind};
use crate::files;
use crate::settings::Settings;

/// What tells pools apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kind {
    connect_timeout: Duration,
    tls: bool,
    /// The certificates of the only authorities that are trusted, as PEM.
    authorities: Option<Vec<u8>>,
}

/// The largest file of certificates, in bytes.
const LARGEST_BUNDLE: u64 = 4 * 1024 * 1024;

/// More kinds are hardly in use at a time.
const MOST_POOLS: usize = 16;

static POOLS: Mutex<Vec<(Kind, reqwest::Client)>> = Mutex::new(Vec::new());

/// The pool for a workspace that is reached with these settings.
pub(crate) fn connections(settings: &Settings) -> Result<reqwest::Client, Error> {
    let kind = Kind {
        connect_timeout: settings.connect_timeout,
        tls: settings.api_url.scheme() == "https",
        // The file is read each time, so that a new one is noticed.
        authorities: settings.ssl_ca_file.as_deref().map(authorities).transpose()?,
    };
    let mut pools = POOLS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some((_, pool)) = pools.iter().find(|(of, _)| *of == kind) {
        return Ok(pool.clone());
    }
    let pool = build(&kind).map_err(|error| {
        let error = Error::new(
            ErrorKind::Unreachable,
            format!("could not set up TLS: {}", innermost(&error)),
        );
        match kind.authorities {
            Some(_) => error.hint("Check the file that the server option \"ssl_ca_file\" names."),
            None => error.hint(
                "The database server needs the certificates of public authorities \
                 (Debian's package ca-certificates).",
            ),
        }
    })?;
    if pools.len() == MOST_POOLS {
        // Who has a clone goes on with it.
        pools.remove(0);
    }
    pools.push((kind, pool.clone()));
    Ok(pool)
}

fn authorities(file: &Path) -> Result<Vec<u8>, Error> {
    let pem = files::read("ssl_ca_file", file, LARGEST_BUNDLE, |_| Ok(()))?;
    // A file without any would make a pool that trusts nobody, whose errors say nothing of it.
    match Certificate::from_pem_bundle(&pem) {
        Ok(found) if !found.is_empty() => Ok(pem),
        _ => Err(files::invalid("ssl_ca_file", "has no certificates that can be read")
            .hint("It must be a PEM file with the certificates of authorities.")),
    }
}

fn build(kind: &Kind) -> reqwest::Result<reqwest::Client> {
    // The first caller decides for the process; another library that did so before is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("awork_fdw/", env!("CARGO_PKG_VERSION"))),
    );
    headers.insert(
        HeaderName::from_static("x-originating-app"),
        HeaderValue::from_static("awork_fdw"),
    );
    let mut builder = reqwest::Client::builder()
        .default_headers(headers)
        .connect_timeout(kind.connect_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .tcp_nodelay(true);
    if !kind.tls {
        // Plain HTTP is for loopback only: the key must not leave the machine in clear through a
        // proxy that the environment names, and there is no certificate to check.
        builder = builder.no_proxy().tls_certs_only([]);
    }
    if let Some(authorities) = &kind.authorities {
        builder = builder.tls_certs_only(Certificate::from_pem_bundle(authorities)?);
    }
    builder.build()
}

/// The cause below all wrappers, which is the one that says something.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
