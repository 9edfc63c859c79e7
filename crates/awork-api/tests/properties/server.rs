//! A server that answers with bytes as they are, and a client that asks it once.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use awork_api::client::{Client, Origin};
use awork_api::credentials::{Credential, Secret};
use awork_api::error::Error;
use awork_api::runtime::runtime;
use awork_api::settings::Settings;
use bytes::Bytes;

/// What no error may show.
const KEY: &str = "key-of-the-test";

/// No answer takes longer, on a busy machine either.
const LONGEST: Duration = Duration::from_secs(4);

/// Gives the answer of the moment to every request, and closes.
pub(crate) struct Server {
    /// Where the API is.
    pub(crate) url: String,
    answer: Arc<Mutex<Vec<Vec<u8>>>>,
    asked: Arc<AtomicU64>,
    /// Numbers of the servers before it, and of the answers so far.
    number: u64,
    cases: AtomicU64,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/api/v1", listener.local_addr().unwrap());
        let answer = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let asked = Arc::<AtomicU64>::default();
        let (current, count) = (answer.clone(), asked.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let parts = current.lock().unwrap().clone();
                count.fetch_add(1, Ordering::Relaxed);
                // A client that goes away is what some answers lead to.
                let _ = serve(stream, &parts);
            }
        });
        static SERVERS: AtomicU64 = AtomicU64::new(0);
        let number = SERVERS.fetch_add(1, Ordering::Relaxed);
        Self { url, answer, asked, number, cases: AtomicU64::new(0) }
    }

    /// How many connections have been made so far.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// What a client makes of an answer that comes in these parts. Each of 2000 clients is of a
    /// workspace of its own, so that what one answer says of a rate limit is not for the next ones.
    pub(crate) fn ask(&self, parts: Vec<Vec<u8>>, max_retries: usize) -> Result<Bytes, Error> {
        *self.answer.lock().unwrap() = parts;
        let mut settings = Settings::default();
        settings.set("api_url", &self.url).unwrap();
        (settings.max_retries, settings.rate_limit_max_wait) = (max_retries, Duration::ZERO);
        settings.request_timeout = Duration::from_secs(5);
        let credential = Credential::Key(Secret::new("api_key", KEY).unwrap());
        let case = self.cases.fetch_add(1, Ordering::Relaxed) % 2000;
        let workspace = self.number * 2000 + case + 1;
        let client = Client::new(settings, credential, Origin { workspace, version: 0 }).unwrap();
        let started = Instant::now();
        let answer = runtime().unwrap().block_on(client.get(1, "/users", &[]));
        let took = started.elapsed();
        assert!(took < LONGEST, "{took:?}");
        answer.map(|answer| answer.body.unwrap_or_default()).inspect_err(|error| {
            let shown = format!("{error:?}");
            assert!(!shown.contains(KEY), "{shown}");
            assert!(shown.len() < 10_000, "{} bytes of error", shown.len());
        })
    }
}

fn serve(mut stream: TcpStream, parts: &[Vec<u8>]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    parts.iter().try_for_each(|part| stream.write_all(part))
}
