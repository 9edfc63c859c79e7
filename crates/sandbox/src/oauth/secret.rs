//! Codes and tokens as they are made up, and the challenge of PKCE.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Text that nobody guesses.
pub(crate) fn random() -> String {
    let halves = [Uuid::new_v4(), Uuid::new_v4()];
    URL_SAFE_NO_PAD.encode(halves.map(Uuid::into_bytes).concat())
}

/// A unique token of the form of a JWT; nobody signed it.
pub(crate) fn token(subject: &str, issued: u64, expires: u64) -> String {
    let head = json!({"alg": "RS256", "typ": "JWT"});
    let claims = json!({"sub": subject, "iat": issued, "exp": expires, "jti": random()});
    let [head, claims] = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    format!("{head}.{claims}.{}", random())
}

/// The challenge `S256` of a verifier (RFC 7636, section 4.2).
pub(crate) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// Whether a text may be a verifier, or a challenge: 43 to 128 unreserved characters.
pub(crate) fn is_verifier(text: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    (43..=128).contains(&text.len()) && text.bytes().all(unreserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(is_verifier(verifier) && !is_verifier(&verifier[1..]));
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn tokens_are_unique() {
        let [a, b] = [(); 2].map(|()| token("admin", 1, 2));
        assert_ne!(a, b);
        assert_eq!(a.split('.').count(), 3);
    }
}
