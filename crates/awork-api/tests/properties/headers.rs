//! Headers of answers, of any bytes, from a server that writes them as they are.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use awork_api::client::{Client, Origin};
use awork_api::credentials::{Credential, Secret};
use awork_api::error::ErrorKind;
use awork_api::runtime::runtime;
use awork_api::settings::Settings;
use proptest::prelude::*;

use super::hold;

/// The headers that are looked at, and some that are not.
const NAMES: [&str; 20] = [
    "aw-totalitems",
    "AW-Page",
    "aw-pagesize",
    "ratelimit-limit",
    "ratelimit-remaining",
    "RateLimit-Reset",
    "x-ratelimit-limit-second",
    "x-ratelimit-remaining-second",
    "x-ratelimit-limit-minute",
    "x-ratelimit-remaining-minute",
    "retry-after",
    "location",
    "link",
    "x-edge-ref",
    "trace-id",
    "content-type",
    "content-encoding",
    "etag",
    "set-cookie",
    "connection",
];

/// A header's value: numbers mostly, and bytes other than those that would end it.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let text = |text: &str| text.as_bytes().to_vec();
    prop_oneof![
        any::<u64>().prop_map(|number| number.to_string().into_bytes()),
        (0_u8..70).prop_map(|number| number.to_string().into_bytes()),
        "[ \\t]?[+-]?[0-9]{0,30}(\\.[0-9]{0,3})?[ \\t]?".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..40),
        prop::sample::select(
            &[
                "18446744073709551615",
                "18446744073709551616",
                "-1",
                "Wed, 21 Oct 2026 07:28:00 GMT",
                "https://evil.example/api/v1/users",
                "//evil.example",
                "file:///etc/passwd",
                "javascript:alert(1)",
                "http://[",
                "gzip, gzip",
                "identity",
                "br",
                "close",
                "<https://evil.example>; rel=\"next\"",
                "W/oqedPA==",
            ][..]
        )
        .prop_map(text),
    ]
    .prop_map(|bytes| bytes.into_iter().filter(|byte| !b"\r\n".contains(byte)).collect())
}

/// A server that gives the answer of the moment to every request, and closes.
struct Raw {
    url: String,
    answer: Arc<Mutex<Vec<u8>>>,
    asked: Arc<AtomicU64>,
}

impl Raw {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/api/v1", listener.local_addr().unwrap());
        let answer = Arc::<Mutex<Vec<u8>>>::default();
        let asked = Arc::<AtomicU64>::default();
        let (current, count) = (answer.clone(), asked.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = current.lock().unwrap().clone();
                count.fetch_add(1, Ordering::Relaxed);
                // A client that goes away is what some answers lead to.
                let _ = serve(stream, &answer);
            }
        });
        Self { url, answer, asked }
    }
}

fn serve(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    stream.write_all(answer)
}

/// Asks for something once, as a workspace of its own.
fn ask(server: &Raw, case: u64) -> (Result<usize, ErrorKind>, Duration) {
    let mut settings = Settings::default();
    settings.set("api_url", &server.url).unwrap();
    (settings.max_retries, settings.rate_limit_max_wait) = (0, Duration::ZERO);
    settings.request_timeout = Duration::from_secs(5);
    let key = Credential::Key(Secret::new("api_key", "key-of-the-test").unwrap());
    let origin = Origin { workspace: case % 2000 + 1, version: 0 };
    let client = Client::new(settings, key, origin).unwrap();
    let started = Instant::now();
    let answer = runtime().unwrap().block_on(client.get(1, "/users", &[]));
    let answer = answer.map(|answer| answer.body.map_or(0, |body| body.len()));
    if let Err(error) = &answer {
        let shown = format!("{error:?}");
        assert!(!shown.contains("key-of-the-test"), "{shown}");
        assert!(shown.len() < 10_000, "{} bytes of error", shown.len());
    }
    (answer.map_err(|error| error.kind), started.elapsed())
}

#[test]
fn answers_with_any_headers_are_answers_or_errors() {
    let server = Raw::start();
    let cases = AtomicU64::new(0);
    let status = prop_oneof![
        4 => Just(200_u16),
        1 => prop::sample::select(&[204, 301, 302, 307, 308, 400, 401, 403, 404, 410, 429, 503][..]),
        1 => 200_u16..1000,
    ];
    let header = (prop::sample::select(&NAMES[..]), value());
    let inputs = (status, prop::collection::vec(header, 0..12));
    hold("headers: any values", 400, inputs, |(status, headers)| {
        let mut answer = format!("HTTP/1.1 {status} X\r\n").into_bytes();
        for (name, value) in &headers {
            answer.extend_from_slice(name.as_bytes());
            answer.extend_from_slice(b": ");
            answer.extend_from_slice(value);
            answer.extend_from_slice(b"\r\n");
        }
        answer.extend_from_slice(b"Connection: close\r\n\r\n[]");
        *server.answer.lock().unwrap() = answer;
        let (asked, case) =
            (server.asked.load(Ordering::Relaxed), cases.fetch_add(1, Ordering::Relaxed));
        let (outcome, took) = ask(&server, case);
        prop_assert!(took < Duration::from_secs(4), "{:?}", took);
        // No redirect and no link is followed, nothing is sent again.
        prop_assert!(server.asked.load(Ordering::Relaxed) <= asked + 1);
        match outcome {
            Ok(bytes) => prop_assert!(bytes <= 2 && matches!(status, 200 | 204)),
            Err(kind) => prop_assert!(kind != ErrorKind::Internal),
        }
        Ok(())
    });
}

#[test]
fn any_bytes_are_an_answer_or_an_error() {
    let server = Raw::start();
    let cases = AtomicU64::new(10_000);
    let part = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        prop::sample::select(
            &[
                "HTTP/1.1 200 OK\r\n",
                "HTTP/1.0 200\r\n",
                "HTTP/1.1 100 Continue\r\n\r\n",
                "HTTP/9.9 200 OK\r\n",
                "Content-Length: 2\r\n",
                "Content-Length: 3\r\n",
                "Content-Length: 18446744073709551615\r\n",
                "Content-Length: -1\r\n",
                "Transfer-Encoding: chunked\r\n",
                "Content-Encoding: gzip\r\n",
                "\r\n",
                "[]",
                "2\r\n[]\r\n",
                "0\r\n\r\n",
                "ffffffffffffffff\r\n",
                "\u{1f}\u{8b}\u{8}",
                "\n",
                "X: y\r\n folded\r\n",
                ": \r\n",
                "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            ][..]
        )
        .prop_map(|text: &str| text.as_bytes().to_vec()),
    ];
    let inputs = prop::collection::vec(part, 0..12);
    hold("headers: any bytes", 400, inputs, |parts| {
        *server.answer.lock().unwrap() = parts.concat();
        let (outcome, took) = ask(&server, cases.fetch_add(1, Ordering::Relaxed));
        prop_assert!(took < Duration::from_secs(4), "{:?}", took);
        prop_assert!(outcome != Err(ErrorKind::Internal));
        Ok(())
    });
}
