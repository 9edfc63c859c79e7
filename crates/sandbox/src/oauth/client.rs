//! Applications: which one asks, and where it may have its answers sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::form::Form;
use super::refusal::Refusal;
use super::settings::{ClientApplication, OAuth};
use crate::log::ClientAuthentication;

/// How a request to the token endpoint shows who sends it.
pub(crate) fn method(authorization: Option<&str>, form: &Form) -> ClientAuthentication {
    if authorization.and_then(basic).is_some() {
        ClientAuthentication::Basic
    } else if form.get("client_secret").is_some() {
        ClientAuthentication::Body
    } else {
        ClientAuthentication::None
    }
}

/// The credentials behind `Basic`.
fn basic(authorization: &str) -> Option<&str> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then(|| credentials.trim())
}

/// The id and the secret, form-urlencoded each before they were joined (RFC 6749, section 2.3.1).
fn id_and_secret(credentials: &str) -> Option<(String, String)> {
    let joined = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    let (id, secret) = joined.split_once(':')?;
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
    };
    Some((decode(id)?, decode(secret)?))
}

impl OAuth {
    /// The application of this id.
    pub(super) fn client(&self, id: &str) -> Option<&ClientApplication> {
        self.clients.iter().find(|client| client.id == id)
    }

    /// The application that sends a request to the token endpoint.
    pub(super) fn authenticate(
        &self,
        authorization: Option<&str>,
        form: &Form,
    ) -> Result<&ClientApplication, Refusal> {
        let failed = || Refusal::invalid_client("the application is unknown, or its secret wrong");
        let named = form.get("client_id");
        let in_body = form.get("client_secret");
        let (id, secret) = match authorization {
            Some(authorization) => {
                let credentials = basic(authorization).and_then(id_and_secret);
                let (id, secret) = credentials
                    .ok_or_else(|| Refusal::invalid_client("Authorization cannot be read"))?;
                if in_body.is_some() {
                    return Err(Refusal::invalid_request("there are two secrets"));
                }
                if named.is_some_and(|named| named != id) {
                    return Err(Refusal::invalid_request("client_id is not that of the header"));
                }
                (id, Some(secret))
            }
            None if in_body.is_some() && !self.secret_in_body => {
                return Err(Refusal::invalid_client("a secret in the body is not taken"));
            }
            None => {
                let none = || Refusal::invalid_client("there is no client_id");
                (named.ok_or_else(none)?.to_owned(), in_body.map(str::to_owned))
            }
        };
        let client = self.client(&id).ok_or_else(failed)?;
        if client.secret == secret { Ok(client) } else { Err(failed()) }
    }

    /// Whether answers to an application may be sent there.
    pub(super) fn may_redirect(&self, client: &ClientApplication, wanted: &str) -> bool {
        client.redirect_uris.iter().any(|registered| {
            registered == wanted
                || self.any_loopback_port && same_but_for_port(registered, wanted).unwrap_or(false)
        })
    }
}

/// Whether two addresses on the loopback interface differ in nothing but the port.
fn same_but_for_port(a: &str, b: &str) -> Option<bool> {
    let [mut a, mut b] = [Url::parse(a).ok()?, Url::parse(b).ok()?];
    let loopback = match a.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    a.set_port(None).ok()?;
    b.set_port(None).ok()?;
    Some(loopback && a.scheme() == "http" && a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_decoded_after_they_are_divided() {
        let decoded = id_and_secret(&STANDARD.encode("a%3Ab+c:p%2Bw%25:d")).unwrap();
        assert_eq!(decoded, ("a:b c".to_owned(), "p+w%:d".to_owned()));
        assert_eq!(id_and_secret("?"), None);
    }

    #[test]
    fn ports_differ_on_loopback_only() {
        let settings = OAuth::default();
        let client = ClientApplication {
            redirect_uris: ["http://127.0.0.1/cb", "http://[::1]:1/cb", "https://x.example/cb"]
                .map(str::to_owned)
                .to_vec(),
            ..ClientApplication::public("x")
        };
        for (wanted, taken) in [
            ("http://127.0.0.1:1/cb", true),
            ("http://[::1]:77/cb", true),
            ("http://127.0.0.1/cb/", false),
            ("http://127.0.0.1/cb?x=1", false),
            ("http://127.0.0.2/cb", false),
            ("http://user@127.0.0.1/cb", false),
            ("https://127.0.0.1/cb", false),
            ("http://localhost/cb", false),
            ("https://x.example/cb", true),
            ("https://x.example:444/cb", false),
        ] {
            assert_eq!(settings.may_redirect(&client, wanted), taken, "{wanted}");
        }
    }
}
