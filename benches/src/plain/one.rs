//! One request on a connection that is open: a round trip with the answer's bytes, decoded.

use std::error::Error;
use std::time::Instant;

use reqwest::blocking::Client;

use super::Columns;
use crate::sandbox::KEY;

/// A client that keeps its connection.
pub(crate) struct RoundTrips {
    client: Client,
    url: String,
}

impl RoundTrips {
    pub(crate) fn new(url: &str) -> Result<RoundTrips, Box<dyn Error>> {
        super::install_tls();
        let client = Client::builder().tcp_nodelay(true).build()?;
        Ok(RoundTrips { client, url: url.to_owned() })
    }

    /// Fetches and decodes a page; returns the seconds that it took.
    pub(crate) fn time(&self, target: &str) -> Result<f64, Box<dyn Error>> {
        let started = Instant::now();
        let request = self.client.get(format!("{}{target}", self.url)).bearer_auth(KEY);
        let body = request.send()?.error_for_status()?.bytes()?;
        Columns::Two.decode(&body).map_err(|error| error as Box<dyn Error>)?;
        Ok(started.elapsed().as_secs_f64())
    }
}
