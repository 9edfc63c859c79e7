//! A server that gives back what it is sent, for what the sandbox cannot say: a header of one's
//! choice, or a secret that only the request has.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What it makes of the text of a request: the text of the response.
type Answer = dyn Fn(&str) -> String + Send + Sync;

/// A server that answers to the end of the process.
pub struct Echo {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    /// Answers every request, one a connection.
    pub fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let (seen, answer): (_, Arc<Answer>) = (requests.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (seen.clone(), answer.clone());
                thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Self { address, requests }
    }

    /// The base of version 1, as the server option `api_url` takes it.
    pub fn api_url(&self) -> String {
        format!("http://{}/api/v1", self.address)
    }

    /// The requests so far, with their headers and bodies.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no test panics here").clone()
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<String>>, answer: &Answer) {
    let Some(request) = read(&stream) else { return };
    seen.lock().expect("no test panics here").push(request.clone());
    // A client that goes away is its own business.
    stream.write_all(answer(&request).as_bytes()).ok();
}

/// Head and body of a request; none where there was none.
fn read(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let start = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        let line = head[start..].trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8_lossy(&body))
}

/// A response with these lines of headers, each with its end.
pub fn response(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}
