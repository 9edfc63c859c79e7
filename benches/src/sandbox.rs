//! Sandboxes as processes of their own, so that their cost is told from the driver's.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest::blocking::Client;
use serde::Deserialize;
use serde_json::json;

use crate::{plain, process};

/// The key of the sandbox.
pub(crate) const KEY: &str = "awork-sandbox-key";

/// A sandbox; it stops when dropped.
pub(crate) struct Sandbox {
    child: Child,
    client: Client,
    /// Base of version 1 of the API.
    pub(crate) url: String,
}

/// A request as the sandbox logged it.
#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) status: Option<u16>,
}

impl Sandbox {
    /// Starts one with these flags beside the usual ones. It never compresses, which would
    /// measure the sandbox, as it has to do it on the same machine.
    pub(crate) fn start(program: &Path, flags: &[&str]) -> Result<Sandbox, Box<dyn Error>> {
        plain::install_tls();
        let mut child = Command::new(program)
            .args(["--listen", "127.0.0.1:0", "--no-gzip"])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("the sandbox has no output")?;
        let read = BufReader::new(stdout).read_line(&mut line);
        let mut sandbox = Sandbox { child, client: Client::new(), url: String::new() };
        read?;
        let url = line.split_whitespace().last().ok_or("the sandbox did not start")?;
        sandbox.url = url.to_owned();
        Ok(sandbox)
    }

    /// A sandbox with so many time entries, all of whose pages it can keep.
    pub(crate) fn of_scale(
        program: &Path,
        scale: usize,
        flags: &[&str],
    ) -> Result<Sandbox, Box<dyn Error>> {
        // An entry takes about 2.7 KB, in pages that meet and again in pages that overlap.
        let (scale, mib) = (scale.to_string(), (scale / 150 + 64).to_string());
        let sizes = ["--scale", scale.as_str(), "--prepared-mib", mib.as_str()];
        Sandbox::start(program, &[&sizes, flags].concat())
    }

    /// Makes every answer wait so long from now on.
    pub(crate) fn set_latency(&self, milliseconds: u64) -> Result<(), Box<dyn Error>> {
        let faults = self.control("faults");
        self.client.delete(&faults).send()?.error_for_status()?;
        if milliseconds > 0 {
            let latency = json!({"kind": "latency", "ms": milliseconds});
            self.client.post(&faults).json(&latency).send()?.error_for_status()?;
        }
        Ok(())
    }

    /// The requests since the log was cleared.
    pub(crate) fn log(&self) -> Result<Vec<Request>, Box<dyn Error>> {
        Ok(self.client.get(self.control("log")).send()?.error_for_status()?.json()?)
    }

    /// Empties the log.
    pub(crate) fn clear_log(&self) -> Result<(), Box<dyn Error>> {
        self.client.delete(self.control("log")).send()?.error_for_status()?;
        Ok(())
    }

    /// Its processor time so far, in seconds.
    pub(crate) fn cpu(&self) -> Result<f64, Box<dyn Error>> {
        process::cpu(self.child.id())
    }

    /// The memory that it holds, in MB.
    pub(crate) fn memory_mb(&self) -> Result<f64, Box<dyn Error>> {
        Ok(process::memory_kb(self.child.id(), "VmRSS")? as f64 / 1024.0)
    }

    fn control(&self, call: &str) -> String {
        self.url.replace("/api/v1", &format!("/_sandbox/{call}"))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // It may have stopped by itself, which is what is wanted.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
