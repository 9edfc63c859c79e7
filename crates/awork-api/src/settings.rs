//! What a server, a user mapping and a table can set, checked and with defaults. The same
//! parsers serve the options' validator and the scan.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use crate::error::{Error, ErrorKind};
use crate::pages::Consistency;

/// Where awork's API lives unless `api_url` says otherwise.
pub const DEFAULT_API_URL: &str = "https://api.awork.com/api/v1";

/// The most rows that awork gives per page (API documentation, "Pagination").
pub const MAX_PAGE_SIZE: u32 = 1000;

/// How a workspace is reached. Values of server options, with defaults for those not given.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Base of version 1 of the API, without a slash at the end.
    pub api_url: Url,
    /// Rows per page, 1 to [`MAX_PAGE_SIZE`].
    pub page_size: u32,
    /// Pages in flight per scan, 1 to 32.
    pub max_concurrency: usize,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long one request may take, from sending to the last byte of the answer.
    pub request_timeout: Duration,
    /// How often a failed request is sent again, 0 to 10.
    pub max_retries: usize,
    /// Requests per second that are sent at the most, whatever awork allows; 0.1 to 500.
    pub rate_limit: Option<f64>,
    /// How long a request may wait for the rate limit of the workspace, before it is an error.
    pub rate_limit_max_wait: Duration,
    /// How long an answer serves again; zero for never.
    pub cache_ttl: Duration,
    /// What it means that a list changes while it is read.
    pub consistency: Consistency,
    /// A PEM file with the certificates of the only authorities that are trusted; none for those
    /// of the system.
    pub ssl_ca_file: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            api_url: Url::parse(DEFAULT_API_URL).expect("the default address is valid"),
            page_size: MAX_PAGE_SIZE,
            max_concurrency: 4,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            max_retries: 3,
            rate_limit: None,
            rate_limit_max_wait: Duration::from_secs(65),
            cache_ttl: Duration::ZERO,
            consistency: Consistency::Strict,
            ssl_ca_file: None,
        }
    }
}

impl Settings {
    /// Sets what a server option of this name says. Options that are no settings
    /// (credentials, `resource`) are left alone.
    pub fn set(&mut self, option: &str, value: &str) -> Result<(), Error> {
        match option {
            "api_url" => self.api_url = api_url(value)?,
            "page_size" => self.page_size = number(option, value, 1, MAX_PAGE_SIZE.into())? as u32,
            "max_concurrency" => self.max_concurrency = number(option, value, 1, 32)? as usize,
            "max_retries" => self.max_retries = number(option, value, 0, 10)? as usize,
            "rate_limit" => self.rate_limit = Some(rate(value)?),
            "rate_limit_max_wait" => self.rate_limit_max_wait = duration(option, value, 3600)?,
            "cache_ttl" => {
                self.cache_ttl = duration(option, value, 86_400)
                    .map_err(|e| e.hint("0 turns the cache off."))?;
            }
            "consistency" => self.consistency = consistency(value)?,
            "ssl_ca_file" => self.ssl_ca_file = Some(file(option, value)?),
            "connect_timeout" => self.connect_timeout = seconds(option, value)?,
            "request_timeout" => self.request_timeout = seconds(option, value)?,
            _ => {}
        }
        Ok(())
    }

    /// The base of a version of the API: the sibling of `api_url` for version 2.
    pub fn base(&self, version: u8) -> Result<String, Error> {
        let base = self.api_url.as_str().trim_end_matches('/');
        if version == 1 {
            return Ok(base.to_owned());
        }
        match base.strip_suffix("/v1") {
            Some(parent) => Ok(format!("{parent}/v{version}")),
            None => Err(invalid("api_url", "must end in \"/v1\"")
                .hint(format!("Version {version} of the API is looked for beside version 1."))),
        }
    }
}

/// An address to which a credential may travel: https, or plain HTTP to this machine.
fn api_url(value: &str) -> Result<Url, Error> {
    let url = Url::parse(value).map_err(|e| invalid("api_url", &format!("is no URL: {e}")))?;
    if url.host().is_none() {
        return Err(invalid("api_url", "has no host"));
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        _ => {
            return Err(invalid("api_url", "must begin with \"https://\"").hint(
                "Plain HTTP is accepted for localhost only, so that no key travels in clear.",
            ));
        }
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("api_url", "must not contain a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("api_url", "must not contain a query or a fragment"));
    }
    Ok(url)
}

/// Whether an address is on this machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether a list of hosts, separated by commas, has the host of an address. `localhost` stands
/// for this machine, `*.awork.com` for the domain and what is below it, `*` for all.
pub fn is_allowed(hosts: &str, url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    hosts.split(',').map(|entry| entry.trim().to_ascii_lowercase()).any(|entry| {
        match entry.strip_prefix("*.") {
            Some(domain) => {
                host == domain
                    || host.strip_suffix(domain).is_some_and(|below| below.ends_with('.'))
            }
            None => entry == "*" || entry == host || (entry == "localhost" && is_loopback(url)),
        }
    })
}

/// The address at which a client application takes the code of a login. A code is of no use to
/// others (RFC 7636), so that plain HTTP and an application's own scheme are fine.
pub fn redirect_uri(value: &str) -> Result<Url, Error> {
    let url = Url::parse(value).map_err(|e| invalid("redirect_uri", &format!("is no URL: {e}")))?;
    match url.fragment() {
        Some(_) => Err(invalid("redirect_uri", "must not contain a fragment")),
        None => Ok(url),
    }
}

/// A file of the database server.
pub fn file(option: &str, value: &str) -> Result<PathBuf, Error> {
    let path = PathBuf::from(value);
    match path.is_absolute() {
        true => Ok(path),
        false => Err(invalid(option, "must be an absolute path")),
    }
}

/// The value of an option that is on or off, in the words that PostgreSQL takes.
pub fn flag(option: &str, value: &str) -> Result<bool, Error> {
    match value.trim().to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Ok(true),
        "off" | "false" | "no" | "0" => Ok(false),
        _ => Err(invalid(option, "must be on or off")),
    }
}

fn consistency(value: &str) -> Result<Consistency, Error> {
    match value.trim().to_ascii_lowercase().as_str() {
        "strict" => Ok(Consistency::Strict),
        "relaxed" => Ok(Consistency::Relaxed),
        _ => Err(invalid("consistency", "must be strict or relaxed")),
    }
}

/// The value of the option `on_type_mismatch`: whether a value that does not fit its column is
/// shown as null, and is no error.
pub fn shows_mismatches_as_null(value: &str) -> Result<bool, Error> {
    match value.trim().to_ascii_lowercase().as_str() {
        "error" => Ok(false),
        "null" => Ok(true),
        _ => Err(invalid("on_type_mismatch", "must be error or null")),
    }
}

fn number(option: &str, value: &str, min: u64, max: u64) -> Result<u64, Error> {
    match value.trim().parse::<u64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(invalid(option, &format!("must be a whole number from {min} to {max}"))),
    }
}

fn seconds(option: &str, value: &str) -> Result<Duration, Error> {
    match value.trim().parse::<f64>() {
        Ok(seconds) if (0.001..=3600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(invalid(option, "must be a number of seconds from 0.001 to 3600")),
    }
}

fn rate(value: &str) -> Result<f64, Error> {
    match value.trim().parse::<f64>() {
        Ok(rate) if (0.1..=500.0).contains(&rate) => Ok(rate),
        _ => Err(invalid("rate_limit", "must be a number of requests per second from 0.1 to 500")),
    }
}

/// Seconds, of which there may be none.
fn duration(option: &str, value: &str, most: u32) -> Result<Duration, Error> {
    match value.trim().parse::<f64>() {
        Ok(seconds) if (0.0..=f64::from(most)).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err(invalid(option, &format!("must be a number of seconds from 0 to {most}"))),
    }
}

fn invalid(option: &str, rule: &str) -> Error {
    Error::new(ErrorKind::Setting, format!("value of option \"{option}\" {rule}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(option: &str, value: &str) -> Result<Settings, Error> {
        let mut settings = Settings::default();
        settings.set(option, value).map(|()| settings)
    }

    #[test]
    fn addresses_are_https_or_loopback() {
        for good in [
            "https://api.awork.com/api/v1",
            "https://acme.awork.io/api/v1/",
            "http://127.0.0.1:8580/api/v1",
            "http://127.9.9.9/api/v1",
            "http://[::1]:1/api/v1",
            "http://localhost/api/v1",
        ] {
            assert!(set("api_url", good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "api.awork.com",
            "http://api.awork.com/api/v1",
            "http://localhost.evil.com/api/v1",
            "http://127.0.0.1.evil.com/",
            "ftp://127.0.0.1/",
            "https://user:secret@api.awork.com/api/v1",
            "https://api.awork.com/api/v1?x=1",
            "file:///etc/passwd",
        ] {
            let error = set("api_url", bad).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Setting, "{bad}");
            assert!(!error.message.contains("secret"), "{bad}");
        }
    }

    #[test]
    fn version_2_is_a_sibling() {
        let settings = set("api_url", "http://127.0.0.1:1/api/v1/").unwrap();
        assert_eq!(settings.base(1).unwrap(), "http://127.0.0.1:1/api/v1");
        assert_eq!(settings.base(2).unwrap(), "http://127.0.0.1:1/api/v2");
        assert!(set("api_url", "http://127.0.0.1:1/").unwrap().base(2).is_err());
    }

    #[test]
    fn numbers_have_ranges() {
        assert_eq!(set("page_size", "500").unwrap().page_size, 500);
        assert_eq!(set("request_timeout", "0.5").unwrap().request_timeout.as_millis(), 500);
        for (option, value) in [
            ("page_size", "0"),
            ("page_size", "1001"),
            ("page_size", "ten"),
            ("max_concurrency", "0"),
            ("max_concurrency", "33"),
            ("max_retries", "-1"),
            ("connect_timeout", "0"),
            ("connect_timeout", "NaN"),
            ("request_timeout", "1h"),
            ("rate_limit", "0"),
            ("rate_limit", "inf"),
            ("rate_limit_max_wait", "3601"),
            ("consistency", "eventual"),
            ("cache_ttl", "-1"),
            ("cache_ttl", "1 day"),
        ] {
            assert!(set(option, value).is_err(), "{option} {value}");
        }
    }

    #[test]
    fn hosts_are_allowed_by_name_and_by_domain() {
        let allowed = |hosts: &str, url: &str| is_allowed(hosts, &Url::parse(url).unwrap());
        let hosts = "*.awork.com, Api.Example.com ,localhost";
        for good in [
            "https://api.awork.com/api/v1",
            "https://awork.com/",
            "https://API.example.com/",
            "http://127.0.0.1:8580/",
            "https://[::1]/",
            "http://localhost/",
        ] {
            assert!(allowed(hosts, good), "{good}");
            assert!(allowed("*", good) && !allowed("", good), "{good}");
        }
        for bad in [
            "https://evilawork.com/",
            "https://api.awork.com.evil.com/",
            "https://www.api.example.com/",
            "https://10.0.0.1/",
            "https://169.254.169.254/",
        ] {
            assert!(!allowed(hosts, bad), "{bad}");
        }
    }

    #[test]
    fn files_have_absolute_paths() {
        assert!(set("ssl_ca_file", "/etc/ssl/ca.pem").unwrap().ssl_ca_file.is_some());
        assert!(set("ssl_ca_file", "ca.pem").is_err());
        assert!(redirect_uri("http://127.0.0.1:8765/callback").is_ok());
        assert!(redirect_uri("callback").is_err() && redirect_uri("http://a/#b").is_err());
    }
}
