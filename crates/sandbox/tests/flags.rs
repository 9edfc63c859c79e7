//! The program as a person starts it.

mod common;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use common::oauth::{AUTHORIZE, TOKEN, basic, form, question, sent_back};
use common::send;

/// A sandbox in a process of its own, which ends with it.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn start(flags: &[&str]) -> (Process, SocketAddr) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_awork-sandbox"))
        .args(["--listen", "127.0.0.1:0", "--scale", "100"])
        .args(flags)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    let out = process.stdout.take().expect("its output");
    let process = Process(process);
    BufReader::new(out).read_line(&mut line).expect("a line");
    let address = line.trim().strip_suffix("/api/v1").and_then(|line| line.split_once("http://"));
    (process, address.and_then(|(_, address)| address.parse().ok()).expect("an address"))
}

#[test]
fn logging_in() {
    let redirect = "http://127.0.0.1:9/back";
    let flags = ["--client-id", "mine", "--client-secret", "own", "--redirect-uri", redirect];
    let flags = [&flags[..], &["--login", "limited", "--access-token-seconds", "0.25"]].concat();
    let flags = [&flags[..], &["--expires-in", "text", "--refresh-token-seconds", "60"]].concat();
    let (_process, address) = start(&flags);
    let changes = [("client_id", "mine"), ("redirect_uri", redirect)];
    let path = format!("{AUTHORIZE}?{}", form(&question(&changes)));
    let code = sent_back(&send(address, "GET", &path, &[], ""), "code").expect("a code");
    let pairs = [
        ("grant_type", "authorization_code"),
        ("redirect_uri", redirect),
        ("code_verifier", common::oauth::VERIFIER),
        ("code", &code),
    ];
    let basic = basic("mine", "own");
    let headers =
        [("Content-Type", "application/x-www-form-urlencoded"), ("Authorization", &*basic)];
    let answer = send(address, "POST", TOKEN, &headers, &form(&pairs)).json();
    assert_eq!(answer["expires_in"], "1");
    std::thread::sleep(std::time::Duration::from_millis(250));
    let bearer = format!("Bearer {}", answer["access_token"].as_str().unwrap_or_default());
    let response = send(address, "GET", "/api/v1/me", &[("Authorization", &bearer)], "");
    assert_eq!(response.json()["exp"], "token expired");
}

#[test]
fn what_makes_no_sense_is_refused() {
    for flags in [
        ["--login", "nobody"],
        ["--access-token-seconds", "-1"],
        ["--access-token-seconds", "soon"],
        ["--expires-in", "never"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_awork-sandbox"))
            .args(["--listen", "127.0.0.1:0", "--scale", "100"])
            .args(flags)
            .output()
            .expect("the program starts");
        assert!(!output.status.success() && !output.stderr.is_empty(), "{flags:?}");
    }
}
