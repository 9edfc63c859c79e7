//! A request as the sandbox reads it: the decoded path, and parameters whose names have no
//! case.

use std::future::poll_fn;
use std::pin::Pin;

use http_body::Body;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;

/// The decoded query string, in its order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

impl Query {
    /// Reads what follows the question mark.
    pub(crate) fn parse(text: &str) -> Query {
        let parts = text.split('&').filter(|part| !part.is_empty());
        let pair = |part: &str| match part.split_once('=') {
            Some((name, value)) => (decode(name), decode(value)),
            None => (decode(part), String::new()),
        };
        Query { pairs: parts.map(pair).collect() }
    }

    /// A query of these parameters.
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Query {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Query { pairs: pairs.iter().map(owned).collect() }
    }

    /// The value of a parameter, by its lower-case name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// All parameters.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// All parameters as they may be seen by anybody.
    pub(crate) fn redacted(&self) -> Vec<(String, String)> {
        let secret = |name: &str| SECRET.iter().any(|other| name.eq_ignore_ascii_case(other));
        let pairs = self.pairs.iter().cloned();
        pairs
            .map(
                |(name, value)| {
                    if secret(&name) { (name, "redacted".into()) } else { (name, value) }
                },
            )
            .collect()
    }

    /// What tells one list from another: all parameters but those of the page.
    pub(crate) fn selection(&self) -> String {
        let mut parts: Vec<String> = self
            .pairs
            .iter()
            .map(|(name, value)| (name.to_lowercase(), value))
            .filter(|(name, _)| !matches!(name.as_str(), "page" | "pagesize"))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        parts.sort_unstable();
        parts.join("\n")
    }
}

/// All of a body, unless it is larger than `largest` bytes.
pub(crate) async fn collect(mut body: Incoming, largest: usize) -> Result<Vec<u8>, String> {
    let mut data = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| error.to_string())?;
        if let Ok(bytes) = frame.into_data() {
            data.extend_from_slice(&bytes);
        }
        if data.len() > largest {
            return Err("the body is too large".to_owned());
        }
    }
    Ok(data)
}

/// Parameters whose values are secrets.
const SECRET: [&str; 5] =
    ["code", "code_verifier", "refresh_token", "client_secret", "access_token"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_case_and_plus_is_a_blank() {
        let query = Query::parse("PageSize=5&filterBy=name+eq%20%27a%2Bb%27&x");
        assert_eq!(query.get("pagesize"), Some("5"));
        assert_eq!(query.get("filterby"), Some("name eq 'a+b'"));
        assert_eq!(query.get("x"), Some(""));
        assert_eq!(query.get("page"), None);
    }

    #[test]
    fn secrets_are_redacted() {
        let seen = Query::parse("state=s&Code=c&client_secret=x&code_challenge=y").redacted();
        let seen: Vec<&str> = seen.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(seen, ["s", "redacted", "redacted", "y"]);
    }

    #[test]
    fn pages_of_a_list_share_a_selection() {
        let a = Query::parse("page=1&filterby=x&orderby=y");
        let b = Query::parse("OrderBy=y&pageSize=3&filterby=x&page=2");
        assert_eq!(a.selection(), b.selection());
    }
}
