//! A connection's part of the run: one statement after another, each in a way drawn at random.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use differential::load::Sides;
use fastrand::Rng;
use postgres::{Client, NoTls};

use crate::faults::History;
use crate::figures::Record;
use crate::questions::{Prepared, Question, Questions};
use crate::session::{Failure, Session};
use crate::setup;
use crate::verdict::{Circumstances, Tally, failed, judge};

/// What all connections share.
pub(crate) struct Run<'a> {
    /// Folder of the cluster's socket.
    pub(crate) host: &'a str,
    /// The tables and their copy.
    pub(crate) sides: &'a Sides,
    /// What is asked.
    pub(crate) questions: &'a Questions,
    /// The faults.
    pub(crate) history: &'a History,
    /// The session that terminates others.
    pub(crate) superuser: &'a Mutex<Client>,
    /// When it began.
    pub(crate) begun: Instant,
    /// How long it takes.
    pub(crate) length: Duration,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It stays for the whole run, and its backend's figures count.
    Stays,
    /// It stays, and asks as a user who is logged in.
    LoggedIn,
    /// It comes for some statements and goes; at times it is terminated.
    Comes,
}

/// A connection at its end.
pub(crate) struct Ended {
    /// What it came to.
    pub(crate) tally: Tally,
    /// Its figures, where it stayed.
    pub(crate) record: Record,
    /// The session, which is idle.
    pub(crate) session: Option<Session>,
}

/// A connection while it runs.
struct Worker<'a> {
    run: &'a Run<'a>,
    fate: Fate,
    role: String,
    session: Option<Session>,
    /// Statements that were prepared in the session.
    prepared: Vec<&'a str>,
    rng: Rng,
    tally: Tally,
    record: Record,
    /// From when on faults may have ended the login.
    logged_in: Option<Instant>,
    /// Statements until the session is left.
    left: u32,
}

/// Runs a connection to the end of the run.
pub(crate) fn work(run: &Run<'_>, number: usize, fate: Fate, rng: Rng) -> Ended {
    let role =
        if fate == Fate::LoggedIn { format!("soak_{number}") } else { "postgres".to_owned() };
    let name = format!("connection {number} ({fate:?})");
    let mut worker = Worker {
        run,
        fate,
        role,
        session: None,
        prepared: Vec::new(),
        rng,
        tally: Tally::default(),
        record: Record { name, samples: Vec::new() },
        logged_in: None,
        left: 0,
    };
    while run.begun.elapsed() < run.length {
        worker.step();
    }
    let Worker { session, tally, record, .. } = worker;
    Ended { tally, record, session }
}

impl<'a> Worker<'a> {
    /// One statement, or what must come before it.
    fn step(&mut self) {
        if self.session.is_none() && !self.connect() {
            return;
        }
        if self.fate == Fate::LoggedIn && self.logged_in.is_none() && !self.log_in() {
            return;
        }
        match self.rng.u32(..100) {
            0..38 => self.plain(),
            38..50 => self.cursor(),
            50..66 => self.execute(),
            66..78 => self.looped(),
            78..86 => self.cancelled(),
            86..92 => self.timed_out(),
            92..95 => self.analyze(),
            95..98 => self.check(),
            _ if self.fate == Fate::Comes => self.terminated(),
            _ => self.plain(),
        }
        self.after();
    }

    fn connect(&mut self) -> bool {
        let schema = match self.fate {
            Fate::LoggedIn => setup::LOGIN_SCHEMA,
            _ => &self.run.sides.remote,
        };
        match Session::open(self.run.host, &self.role, schema) {
            Ok(session) => {
                self.session = Some(session);
                self.prepared.clear();
                self.left = self.rng.u32(1..12);
                self.tally.sessions += 1;
                true
            }
            Err(failure) => {
                self.tally.complaints.push(format!("no session: {failure:?}"));
                thread::sleep(Duration::from_secs(1));
                false
            }
        }
    }

    /// Logs the role in, which faults may prevent.
    fn log_in(&mut self) -> bool {
        let since = Instant::now();
        let Some(session) = &mut self.session else { return false };
        let outcome = setup::log_in(session, self.run.sides);
        *self.tally.statements.entry("login").or_default() += 1;
        match outcome {
            Ok(()) => {
                self.tally.logins += 1;
                self.logged_in = Some(since);
                true
            }
            Err(failure) => {
                let kinds = self.run.history.since(since);
                let circumstances = Circumstances {
                    way: "login",
                    since,
                    codes: &[],
                    is_short: false,
                    by_login: true,
                };
                failed(&mut self.tally, &kinds, circumstances, "awork_fdw_login", failure);
                false
            }
        }
    }

    fn after(&mut self) {
        let at = self.run.begun.elapsed();
        self.left = self.left.saturating_sub(1);
        let is_closed = self.session.as_ref().is_none_or(|session| session.client.is_closed());
        if self.fate == Fate::Comes {
            if is_closed || self.left == 0 {
                self.session = None;
            }
        } else if is_closed {
            self.tally.complaints.push(format!("{} ended", self.record.name));
            self.session = None;
        } else if let Some(session) = &self.session {
            self.record.add(session.pid, at);
        }
    }

    /// Holds an outcome against the question.
    fn judge(
        &mut self,
        way: &'static str,
        since: Instant,
        codes: &[&'static str],
        question: &Question,
        outcome: Result<Vec<String>, Failure>,
    ) {
        let warnings = self.session.as_ref().map(Session::take_warnings).unwrap_or_default();
        let by_login = self.fate == Fate::LoggedIn;
        let since = self.logged_in.filter(|_| is_of_login(&outcome)).unwrap_or(since);
        if is_of_login(&outcome) {
            self.logged_in = None;
        }
        let is_short = way == "statement_timeout";
        let circumstances = Circumstances { way, since, codes, is_short, by_login };
        judge(&mut self.tally, self.run.history, circumstances, question, outcome, &warnings);
    }

    fn any(&mut self) -> &'a Question {
        self.rng.choice(&self.run.questions.plain).expect("there are questions")
    }

    fn plain(&mut self) {
        let question = self.any();
        self.ask("plain", question, &[]);
    }

    fn ask(&mut self, way: &'static str, question: &Question, codes: &[&'static str]) {
        let since = Instant::now();
        let Some(session) = &mut self.session else { return };
        let outcome = session.rows(&question.sql);
        self.judge(way, since, codes, question, outcome);
    }

    /// Fetches in pieces; at times the rest stays unread.
    fn cursor(&mut self) {
        let question = self.any();
        let piece = self.rng.u32(1..400);
        let most = if self.rng.u8(..4) == 0 { self.rng.usize(1..5) } else { usize::MAX };
        let since = Instant::now();
        let Some(session) = &mut self.session else { return };
        let mut fetched = || -> Result<Option<Vec<String>>, Failure> {
            session.rows(&format!("BEGIN; DECLARE c CURSOR FOR {}", question.sql))?;
            let mut all = Vec::new();
            for _ in 0..most {
                let rows = session.rows(&format!("FETCH {piece} FROM c"))?;
                if rows.is_empty() {
                    session.rows("COMMIT")?;
                    return Ok(Some(all));
                }
                all.extend(rows);
            }
            session.rows("ROLLBACK")?;
            Ok(None)
        };
        match fetched() {
            Ok(Some(rows)) => self.judge("cursor", since, &[], question, Ok(rows)),
            Ok(None) => *self.tally.statements.entry("cursor, left").or_default() += 1,
            Err(failure) => {
                self.judge("cursor", since, &[], question, Err(failure));
                self.must("ROLLBACK");
            }
        }
    }

    /// Executes a prepared statement some times.
    fn execute(&mut self) {
        let prepared: &'a Prepared =
            self.rng.choice(&self.run.questions.prepared).expect("there are statements");
        if !self.prepared.contains(&prepared.name.as_str()) {
            self.must(&prepared.prepare);
            self.prepared.push(&prepared.name);
        }
        for _ in 0..self.rng.u32(1..6) {
            let question = self.rng.choice(&prepared.executions).expect("there are values");
            self.ask("execute", question, &[]);
        }
    }

    /// Reads in a loop of PL/pgSQL, whose exception block catches what goes wrong.
    fn looped(&mut self) {
        let question = self.rng.choice(&self.run.questions.looped).expect("there are questions");
        let since = Instant::now();
        let Some(session) = &mut self.session else { return };
        let outcome = session.rows(&question.sql).and_then(|rows| match rows.first() {
            Some(row) if row.starts_with("error ") => {
                let (code, text) = row["error ".len()..].split_once(' ').unwrap_or_default();
                Err(Failure { code: code.to_owned(), text: text.to_owned() })
            }
            _ => Ok(rows),
        });
        self.judge("PL/pgSQL", since, &[], question, outcome);
    }

    fn cancelled(&mut self) {
        let question = self.any();
        let wait = Duration::from_millis(self.rng.u64(..600));
        let Some(token) = self.session.as_ref().map(Session::cancel_token) else { return };
        let canceller = thread::spawn(move || {
            thread::sleep(wait);
            // Where the server takes no cancel request, the statement goes on to its end.
            let _ = token.cancel_query(NoTls);
        });
        let cancelled = self.tally.errors.get("57014").copied();
        self.ask("cancelled", question, &["57014"]);
        let has_come = self.tally.errors.get("57014").copied() != cancelled;
        let _ = canceller.join();
        if let Some(Err(failure)) = self.session.as_mut().map(|session| session.settle(has_come)) {
            self.tally.complaints.push(format!("after a cancelled statement: {failure:?}"));
        }
    }

    fn timed_out(&mut self) {
        let question = self.any();
        let limit = self.rng.u32(5..600);
        self.must(&format!("BEGIN; SET LOCAL statement_timeout = '{limit}ms'"));
        // What would wait beyond the timeout fails at once, with what it would have waited for.
        self.ask("statement_timeout", question, &["57014"]);
        self.must("ROLLBACK");
    }

    fn terminated(&mut self) {
        let question = self.any();
        let wait = Duration::from_millis(self.rng.u64(..600));
        let Some(pid) = self.session.as_ref().map(|session| session.pid) else { return };
        let superuser = self.run.superuser;
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(wait);
                let mut superuser = superuser.lock().expect("no thread panics with it");
                let _ = superuser.execute("SELECT pg_terminate_backend($1)", &[&pid]);
            });
            // Without a code where the connection ended before the error came.
            self.ask("terminated", question, &["57P01", ""]);
        });
        self.session = None;
    }

    fn analyze(&mut self) {
        if self.fate == Fate::LoggedIn {
            // Tables of others are skipped.
            return self.plain();
        }
        let table = self.rng.choice(self.run.questions.analyzed).expect("there are tables");
        let question = Question { sql: format!("ANALYZE {table}"), rows: Vec::new() };
        self.ask("ANALYZE", &question, &[]);
    }

    /// What awork refuses is a row and no error.
    fn check(&mut self) {
        let server = match self.fate {
            Fate::LoggedIn => setup::LOGIN_SERVER,
            _ => setup::key_server(self.run.sides),
        };
        let sql = format!("SELECT ok, message FROM awork_fdw_check('{server}')");
        let since = Instant::now();
        let Some(session) = &mut self.session else { return };
        let outcome = session.rows(&sql);
        let asked_since = self.logged_in.unwrap_or(since);
        let (mut rows, mut reason) = (vec!["t".to_owned()], String::new());
        let outcome = outcome.map(|found| {
            reason = found.concat();
            let is_explained =
                !self.run.history.since(asked_since).is_empty() || reason.contains("rate limit");
            if reason.starts_with("f|") && is_explained {
                rows = vec!["f".to_owned()];
            }
            vec![reason.chars().take(1).collect()]
        });
        let question = Question { sql: format!("{sql} -- {reason}"), rows };
        self.judge("check", since, &[], &question, outcome);
    }

    /// Runs a statement that asks awork for nothing.
    fn must(&mut self, sql: &str) {
        let Some(session) = &mut self.session else { return };
        if let Err(failure) = session.rows(sql) {
            self.tally.complaints.push(format!("{sql}: {failure:?}"));
        }
    }
}

/// Whether an error says that the role has to log in again.
fn is_of_login(outcome: &Result<Vec<String>, Failure>) -> bool {
    outcome.as_ref().is_err_and(|failure| ["28000", "HV002"].contains(&failure.code.as_str()))
}
