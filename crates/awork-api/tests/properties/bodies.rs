//! Bodies in any parts, compressed or not: whole they are as they were sent, and what has been cut
//! or damaged on its way is noticed where HTTP and gzip tell.

use std::io::Write;

use awork_api::error::ErrorKind;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use proptest::sample::Index;

use super::hold;
use super::server::Server;

/// How an answer says where it ends.
#[derive(Debug, Clone)]
enum Framing {
    Length,
    /// Chunks of these sizes, again and again; the first with an extension and the last with a
    /// trailer, or without.
    Chunks(Vec<usize>, bool),
    Close,
}

/// What happens to an answer's body on its way.
#[derive(Debug, Clone)]
enum Damage {
    None,
    Cut(Index),
    Changed(Index, u8),
}

fn framings() -> impl Strategy<Value = Framing> {
    prop_oneof![
        Just(Framing::Length),
        (prop::collection::vec(1_usize..3000, 1..6), any::<bool>())
            .prop_map(|(sizes, extended)| Framing::Chunks(sizes, extended)),
        Just(Framing::Close),
    ]
}

fn damages() -> impl Strategy<Value = Damage> {
    prop_oneof![
        2 => Just(Damage::None),
        1 => any::<Index>().prop_map(Damage::Cut),
        1 => (any::<Index>(), 1_u8..).prop_map(|(at, bits)| Damage::Changed(at, bits)),
    ]
}

/// Some bytes, and how often they come one after another.
fn contents() -> impl Strategy<Value = (Vec<u8>, usize)> {
    prop_oneof![
        (prop::collection::vec(any::<u8>(), 0..3000), Just(1)),
        (prop::collection::vec(b' '..=b'~', 1..40), 0_usize..5000),
    ]
}

/// One member. Of several, the client reads the first and drops the rest: that is never whole JSON,
/// so that decoding tells.
fn gzip(content: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// The header of a framing, and the body within it.
fn framed(framing: &Framing, body: &[u8]) -> (String, Vec<u8>) {
    match framing {
        Framing::Length => (format!("Content-Length: {}\r\n", body.len()), body.to_vec()),
        Framing::Close => (String::new(), body.to_vec()),
        Framing::Chunks(sizes, extended) => {
            let (mut rest, mut framed) = (body, Vec::new());
            let (mut extension, trailer) =
                if *extended { (";a=\"b\"", "X-Trailer: 1\r\n") } else { ("", "") };
            for size in sizes.iter().cycle() {
                let (chunk, after) = rest.split_at((*size).min(rest.len()));
                framed.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
                extension = "";
                framed.extend_from_slice(chunk);
                rest = after;
                if chunk.is_empty() {
                    break;
                }
                framed.extend_from_slice(b"\r\n");
            }
            framed.extend_from_slice(format!("{trailer}\r\n").as_bytes());
            ("Transfer-Encoding: chunked\r\n".to_owned(), framed)
        }
    }
}

#[test]
fn what_is_read_is_what_was_sent() {
    let server = Server::start();
    let compression = proptest::option::of(0_u32..=9);
    let inputs = (
        contents(),
        compression,
        framings(),
        damages(),
        prop::collection::vec(1_usize..5000, 1..8),
    );
    hold("bodies: any parts", 300, inputs, |(content, compression, framing, damage, sizes)| {
        let content = content.0.repeat(content.1);
        let body = match compression {
            Some(level) => gzip(&content, level),
            None => content.clone(),
        };
        let (header, mut body) = framed(&framing, &body);
        let is_harmed = match damage {
            Damage::None => false,
            Damage::Cut(_) | Damage::Changed(..) if body.is_empty() => false,
            Damage::Cut(at) => {
                body.truncate(at.index(body.len()));
                true
            }
            Damage::Changed(at, bits) => {
                let at = at.index(body.len());
                body[at] ^= bits;
                true
            }
        };
        let encoding = if compression.is_some() { "Content-Encoding: gzip\r\n" } else { "" };
        let head = format!("HTTP/1.1 200 OK\r\n{header}{encoding}Connection: close\r\n\r\n");
        let mut parts = vec![head.into_bytes()];
        let mut rest = &body[..];
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (part, after) = rest.split_at((*size).min(rest.len()));
            parts.push(part.to_vec());
            rest = after;
        }
        let read = match server.ask(parts, 0) {
            Err(error) => {
                prop_assert_eq!(error.kind, ErrorKind::BadReply);
                prop_assert!(is_harmed, "{:?}", error);
                return Ok(());
            }
            Ok(read) => read,
        };
        match (&damage, &framing) {
            // HTTP tells nothing of changed bytes, nor that a connection ended too early where
            // its end is that of the body. gzip has a checksum.
            (Damage::Changed(..), _) if compression.is_none() => {}
            (Damage::Cut(_), Framing::Close) => prop_assert!(content.starts_with(&read)),
            _ => prop_assert!(read == content, "{} of {} bytes", read.len(), content.len()),
        }
        Ok(())
    });
}
