//! Answers that no well-meaning server gives, from one that writes bytes as they are: each is the
//! right error, after a bounded time, in bounded memory.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use awork_api::client::Client;
use awork_api::error::{Error, ErrorKind};
use awork_api::runtime::runtime;
use awork_api::settings::Settings;
use flate2::Compression;
use flate2::write::GzEncoder;

use common::{credential, origin};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

/// What the client may grow by for any answer: one of 64 MiB, what it was half as large before,
/// and what the rest of the process takes.
const MOST_MEMORY: u64 = 128 << 20;

type Behaviour = dyn Fn(TcpStream, usize) -> std::io::Result<()> + Send + Sync;

/// A server that does with each connection what it is told.
struct Raw {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Raw {
    /// The behaviour gets each connection whose first request has been read, and its number.
    fn start(
        behaviour: impl Fn(TcpStream, usize) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start_unread(move |stream, number| {
            read_request(&stream)?;
            behaviour(stream, number)
        })
    }

    fn start_unread(
        behaviour: impl Fn(TcpStream, usize) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::<AtomicUsize>::default();
        let (count, behaviour): (_, Arc<Behaviour>) = (connections.clone(), Arc::new(behaviour));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let behaviour = behaviour.clone();
                // A client that goes away is what most of the answers lead to.
                thread::spawn(move || drop(behaviour(stream, number)));
            }
        });
        Self { port, connections }
    }

    /// One answer to everything.
    fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |mut stream, _| stream.write_all(&answer))
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1", self.port)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Reads up to the empty line after the headers.
fn read_request(stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    Ok(())
}

/// Writes the same again and again until nobody reads any more.
fn flood(mut stream: TcpStream, head: &str, part: &[u8]) -> std::io::Result<()> {
    stream.write_all(head.as_bytes())?;
    loop {
        stream.write_all(part)?;
    }
}

fn client(url: &str, timeout: f64) -> Client {
    let mut settings = Settings::default();
    settings.set("api_url", url).unwrap();
    settings.set("request_timeout", &timeout.to_string()).unwrap();
    settings.set("connect_timeout", &timeout.to_string()).unwrap();
    settings.max_retries = 0;
    Client::new(settings, credential("key-of-the-test"), origin()).unwrap()
}

fn ask(client: &Client) -> Result<Vec<u8>, Error> {
    let answer = runtime().unwrap().block_on(client.get(1, "/users", &[]))?;
    Ok(answer.body.map_or(Vec::new(), |body| body.to_vec()))
}

/// The error of a request that may take so many seconds, which came within that and a moment for a machine that is busy.
fn error(url: &str, timeout: f64) -> Error {
    let started = Instant::now();
    let error = ask(&client(url, timeout)).expect_err("no good answer");
    let took = started.elapsed();
    assert!(took < Duration::from_secs_f64(timeout + 3.0), "{took:?}: {error:?}");
    let shown = format!("{error:?}");
    assert!(!shown.contains("key-of-the-test"), "{shown}");
    assert!(shown.len() < 4000, "{} bytes", shown.len());
    error
}

#[track_caller]
fn expect(error: &Error, kind: ErrorKind, part: &str) {
    assert_eq!(error.kind, kind, "{error:?}");
    assert!(format!("{error:?}").contains(part), "{error:?}");
}

/// Asks from a process of its own; returns the kind of error, or `Ok`, and by how many bytes its
/// memory was larger than before at the worst moment.
fn ask_apart(url: &str, timeout: f64) -> (String, u64) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "asking_apart", "--ignored", "--nocapture"])
        .env("HOSTILE_URL", url)
        .env("HOSTILE_TIMEOUT", timeout.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.split_once("outcome ")).map(|(_, said)| said);
    let said = line.unwrap_or_else(|| panic!("the process said nothing: {output:?}"));
    let (kind, bytes) = said.trim().split_once(' ').unwrap();
    (kind.to_owned(), bytes.parse().unwrap())
}

/// Is run by [`ask_apart`].
#[test]
#[ignore = "is run by other tests, in a process of its own"]
fn asking_apart() {
    let Ok(url) = std::env::var("HOSTILE_URL") else { return };
    let timeout: f64 = std::env::var("HOSTILE_TIMEOUT").unwrap().parse().unwrap();
    let client = client(&url, timeout);
    runtime().unwrap();
    let before = peak_memory();
    let outcome = runtime().unwrap().block_on(client.get(1, "/users", &[]));
    let grown = peak_memory() - before;
    let kind = outcome.map_or_else(|error| format!("{:?}", error.kind), |_| "Ok".to_owned());
    println!("outcome {kind} {grown}");
}

fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Asks from a process of its own, which must not need more memory than [`MOST_MEMORY`].
#[track_caller]
fn expect_apart(url: &str, timeout: f64, kind: ErrorKind) {
    let (said, grown) = ask_apart(url, timeout);
    assert_eq!(said, format!("{kind:?}"));
    // Shown with --nocapture.
    println!("{}: {kind:?}, {} KiB", std::panic::Location::caller(), grown >> 10);
    assert!(grown < MOST_MEMORY, "grew by {} MiB", grown >> 20);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// 256 MiB of an array of spaces as one member of a gzip file, in 256 kB.
fn bomb() -> &'static [u8] {
    static BOMB: OnceLock<Vec<u8>> = OnceLock::new();
    BOMB.get_or_init(|| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"[").unwrap();
        let block = vec![b' '; 1 << 20];
        for _ in 0..256 {
            encoder.write_all(&block).unwrap();
        }
        encoder.finish().unwrap()
    })
}

#[test]
fn the_limit_counts_what_a_gzip_bomb_becomes() {
    let head = format!("{HEAD}Content-Encoding: gzip\r\n");
    let length = bomb().len();
    assert!(length < 2 << 20, "{length}");
    let whole = [format!("{head}Content-Length: {length}\r\n\r\n").as_bytes(), bomb()].concat();
    expect_apart(&Raw::answering(whole).url(), 20.0, ErrorKind::TooLarge);
    // One that never ends: what a MiB of spaces becomes after another, again and again.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let mut ends = Vec::new();
    for _ in 0..2 {
        encoder.write_all(&vec![b' '; 1 << 20]).unwrap();
        encoder.flush().unwrap();
        ends.push(encoder.get_ref().len());
    }
    let (first, again) = encoder.get_ref().split_at(ends[0]);
    let (first, again) = (first.to_vec(), again.to_vec());
    let endless = Raw::start(move |mut stream, _| {
        stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
        stream.write_all(&first)?;
        flood(stream, "", &again)
    });
    expect_apart(&endless.url(), 20.0, ErrorKind::TooLarge);
}

#[test]
fn a_gzip_bomb_of_an_error_is_the_error() {
    let head = "HTTP/1.1 403 Forbidden\r\nContent-Encoding: gzip\r\nX-Edge-Ref: a1\r\n";
    let whole = format!("{head}Content-Length: {}\r\n\r\n", bomb().len());
    let server = Raw::answering([whole.as_bytes(), bomb()].concat());
    expect_apart(&server.url(), 20.0, ErrorKind::Blocked);
    expect(&error(&server.url(), 20.0), ErrorKind::Blocked, "a1");
}

#[test]
fn compressed_blocks_that_hold_nothing_end_with_the_time() {
    // A header as of RFC 1952, and stored blocks of no bytes (RFC 1951, 3.2.4).
    let header = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];
    let blocks = [0, 0, 0, 0xFF, 0xFF].repeat(10_000);
    let head = format!("{HEAD}Content-Encoding: gzip\r\nConnection: close\r\n\r\n");
    let server = Raw::start(move |mut stream, _| {
        stream.write_all(head.as_bytes())?;
        stream.write_all(&header)?;
        flood(stream, "", &blocks)
    });
    let started = Instant::now();
    expect_apart(&server.url(), 2.0, ErrorKind::BadReply);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn an_endless_body_is_too_large() {
    let head = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n");
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 65_536], b"\r\n"].concat();
    let server = Raw::start(move |stream, _| flood(stream, &head, &chunk));
    expect_apart(&server.url(), 20.0, ErrorKind::TooLarge);
    // In chunks of one byte it is slow, and the time or the size ends it.
    let head = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n");
    let server = Raw::start(move |stream, _| flood(stream, &head, &b"1\r\n \r\n".repeat(1000)));
    expect(&error(&server.url(), 1.0), ErrorKind::BadReply, "within 1 s");
}

#[test]
fn a_body_that_drips_has_until_the_deadline() {
    let server = Raw::start(|mut stream, _| {
        stream.write_all(format!("{HEAD}Content-Length: 1000\r\n\r\n").as_bytes())?;
        loop {
            stream.write_all(b" ")?;
            thread::sleep(Duration::from_millis(100));
        }
    });
    expect(&error(&server.url(), 1.0), ErrorKind::BadReply, "within 1 s");
}

#[test]
fn a_body_that_stops_has_a_quarter_of_the_time() {
    let stop = |encoding: &'static str, part: Vec<u8>| {
        Raw::start(move |mut stream, _| {
            stream
                .write_all(format!("{HEAD}{encoding}Content-Length: 100000\r\n\r\n").as_bytes())?;
            stream.write_all(&part)?;
            stream.read_to_end(&mut Vec::new()).map(drop)
        })
    };
    let half = gzip(&(0..100_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
    for server in [
        stop("", Vec::new()),
        stop("", b"[{\"id\":".to_vec()),
        stop("Content-Encoding: gzip\r\n", half[..half.len() / 2].to_vec()),
    ] {
        let started = Instant::now();
        let error = error(&server.url(), 4.0);
        expect(&error, ErrorKind::BadReply, "stopped for 1 s");
        assert!(started.elapsed() < Duration::from_millis(3500), "{:?}", started.elapsed());
    }
    // One that goes on in time is whole, and takes longer than any pause may.
    let server = Raw::start(|mut stream, _| {
        stream.write_all(format!("{HEAD}Content-Length: 8\r\n\r\n").as_bytes())?;
        for byte in b"[ 1,2,3]" {
            thread::sleep(Duration::from_millis(200));
            stream.write_all(&[*byte])?;
        }
        Ok(())
    });
    assert_eq!(ask(&client(&server.url(), 4.0)).unwrap(), b"[ 1,2,3]");
}

#[test]
fn an_error_whose_body_stops_is_the_error() {
    let server = Raw::start(|mut stream, _| {
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\n{\"co")?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    });
    expect(&error(&server.url(), 2.0), ErrorKind::NotFound, "no such path");
}

#[test]
fn an_answer_that_does_not_begin_has_until_the_deadline() {
    let wait = |mut stream: TcpStream| stream.read_to_end(&mut Vec::new()).map(drop);
    let silent = Raw::start(move |stream, _| wait(stream));
    expect(&error(&silent.url(), 1.0), ErrorKind::BadReply, "within 1 s");
    let half_a_head = Raw::start(move |mut stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nX-Half")?;
        wait(stream)
    });
    expect(&error(&half_a_head.url(), 1.0), ErrorKind::BadReply, "within 1 s");
    let drip = Raw::start(|mut stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        loop {
            stream.write_all(b"X: y\r\n")?;
            thread::sleep(Duration::from_millis(100));
        }
    });
    expect(&error(&drip.url(), 1.0), ErrorKind::BadReply, "within 1 s");
}

#[test]
fn a_flood_of_headers_is_refused() {
    let many = format!("{HEAD}{}\r\n[]", "X-Flood: 1\r\n".repeat(100_000));
    expect_apart(&Raw::answering(many).url(), 10.0, ErrorKind::BadReply);
    let long = format!("{HEAD}X-Long: {}\r\n\r\n[]", "x".repeat(10 << 20));
    expect_apart(&Raw::answering(long).url(), 10.0, ErrorKind::BadReply);
    let endless = Raw::start(|stream, _| flood(stream, "HTTP/1.1 200 OK\r\nX: ", &[b'x'; 65_536]));
    expect_apart(&endless.url(), 10.0, ErrorKind::BadReply);
    let reason = Raw::start(|stream, _| flood(stream, "HTTP/1.1 200 ", &[b'x'; 65_536]));
    expect_apart(&reason.url(), 10.0, ErrorKind::BadReply);
    let trailers = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n");
    let trailers = Raw::start(move |stream, _| flood(stream, &trailers, &b"X: y\r\n".repeat(1000)));
    expect_apart(&trailers.url(), 10.0, ErrorKind::BadReply);
    let extension = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n2;");
    let extension = Raw::start(move |stream, _| flood(stream, &extension, &[b'x'; 65_536]));
    expect_apart(&extension.url(), 10.0, ErrorKind::BadReply);
}

#[test]
fn a_flood_of_interim_answers_ends_with_the_time() {
    let interim = b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\n".repeat(1000);
    let server = Raw::start(move |stream, _| flood(stream, "", &interim));
    expect_apart(&server.url(), 2.0, ErrorKind::BadReply);
    // Some of them are only passed over.
    let some = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(20);
    let server = Raw::answering(format!("{some}{HEAD}Content-Length: 2\r\n\r\n[]"));
    assert_eq!(ask(&client(&server.url(), 5.0)).unwrap(), b"[]");
}

#[test]
fn no_redirect_is_followed() {
    let other = Raw::answering(format!("{HEAD}Content-Length: 2\r\n\r\n[]"));
    let here = format!("http://127.0.0.1:{}/stolen", other.port);
    for location in [
        here.as_str(),
        "http://localhost/",
        "https://evil.example/api/v1/users",
        "//evil.example/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:application/json,[]",
        "/api/v1/users",
        "",
        "http://[",
        "\u{0}\u{1}",
        "\u{e9}\u{20ac}",
    ] {
        for status in [301, 302, 303, 307, 308] {
            let server = Raw::answering(format!(
                "HTTP/1.1 {status} Moved\r\nLocation: {location}\r\n\
                 Refresh: 0; url={here}\r\nContent-Length: 0\r\n\r\n"
            ));
            let error = error(&server.url(), 5.0);
            assert_eq!(error.kind, ErrorKind::BadReply, "{error:?}");
            // What is no header is an error of its own.
            let is_text = !location.contains('\0');
            assert_eq!(error.message.contains("redirect"), is_text, "{error:?}");
            assert_eq!(server.connections(), 1, "{location}");
        }
    }
    assert_eq!(other.connections(), 0, "a redirect was followed");
}

#[test]
fn a_body_of_another_length_than_announced_is_noticed() {
    let short = Raw::answering(format!("{HEAD}Content-Length: 10\r\n\r\n[1,2]"));
    expect(&error(&short.url(), 5.0), ErrorKind::BadReply, "could not read the answer");
    let chunk = Raw::answering(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n10\r\n[1,2]"));
    expect(&error(&chunk.url(), 5.0), ErrorKind::BadReply, "could not read the answer");
    let cut = Raw::answering(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n[1,2]\r\n"));
    expect(&error(&cut.url(), 5.0), ErrorKind::BadReply, "could not read the answer");
    let gzipped = gzip(b"[1,2,3,4,5,6,7,8,9]");
    let half = gzipped.len() / 2;
    let cut = format!("{HEAD}Content-Encoding: gzip\r\nContent-Length: {half}\r\n\r\n");
    let cut = Raw::answering([cut.as_bytes(), &gzipped[..half]].concat());
    expect(&error(&cut.url(), 5.0), ErrorKind::BadReply, "could not read the answer");
    for lengths in ["5\r\nContent-Length: 6", "-1", "0x5", "5,6", "99999999999999999999999"] {
        let server = Raw::answering(format!("{HEAD}Content-Length: {lengths}\r\n\r\n[1,2]"));
        expect(&error(&server.url(), 5.0), ErrorKind::BadReply, "could not read the answer");
    }
    // Memory is taken as the body comes, not as it is announced.
    let huge = u64::MAX / 4;
    let server = Raw::answering(format!("{HEAD}Content-Length: {huge}\r\n\r\n[1,2]"));
    let (said, grown) = ask_apart(&server.url(), 5.0);
    assert_eq!(said, "BadReply");
    assert!(grown < 16 << 20, "grew by {} MiB", grown >> 20);
}

#[test]
fn what_comes_after_an_answer_answers_nothing() {
    // Two answers at once, or one with more than it announced; then a good one a connection.
    for surplus in [
        format!("{HEAD}Content-Length: 9\r\n\r\n[\"wrong\"]"),
        "\"wrong\"]".to_owned(),
        "HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\n\r\n".to_owned(),
    ] {
        let server = Raw::start(move |mut stream, number| {
            let body = format!("[{number:4}]");
            let head = format!("{HEAD}Content-Length: {}\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}{surplus}").as_bytes())?;
            stream.read_to_end(&mut Vec::new()).map(drop)
        });
        let client = client(&server.url(), 5.0);
        for number in 0..5 {
            assert_eq!(ask(&client).unwrap(), format!("[{number:4}]").as_bytes());
            // The surplus has come by the time of the next request.
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn what_is_no_http_is_no_answer() {
    let flood_of = |part: &'static [u8]| Raw::start(move |stream, _| flood(stream, "", part));
    for server in [
        Raw::answering("<html>It works!</html>"),
        Raw::answering("[1,2,3]\n"),
        Raw::answering(""),
        Raw::answering("\0"),
        Raw::answering("HTTP/0.9 200 OK\r\n\r\n[]"),
        Raw::answering("HTTP/3.0 200 OK\r\n\r\n[]"),
        Raw::answering("HTTP/1.1 0 OK\r\n\r\n[]"),
        Raw::answering("HTTP/1.1 99999 OK\r\n\r\n[]"),
        Raw::answering("HTTP/1.1 200 OK\nX: a\0b\r\n\r\n[]"),
        Raw::answering("SSH-2.0-OpenSSH_9.2p1\r\n"),
        Raw::answering("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        Raw::answering([0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3]),
        flood_of(&[0; 4096]),
        flood_of(&[b'x'; 4096]),
        flood_of(b"\r\n\r\n\r\n\r\n"),
    ] {
        assert_eq!(error(&server.url(), 3.0).kind, ErrorKind::BadReply);
    }
    // A connection that is taken up is not an answer, nor one that ends before the request.
    let closing = Raw::start_unread(|_, _| Ok(()));
    assert_eq!(error(&closing.url(), 3.0).kind, ErrorKind::BadReply);
}

#[test]
fn what_speaks_no_tls_cannot_be_connected_to() {
    let https = |server: &Raw| format!("https://127.0.0.1:{}/api/v1", server.port);
    let plain = Raw::start_unread(|mut stream, _| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    });
    expect(&error(&https(&plain), 3.0), ErrorKind::Unreachable, "could not connect");
    let closing = Raw::start_unread(|_, _| Ok(()));
    expect(&error(&https(&closing), 3.0), ErrorKind::Unreachable, "could not connect");
    let silent = Raw::start_unread(|mut stream, _| stream.read_to_end(&mut Vec::new()).map(drop));
    let error = error(&https(&silent), 1.0);
    assert!(matches!(error.kind, ErrorKind::Unreachable | ErrorKind::BadReply), "{error:?}");
    let flood = Raw::start_unread(|stream, _| flood(stream, "", &[0x16; 65_536]));
    let url = https(&flood);
    let (said, grown) = ask_apart(&url, 3.0);
    assert_eq!(said, "Unreachable");
    assert!(grown < 16 << 20, "grew by {} MiB", grown >> 20);
}
