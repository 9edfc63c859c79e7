//! Parameters of OAuth: form-urlencoded, with regard to case, and each at most once.

use url::form_urlencoded;

use super::refusal::Refusal;

/// Decoded parameters in their order.
#[derive(Clone, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a query or the body of a request.
    pub(crate) fn parse(text: &[u8]) -> Form {
        Form(form_urlencoded::parse(text).into_owned().collect())
    }

    /// A form of these parameters.
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Form {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Form(pairs.iter().map(owned).collect())
    }

    /// The value of a parameter; one without a value counts as left out (RFC 6749, section 3.1).
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(n, value)| n == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that must be there.
    pub(crate) fn need(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::invalid_request(format!("{name} is missing")))
    }

    /// Whether a parameter is there more than once.
    pub(crate) fn repeats(&self, name: &str) -> bool {
        self.0.iter().filter(|(n, _)| n == name).count() > 1
    }

    /// Refuses a parameter that is there more than once.
    pub(crate) fn check_repeated(&self) -> Result<(), Refusal> {
        // Without the name, which the client made up.
        match self.0.iter().any(|(name, _)| self.repeats(name)) {
            true => Err(Refusal::invalid_request("a parameter is repeated")),
            false => Ok(()),
        }
    }

    /// These parameters and one more, encoded.
    pub(crate) fn with(&self, name: &str, value: &str) -> String {
        let kept = self.0.iter().filter(|(n, _)| n != name);
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .append_pair(name, value)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_case_and_an_empty_value_is_none() {
        let form = Form::parse(b"code=a%2Bb+c&Scope=x&state=&state=y");
        assert_eq!(form.get("code"), Some("a+b c"));
        assert_eq!(form.get("scope"), None);
        assert!(form.repeats("state") && form.check_repeated().is_err());
        assert_eq!(form.with("state", "a&b"), "code=a%2Bb+c&Scope=x&state=a%26b");
    }
}
