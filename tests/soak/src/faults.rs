//! Faults that come and go at random, so that a share of the requests meets one, and what a
//! statement may say of each.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use awork_sandbox::{Action, Fault, Sandbox};
use fastrand::Rng;

/// The share of requests that meet a fault.
const SHARE: f64 = 0.05;

/// The longest that a fault waits for requests.
const PATIENCE: Duration = Duration::from_secs(3);

/// Paths of lists that are asked for by themselves. A 404 for a parent's list is no error but a
/// parent that is gone.
const LISTS: &[&str] = &["/timeentries", "/me/allavailabletasks", "/companies", "/absences"];

/// Requests for whole lists, as opposed to counts, first rows and lookups.
const WHOLE: &str = "pageSize=100";

/// A kind of fault with what a statement may come to that meets one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// What `--without` calls it.
    pub(crate) name: &'static str,
    /// How often it is drawn.
    weight: u32,
    /// SQLSTATEs that belong to it.
    pub(crate) codes: &'static [&'static str],
    /// Whether the answer is well-formed and wrong, so that rows may be missing with a warning.
    pub(crate) lies: bool,
    /// Draws one.
    make: fn(&mut Rng) -> Action,
    /// What requests it is kept to.
    scope: Scope,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Any,
    Whole,
    List,
}

const fn kind(
    name: &'static str,
    codes: &'static [&'static str],
    make: fn(&mut Rng) -> Action,
) -> Kind {
    Kind { name, weight: 4, codes, lies: false, make, scope: Scope::Any }
}

const fn lie(name: &'static str, make: fn(&mut Rng) -> Action) -> Kind {
    Kind { lies: true, scope: Scope::Whole, ..kind(name, &["HV00M", "40001"], make) }
}

/// Every kind that the sandbox has. The SQLSTATEs are those of docs/errors.md.
pub(crate) const KINDS: &[Kind] = &[
    kind("latency", &[], |rng| Action::Latency { ms: rng.u64(20..800) }),
    kind("hang", &["HV00M"], |_| Action::Hang),
    kind("hang_after", &["HV00M"], |_| Action::HangAfter),
    kind("slow_body", &[], |rng| Action::SlowBody { after: None, ms: rng.u64(20..800) }),
    kind("stuck_body", &["HV00M"], |_| Action::SlowBody { after: Some(1), ms: 30_000 }),
    kind("cut_body", &["HV00M"], |rng| Action::CutBody { after: rng.bool().then_some(1) }),
    kind("status_5xx", &["HV00M"], |rng| status(*pick(rng, &[500, 502, 503, 504]))),
    kind("status_408", &["HV00M"], |_| status(408)),
    kind("status_429", &["53400"], |rng| Action::Status {
        status: 429,
        code: None,
        retry_after: rng.bool().then_some(1),
    }),
    kind("status_400", &["HV00L"], |_| status(400)),
    kind("status_401", &["28000", "42501"], |_| status(401)),
    Kind {
        scope: Scope::List,
        ..kind("status_gone", &["HV00R", "HV00M"], |rng| status(*pick(rng, &[404, 410])))
    },
    kind("expired", &["28000"], |_| Action::Expired),
    kind("blocked", &["42501"], |_| Action::Blocked),
    kind("html", &["HV00M"], |_| Action::Html),
    kind("body", &["HV00M"], |rng| {
        let bodies: [&[u8]; 4] = [b"", b"nonsense", b"[{\"id\":", b"\xff\xfe"];
        let bytes = pick(rng, &bodies).to_vec();
        Action::Body { text: None, bytes: Some(bytes), status: None, content_type: None }
    }),
    Kind { weight: 1, ..kind("huge_body", &["54000", "HV00M"], |_| Action::HugeBody { mib: 80 }) },
    kind("redirect", &["HV00M"], |rng| {
        let places = ["http://127.0.0.1:1/", "/api/v1/users", "file:///etc/hostname"];
        Action::Redirect { location: (*pick(rng, &places)).to_owned(), status: None }
    }),
    lie("repeat_page", |_| Action::RepeatPage { page: 1 }),
    lie("drop_rows", |rng| Action::DropRows { rows: rng.usize(1..50) }),
    lie("totals", |rng| Action::Totals { total: *pick(rng, &[None, Some(7), Some(1_000_000)]) }),
    lie("page_size", |_| Action::PageSize { rows: 50 }),
    kind("refuse_filter", &[], |_| Action::RefuseFilter),
    kind("refuse_order", &[], |_| Action::RefuseOrder),
    kind("without_properties", &[], |_| Action::WithoutProperties {
        // No statement reads them.
        names: ["resourceVersion", "updatedBy"].map(str::to_owned).to_vec(),
    }),
    kind("new_property", &[], |_| set(ADDED, ADDED_VALUE)),
    kind("bad_value", &["HV004"], |_| set("createdOn", "2026-02-31T00:00:00Z")),
];

/// A property that awork has added, and its value. `attrs` shows it.
const ADDED: &str = "addedYesterday";
const ADDED_VALUE: &str = "new";

/// A row as it would be without the property that awork has added.
pub(crate) fn without_added(row: &str) -> String {
    let added = format!("\"{ADDED}\": \"{ADDED_VALUE}\"");
    row.replace(&format!("{added}, "), "").replace(&format!(", {added}"), "")
}

fn status(status: u16) -> Action {
    Action::Status { status, code: None, retry_after: None }
}

fn set(name: &str, value: &str) -> Action {
    let set = [(name.to_owned(), value.into())].into_iter().collect();
    Action::SetProperties { row: Some(0), set }
}

fn pick<'a, T>(rng: &mut Rng, all: &'a [T]) -> &'a T {
    &all[rng.usize(..all.len())]
}

impl Kind {
    fn draw(&self, rng: &mut Rng) -> Fault {
        // Several in a row outlast the attempts of one request.
        let first = Some(if rng.u8(..3) == 0 { rng.u64(3..7) } else { 1 });
        let path = match self.scope {
            Scope::List => (*pick(rng, LISTS)).to_owned(),
            _ if rng.u8(..4) == 0 => LISTS[0].to_owned(),
            _ => String::new(),
        };
        let query = (self.scope != Scope::Any).then(|| WHOLE.to_owned());
        Fault { path, query, nth: None, first, action: (self.make)(rng) }
    }
}

/// A fault that was there for a while.
#[derive(Debug)]
struct Episode {
    kind: Kind,
    removed: Option<Instant>,
}

/// The faults so far.
#[derive(Debug, Default)]
pub(crate) struct History(Mutex<Vec<Episode>>);

impl History {
    fn lock(&self) -> MutexGuard<'_, Vec<Episode>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kinds that a request may have met since this point in time.
    pub(crate) fn since(&self, begin: Instant) -> Vec<Kind> {
        let episodes = self.lock();
        let met = episodes.iter().rev().filter(|e| e.removed.is_none_or(|end| end >= begin));
        met.map(|episode| episode.kind).collect()
    }

    /// How often each kind was there.
    pub(crate) fn counts(&self) -> Vec<(&'static str, usize)> {
        let episodes = self.lock();
        let count = |kind: &Kind| episodes.iter().filter(|e| e.kind.name == kind.name).count();
        KINDS.iter().map(|kind| (kind.name, count(kind))).collect()
    }

    /// Adds and removes faults until told to stop; then there is none. Faults of one time only,
    /// so that a statement's error can be traced to the fault.
    pub(crate) fn run(
        &self,
        sandbox: &Sandbox,
        without: &[String],
        mut rng: Rng,
        stop: &AtomicBool,
    ) {
        let drawn: Vec<Kind> = KINDS
            .iter()
            .filter(|kind| !without.iter().any(|name| name == kind.name))
            .flat_map(|kind| vec![*kind; kind.weight as usize])
            .collect();
        let begun = sandbox.requests();
        while !stop.load(Ordering::Relaxed) && !drawn.is_empty() {
            thread::sleep(Duration::from_millis(10));
            let requests = (sandbox.requests() - begun) as f64;
            let met = sandbox.faults_met();
            if met as f64 >= requests * SHARE {
                continue;
            }
            let kind = *pick(&mut rng, &drawn);
            let fault = kind.draw(&mut rng);
            let enough = met + fault.first.unwrap_or(1);
            let added = Instant::now();
            self.lock().push(Episode { kind, removed: None });
            sandbox.add_fault(fault);
            while sandbox.faults_met() < enough
                && added.elapsed() < PATIENCE
                && !stop.load(Ordering::Relaxed)
            {
                thread::sleep(Duration::from_millis(5));
            }
            sandbox.clear_faults();
            if let Some(last) = self.lock().last_mut() {
                last.removed = Some(Instant::now());
            }
        }
    }
}
