//! Redirects and links of any kind: none is followed, and the credential goes nowhere.

use std::thread;
use std::time::Duration;

use awork_api::error::ErrorKind;
use proptest::prelude::*;

use super::hold;
use super::server::Server;

/// Headers by which answers send their readers elsewhere.
const NAMES: [&str; 8] = [
    "Location",
    "LOCATION",
    "Content-Location",
    "Refresh",
    "Link",
    "Alt-Svc",
    "X-Accel-Redirect",
    "Upgrade",
];

/// An address, whose HOST stands for that of a server that nobody may ask.
fn addresses() -> impl Strategy<Value = String> {
    let scheme = prop::sample::select(
        &[
            "http:",
            "https:",
            "HTTP:",
            "file:",
            "javascript:",
            "data:",
            "ftp:",
            "blob:http:",
            "",
            " ",
        ][..],
    );
    let slashes =
        prop::sample::select(&["//", "/", "///", "", "\\\\", "//@", "//user:secret@"][..]);
    let host = prop_oneof![
        6 => Just("HOST".to_owned()),
        1 => Just("localhost".to_owned()),
        1 => Just("[::1]:1".to_owned()),
        1 => Just("evil.example".to_owned()),
        1 => "[a-z.@:%0-9\\[\\]]{0,12}",
    ];
    let path = prop_oneof![
        Just(String::new()),
        Just("/api/v1/users".to_owned()),
        Just("/etc/passwd".to_owned()),
        "[/a-z?#%.\\\\]{0,12}",
    ];
    (scheme, slashes, host, path)
        .prop_map(|(scheme, slashes, host, path)| format!("{scheme}{slashes}{host}{path}"))
}

/// A header that sends its reader to an address.
fn headers() -> impl Strategy<Value = (&'static str, String)> {
    (prop::sample::select(&NAMES[..]), addresses()).prop_map(|(name, address)| {
        let value = match name {
            "Refresh" => format!("0; url={address}"),
            "Link" => format!("<{address}>; rel=\"next\""),
            "Alt-Svc" => "h2=\"HOST\", http/1.1=\"HOST\"; ma=3600".to_owned(),
            "Upgrade" => "h2c".to_owned(),
            _ => address,
        };
        (name, value)
    })
}

/// A body that sends its reader to an address, or does not.
fn bodies() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just("[]".to_owned()),
        1 => Just(String::new()),
        1 => addresses().prop_map(|to| format!("<meta http-equiv=refresh content='0;url={to}'>")),
        1 => addresses().prop_map(|to| format!("{{\"next\":\"{to}\",\"@odata.nextLink\":\"{to}\"}}")),
    ]
}

#[test]
fn nothing_is_followed() {
    let (server, other) = (Server::start(), Server::start());
    let host = other.url.trim_start_matches("http://").trim_end_matches("/api/v1");
    let status = prop_oneof![
        3 => prop::sample::select(&[300_u16, 301, 302, 303, 304, 305, 307, 308, 399][..]),
        1 => prop::sample::select(&[200_u16, 201, 401, 404][..]),
    ];
    let inputs = (status, prop::collection::vec(headers(), 0..5), bodies());
    hold("redirects: any place", 400, inputs, |(status, headers, body)| {
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.replace("HOST", host).len();
        let answer = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n{lines}\r\n{body}"
        );
        let asked = server.asked();
        // What is not repeated is not repeated either where it might be.
        let outcome = server.ask(vec![answer.replace("HOST", host).into_bytes()], 2);
        prop_assert_eq!(server.asked(), asked + 1);
        prop_assert_eq!(other.asked(), 0, "the other server was asked");
        match outcome {
            Ok(read) => {
                prop_assert_eq!(status, 200);
                prop_assert_eq!(read.len(), length);
            }
            Err(error) => {
                prop_assert!(status != 200, "{:?}", error);
                if (300..400).contains(&status) {
                    prop_assert_eq!(error.kind, ErrorKind::BadReply);
                    prop_assert!(error.message.contains("redirect"), "{}", error.message);
                }
            }
        }
        Ok(())
    });
    // One that is followed behind the answer's back would have come by now.
    thread::sleep(Duration::from_millis(100));
    assert_eq!(other.asked(), 0, "the other server was asked");
}
