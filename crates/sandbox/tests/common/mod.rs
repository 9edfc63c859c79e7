//! A client of few lines that shows what is on the wire.

#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod oauth;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use awork_api::catalogue::Resource;
use awork_sandbox::{Config, Sandbox};
use serde_json::Value;

pub(crate) const KEY: &str = "awork-sandbox-key";
pub(crate) const LIMITED: &str = "awork-sandbox-limited";

/// A response as it came.
#[derive(Debug)]
pub(crate) struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the body ended as announced.
    pub complete: bool,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn rows(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json().as_array().expect("an array").clone()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) fn start(config: Config) -> Sandbox {
    Sandbox::start(config).expect("the sandbox starts")
}

pub(crate) fn small() -> Sandbox {
    start(Config { scale: 600, ..Config::default() })
}

/// The path of a resource with these values in its holes.
pub(crate) fn path(resource: &Resource, values: &[(String, String)]) -> String {
    let mut path = format!("/api/v{}{}", resource.version, resource.path);
    let mut query = Vec::new();
    for (name, value) in values {
        let hole = format!("{{{name}}}");
        if path.contains(&hole) {
            path = path.replace(&hole, value);
        } else {
            query.push(format!("{name}={value}"));
        }
    }
    format!("{path}?pageSize=200&{}", query.join("&"))
}

/// `path` as it goes on the wire.
pub(crate) fn get(sandbox: &Sandbox, path: &str) -> Response {
    send(sandbox.address(), "GET", path, &[("Authorization", &format!("Bearer {KEY}"))], "")
}

/// A list of version 1 with decoded parameters.
pub(crate) fn list(sandbox: &Sandbox, path: &str, parameters: &[(&str, &str)]) -> Response {
    let pairs = parameters.iter().map(|(name, value)| format!("{name}={}", encode(value)));
    get(sandbox, &format!("/api/v1{path}?{}", pairs.collect::<Vec<_>>().join("&")))
}

pub(crate) fn encode(text: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes()
        .map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

pub(crate) fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response {
    let mut stream = TcpStream::connect(address).expect("the sandbox listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).expect("the request is sent");
    let mut raw = Vec::new();
    // A cut connection is an error here, and what came before it counts.
    stream.read_to_end(&mut raw).ok();
    read(&raw)
}

fn read(raw: &[u8]) -> Response {
    let end = raw.windows(4).position(|w| w == b"\r\n\r\n").expect("headers");
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|s| s.parse().ok());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut response = Response {
        status: status.expect("a status"),
        headers,
        body: raw[end + 4..].to_vec(),
        complete: true,
    };
    if response.header("transfer-encoding") == Some("chunked") {
        (response.body, response.complete) = unchunk(&response.body);
    } else if let Some(length) = response.header("content-length") {
        response.complete = length.parse() == Ok(response.body.len());
    }
    response
}

fn unchunk(mut raw: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = raw.windows(2).position(|w| w == b"\r\n") else { return (body, false) };
        let size = usize::from_str_radix(&String::from_utf8_lossy(&raw[..end]), 16).unwrap_or(0);
        raw = &raw[end + 2..];
        if size == 0 {
            return (body, true);
        }
        if raw.len() < size + 2 {
            body.extend_from_slice(&raw[..size.min(raw.len())]);
            return (body, false);
        }
        body.extend_from_slice(&raw[..size]);
        raw = &raw[size + 2..];
    }
}
