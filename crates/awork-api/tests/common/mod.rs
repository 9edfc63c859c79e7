//! A sandbox with a client, jobs that read it, and what scans of it deliver.
#![allow(dead_code)]

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use awork_api::catalogue::Catalogue;
use awork_api::catalogue::columns::Source;
use awork_api::client::{Client, Origin};
use awork_api::credentials::{Credential, Secret};
use awork_api::error::Error;
use awork_api::filter::render::{Said, render};
use awork_api::filter::{
    ColumnType, Comparison, Condition, Conjunct, Field, Leaf, Operand, Value, classify,
};
use awork_api::pages::{Consistency, Manner, PageInfo, Pages};
use awork_api::request::stable_order;
use awork_api::rows::{Kind, Projection, Target};
use awork_api::scan::job::{Job, Order, Start};
use awork_api::scan::{Begun, Event, Scan};
use awork_api::settings::Settings;
use awork_sandbox::{Action, Config, Fault, LogEntry, Sandbox};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

pub(crate) const SCALE: usize = 600;
pub(crate) const PAGE: u32 = 50;

/// How long a scan that has nothing to do is watched for what it does all the same.
pub(crate) const QUIET: Duration = Duration::from_millis(150);

pub(crate) struct Workspace {
    pub sandbox: Sandbox,
    pub client: Arc<Client>,
}

pub(crate) fn workspace() -> Workspace {
    with(Config::default())
}

pub(crate) fn with(config: Config) -> Workspace {
    as_identity(config, "awork-sandbox-key")
}

pub(crate) fn as_identity(config: Config, key: &str) -> Workspace {
    let sandbox = Sandbox::start(Config { scale: SCALE, ..config }).unwrap();
    let mut settings = Settings::default();
    settings.set("api_url", &sandbox.api_url()).unwrap();
    settings.max_retries = 0;
    let client = Arc::new(Client::new(settings, credential(key), origin()).unwrap());
    Workspace { sandbox, client }
}

/// A workspace of its own for each test.
pub(crate) fn origin() -> Origin {
    static LAST: AtomicU64 = AtomicU64::new(0);
    Origin { workspace: LAST.fetch_add(1, Ordering::Relaxed) + 1, version: 0 }
}

/// How many requests a list of so many rows takes that does not change: pages lie over each other.
pub(crate) fn requests(rows: usize, page_size: u32) -> usize {
    let manner = Manner { consistency: Consistency::Strict, has_ids: true, rows_move: false };
    let mut pages = Pages::new(true, page_size, manner);
    let info = PageInfo { total: Some(rows as u64), ..PageInfo::default() };
    let mut requests = 0;
    while let Some(page) = pages.request() {
        requests += 1;
        let places = page.start()..page.end().min(rows as u64);
        let ids: Vec<_> = places.map(|place| Some(u128::from(place))).collect();
        pages.received(page, ids.len(), &ids, info).unwrap();
    }
    requests
}

/// A job that reads the ids of a whole resource.
pub(crate) fn job(resource: &str) -> Job {
    job_for(resource, "id")
}

pub(crate) fn job_for(resource: &str, property: &str) -> Job {
    let resource = Catalogue::bundled().resource(resource).unwrap();
    let properties = resource.properties();
    let target = Target {
        name: property.into(),
        source: Source::Field(vec![property.into()]),
        kind: Kind::Text,
    };
    Job {
        resource,
        bindings: vec![vec![None; resource.parameters.len()]],
        conjuncts: Vec::new(),
        lookup: None,
        order: Order { stable: stable_order(resource, &properties), ..Order::default() },
        start: Start::Beginning,
        projection: Projection::new(&[target], properties.contains(&"id")),
        page_size: PAGE,
        most_filters: 100,
        cache_ttl: Duration::ZERO,
        consistency: Consistency::Strict,
        table: "t".into(),
    }
}

pub(crate) fn field(resource: &str, path: &str, column: ColumnType) -> Field {
    let resource = Catalogue::bundled().resource(resource).unwrap();
    let path = path.split('/').map(str::to_owned).collect();
    Field::new(resource, &Source::Field(path), column).unwrap()
}

pub(crate) fn conjunct(leaf: Leaf) -> Conjunct {
    let remote = classify(&Condition::Leaf(leaf)).remote.unwrap();
    match render(&remote, &[]).0 {
        Said::Text(conjunct) => conjunct,
        said => panic!("{said:?}"),
    }
}

pub(crate) fn compare(field: Field, comparison: Comparison, value: Value) -> Conjunct {
    conjunct(Leaf::Compare(field, comparison, Operand::Constant(value)))
}

pub(crate) fn billable(is: bool) -> Conjunct {
    let field = field("time_entries", "isBillable", ColumnType::Boolean);
    compare(field, Comparison::Eq, Value::Bool(is))
}

pub(crate) fn uuid(text: &str) -> Value {
    Value::Uuid(*uuid::Uuid::parse_str(text).unwrap().as_bytes())
}

/// What a scan has delivered.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    pub begun: Option<Begun>,
    /// Values of the first column.
    pub rows: Vec<String>,
    /// The parameters of each row.
    pub bindings: Vec<Vec<Option<String>>>,
    pub notices: Vec<String>,
    pub ended: Option<Result<(), Error>>,
}

impl Delivered {
    pub(crate) fn begun(&self) -> Begun {
        self.begun.expect("the scan has begun")
    }

    /// The rows of a scan that went well, each of which came once.
    pub(crate) fn distinct(&self) -> BTreeSet<String> {
        assert_eq!(self.ended, Some(Ok(())));
        let distinct: BTreeSet<String> = self.rows.iter().cloned().collect();
        assert_eq!(distinct.len(), self.rows.len(), "rows came twice");
        distinct
    }

    pub(crate) fn error(&self) -> &Error {
        self.ended.as_ref().unwrap().as_ref().unwrap_err()
    }

    /// Takes what comes until the end, or until nothing has come for a while.
    pub(crate) fn take(&mut self, scan: &mut Scan, demand: bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline && self.ended.is_none() {
            match scan.poll() {
                None => {
                    let wait = if demand { Duration::from_secs(20) } else { QUIET };
                    if !is_readable(scan, wait) {
                        assert!(!demand, "the scan stopped");
                        return;
                    }
                }
                Some(Event::Begun(begun)) => {
                    assert!(self.begun.replace(begun).is_none(), "it began twice");
                }
                Some(Event::Rows(batch, bindings, _)) => {
                    assert!(self.begun.is_some(), "rows before the beginning");
                    for row in 0..batch.rows() {
                        self.bindings.push(bindings.to_vec());
                        self.rows.push(batch.text(row, 0).unwrap_or("null").to_owned());
                    }
                    if demand {
                        scan.demand();
                    }
                }
                Some(Event::Notice(notice)) => self.notices.push(notice),
                Some(Event::End) => self.ended = Some(Ok(())),
                Some(Event::Failed(error)) => self.ended = Some(Err(error)),
            }
        }
    }
}

impl Workspace {
    /// The same with other settings.
    pub(crate) fn with_settings(self, settings: Settings) -> Self {
        let key = credential("awork-sandbox-key");
        let client = Arc::new(Client::new(settings, key, origin()).unwrap());
        Self { client, ..self }
    }

    /// A client of the same workspace that shares nothing with the other one.
    pub(crate) fn stranger(&self) -> Arc<Client> {
        let mut settings = self.client.settings().clone();
        settings.max_retries = 10;
        let key = credential("awork-sandbox-key");
        Arc::new(Client::new(settings, key, origin()).unwrap())
    }

    pub(crate) fn start(&self, job: Job) -> Scan {
        self.sandbox.clear_log();
        Scan::start(self.client.clone(), job).unwrap()
    }

    /// Reads all of it.
    pub(crate) fn read(&self, job: Job) -> Delivered {
        self.read_with_scan(job).0
    }

    pub(crate) fn read_with_scan(&self, job: Job) -> (Delivered, Scan) {
        let mut scan = self.start(job);
        let mut delivered = Delivered::default();
        delivered.take(&mut scan, true);
        (delivered, scan)
    }

    /// The ids that the sandbox has.
    pub(crate) fn ids(&self, resource: &str, parameters: &[(&str, &str)]) -> BTreeSet<String> {
        let rows = self.sandbox.rows(resource, parameters);
        rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    }

    /// The ids of the rows of which a test of their JSON is true.
    pub(crate) fn ids_where(
        &self,
        resource: &str,
        test: impl Fn(&serde_json::Value) -> bool,
    ) -> BTreeSet<String> {
        let rows = self.sandbox.rows(resource, &[]);
        let rows = rows.iter().filter(|row| test(row));
        rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn fault(&self, path: &str, query: Option<&str>, action: Action) {
        let query = query.map(str::to_owned);
        self.sandbox.add_fault(Fault { path: path.into(), query, nth: None, first: None, action });
    }

    pub(crate) fn refused_requests(&self) -> usize {
        self.sandbox.log().iter().filter(|entry| entry.status == Some(400)).count()
    }

    pub(crate) fn filters(&self) -> Vec<String> {
        let log = self.sandbox.log();
        log.iter().filter_map(|e| e.parameter("filterby")).map(str::to_owned).collect()
    }
}

pub(crate) fn status(status: u16) -> Action {
    Action::Status { status, code: None, retry_after: None }
}

/// How many requests were under way at once, at the most.
pub(crate) fn concurrency(log: &[LogEntry]) -> usize {
    let at = |time: f64| {
        let running = |e: &&LogEntry| e.started <= time && e.finished.is_none_or(|end| end > time);
        log.iter().filter(running).count()
    };
    log.iter().map(|entry| at(entry.started)).max().unwrap_or_default()
}

/// Waits for a scan to have something, or for so long.
pub(crate) fn is_readable(scan: &Scan, within: Duration) -> bool {
    // SAFETY: the descriptor is the scan's, which outlives the call.
    let fd = unsafe { BorrowedFd::borrow_raw(scan.wake_fd()) };
    let timeout = PollTimeout::try_from(within).unwrap();
    poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], timeout).unwrap() > 0
}

/// An API key.
pub(crate) fn credential(key: &str) -> Credential {
    Credential::Key(Secret::new("api_key", key).unwrap())
}
