//! Runs the sandbox from the command line.
#![forbid(unsafe_code)]

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use awork_sandbox::{
    ClientApplication, Config, ExpiresIn, Fault, Feature, Identity, LargePages, OAuth, RateLimit,
    Refused, Sandbox,
};
use clap::Parser;

/// A fake awork server with invented data.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; port 0 takes any free one. Loopback addresses only.
    #[arg(long, default_value = "127.0.0.1:8580")]
    listen: SocketAddr,
    /// A file to write the URL to once the sandbox answers.
    #[arg(long, value_name = "FILE")]
    url_file: Option<PathBuf>,
    /// The number of time entries; the other tables follow.
    #[arg(long, default_value_t = 5_000)]
    scale: usize,
    /// What the invented data is drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The present, which never moves.
    #[arg(long, default_value = "2026-10-15T09:00:00Z")]
    now: String,
    /// The key that may do everything.
    #[arg(long, default_value = "awork-sandbox-key")]
    api_key: String,
    /// The key without rights to times and webhooks.
    #[arg(long, default_value = "awork-sandbox-limited")]
    limited_key: String,
    /// Milliseconds that every answer waits.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Enforces the rate limits.
    #[arg(long)]
    rate_limit: bool,
    /// Requests per second under the rate limit.
    #[arg(long, default_value_t = 50)]
    per_second: u32,
    /// Requests per minute under the rate limit.
    #[arg(long, default_value_t = 1000)]
    per_minute: u32,
    /// Sends `Retry-After` with 429.
    #[arg(long)]
    retry_after: bool,
    /// Compares texts with regard to case and to blanks at the end.
    #[arg(long)]
    case_sensitive: bool,
    /// Leaves rows whose x is null out of `x ne 'v'`, as SQL does.
    #[arg(long)]
    ne_excludes_null: bool,
    /// A part of the filter and order language to refuse; may be repeated.
    #[arg(long, value_name = "FEATURE")]
    refuse: Vec<Feature>,
    /// A property to refuse in filters and orders, such as `project/name`; may be repeated.
    #[arg(long, value_name = "NAME")]
    refuse_property: Vec<String>,
    /// Puts nulls last in ascending order.
    #[arg(long)]
    nulls_last: bool,
    /// Understands `in` outside of `any`.
    #[arg(long)]
    top_level_in: bool,
    /// The rows of a page where `pageSize` is left out.
    #[arg(long, default_value_t = 10)]
    default_page_size: usize,
    /// Refuses a `pageSize` above 1000 rather than taking it for 1000.
    #[arg(long)]
    refuse_large_pages: bool,
    /// Heeds `filterby` on lists that do not declare it.
    #[arg(long)]
    filter_undeclared: bool,
    /// Never compresses.
    #[arg(long)]
    no_gzip: bool,
    /// MiB of rendered pages that are kept for when they are asked for again.
    #[arg(long, default_value_t = 384)]
    prepared_mib: u64,
    /// Sends bodies in chunks without a length.
    #[arg(long)]
    chunked: bool,
    /// A fault from the start, as JSON; may be repeated.
    #[arg(long, value_name = "JSON", value_parser = |text: &str| serde_json::from_str::<Fault>(text))]
    fault: Vec<Fault>,
    #[command(flatten)]
    oauth: OAuthArguments,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Logging in by OAuth")]
struct OAuthArguments {
    /// The id of the application that has a secret; `awork-sandbox-public` has none.
    #[arg(long, value_name = "ID", default_value = "awork-sandbox-client")]
    client_id: String,
    /// The application's secret.
    #[arg(long, value_name = "SECRET", default_value = "awork-sandbox-secret")]
    client_secret: String,
    /// Where codes may be sent, in place of http://127.0.0.1:8765/callback and the same at
    /// localhost; may be repeated. On loopback any port will do.
    #[arg(long, value_name = "URL")]
    redirect_uri: Vec<String>,
    /// How long access tokens are taken, in seconds; fractions count.
    #[arg(long, value_name = "SECONDS", default_value = "86400", value_parser = seconds)]
    access_token_seconds: Duration,
    /// How long refresh tokens are taken, in seconds; fractions count.
    #[arg(long, value_name = "SECONDS", default_value = "2592000", value_parser = seconds)]
    refresh_token_seconds: Duration,
    /// How the lifetime of access tokens is told: seconds, epoch, text or omitted.
    #[arg(long, value_name = "FORM", default_value = "seconds")]
    expires_in: ExpiresIn,
    /// Logs in as this identity at once, `admin` or `limited`, without a page to choose on.
    #[arg(long, value_name = "NAME")]
    login: Option<String>,
    /// Takes the application's secret in the body too.
    #[arg(long)]
    secret_in_body: bool,
    /// Keeps a login whose refresh token is used twice.
    #[arg(long)]
    keep_on_reuse: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

impl OAuthArguments {
    fn settings(&self) -> OAuth {
        let mut oauth = OAuth {
            clients: vec![
                ClientApplication::confidential(&self.client_id, &self.client_secret),
                ClientApplication::public("awork-sandbox-public"),
            ],
            login: self.login.clone(),
            secret_in_body: self.secret_in_body,
            access_token_lifetime: self.access_token_seconds,
            refresh_token_lifetime: self.refresh_token_seconds,
            expires_in: self.expires_in,
            revoke_on_reuse: !self.keep_on_reuse,
            ..OAuth::default()
        };
        if !self.redirect_uri.is_empty() {
            for client in &mut oauth.clients {
                client.redirect_uris.clone_from(&self.redirect_uri);
            }
        }
        oauth
    }
}

impl Arguments {
    fn config(&self) -> Config {
        Config {
            listen: self.listen,
            scale: self.scale,
            seed: self.seed,
            now: self.now.clone(),
            identities: vec![Identity::admin(&self.api_key), Identity::limited(&self.limited_key)],
            latency: Duration::from_millis(self.latency_ms),
            rate_limit: self.rate_limit.then_some(RateLimit {
                per_second: self.per_second,
                per_minute: self.per_minute,
                retry_after: self.retry_after,
            }),
            case_sensitive: self.case_sensitive,
            ne_excludes_null: self.ne_excludes_null,
            refused: Refused {
                features: self.refuse.iter().copied().collect(),
                properties: self.refuse_property.iter().cloned().collect(),
            },
            nulls_last: self.nulls_last,
            top_level_in: self.top_level_in,
            default_page_size: self.default_page_size.max(1),
            large_pages: if self.refuse_large_pages {
                LargePages::Refuse
            } else {
                LargePages::Clamp
            },
            filter_undeclared: self.filter_undeclared,
            gzip: !self.no_gzip,
            prepared_bytes: self.prepared_mib << 20,
            chunked: self.chunked,
            oauth: self.oauth.settings(),
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let sandbox = Sandbox::start(arguments.config())?;
    for fault in &arguments.fault {
        sandbox.add_fault(fault.clone());
    }
    if let Some(file) = &arguments.url_file {
        std::fs::write(file, sandbox.api_url())?;
    }
    let mut out = std::io::stdout();
    writeln!(out, "awork-sandbox listening on {}", sandbox.api_url())?;
    out.flush()?;
    loop {
        std::thread::park();
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("awork-sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}
