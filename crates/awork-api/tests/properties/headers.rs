//! Headers of answers, of any bytes, from a server that writes them as they are.

use awork_api::error::ErrorKind;
use proptest::prelude::*;

use super::hold;
use super::server::Server;

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

#[test]
fn answers_with_any_headers_are_answers_or_errors() {
    let server = Server::start();
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
        let asked = server.asked();
        let outcome = server.ask(vec![answer], 0);
        // Nothing is followed, nothing is sent again.
        prop_assert!(server.asked() <= asked + 1);
        match outcome {
            Ok(body) => prop_assert!(body.len() <= 2 && matches!(status, 200 | 204)),
            Err(error) => prop_assert!(error.kind != ErrorKind::Internal),
        }
        Ok(())
    });
}

#[test]
fn any_bytes_are_an_answer_or_an_error() {
    let server = Server::start();
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
        let outcome = server.ask(vec![parts.concat()], 0);
        prop_assert!(outcome.map_err(|error| error.kind) != Err(ErrorKind::Internal));
        Ok(())
    });
}
