//! Whether what a statement came to is right, and the counts of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::faults::{History, Kind};
use crate::questions::Question;
use crate::session::Failure;

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Statements, by the way in which they were run.
    pub(crate) statements: BTreeMap<&'static str, u64>,
    /// Errors by SQLSTATE.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Statements with the right rows.
    pub(crate) right: u64,
    /// Statements with other rows, which a warning told, while awork lied.
    pub(crate) told: u64,
    /// Rows.
    pub(crate) rows: u64,
    /// Sessions.
    pub(crate) sessions: u64,
    /// Logins.
    pub(crate) logins: u64,
    /// What is wrong.
    pub(crate) complaints: Vec<String>,
}

impl Tally {
    /// Adds another one's counts.
    pub(crate) fn add(&mut self, other: Self) {
        for (way, count) in other.statements {
            *self.statements.entry(way).or_default() += count;
        }
        for (code, count) in other.errors {
            *self.errors.entry(code).or_default() += count;
        }
        self.right += other.right;
        self.told += other.told;
        self.rows += other.rows;
        self.sessions += other.sessions;
        self.logins += other.logins;
        self.complaints.extend(other.complaints);
    }
}

/// What else may happen to a statement, beside what faults do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    /// In which way it was run.
    pub(crate) way: &'static str,
    /// From when on faults may have mattered to it.
    pub(crate) since: Instant,
    /// SQLSTATEs of what was done to it: cancelled, terminated, timed out.
    pub(crate) codes: &'a [&'static str],
    /// Whether its time is limited, so that it fails rather than waits.
    pub(crate) is_short: bool,
    /// Whether it asks with a login, which faults can end.
    pub(crate) by_login: bool,
}

/// The SQLSTATE of the rate limit, which is always on.
const RATE_LIMIT: &str = "53400";

/// The SQLSTATE of a refused filter or order.
const REFUSED: &str = "HV00L";

/// About how long a statement waits for the rate limit before it fails, by default.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// SQLSTATEs of a login that a fault has ended or not let begin, and of a token endpoint that
/// answers with what is no refusal of its own.
const OF_LOGINS: &[&str] = &["28000", "HV002", "HV00M"];

/// Holds what a statement came to against the rows that it should give, and counts it.
pub(crate) fn judge(
    tally: &mut Tally,
    history: &History,
    circumstances: Circumstances<'_>,
    question: &Question,
    outcome: Result<Vec<String>, Failure>,
    warnings: &[String],
) {
    *tally.statements.entry(circumstances.way).or_default() += 1;
    let kinds = history.since(circumstances.since);
    match outcome {
        Ok(rows) => {
            tally.rows += rows.len() as u64;
            let count = rows.len();
            if question.is_answered_by(rows) {
                tally.right += 1;
            } else if kinds.iter().any(|kind| kind.lies) && is_told(warnings) {
                tally.told += 1;
            } else {
                let found =
                    format!("wrong rows without a warning: {count}, not {}", question.rows.len());
                tally.complaints.push(complaint(circumstances.way, &question.sql, &found, &kinds));
            }
        }
        Err(failure) => failed(tally, &kinds, circumstances, &question.sql, failure),
    }
}

/// Counts an error, and complains where it belongs to nothing that happened.
pub(crate) fn failed(
    tally: &mut Tally,
    kinds: &[Kind],
    circumstances: Circumstances<'_>,
    sql: &str,
    failure: Failure,
) {
    *tally.errors.entry(failure.code.clone()).or_default() += 1;
    let code = failure.code.as_str();
    // A login that a fault has ended is so for the statements after it, in every session of the role.
    let has_ended = circumstances.by_login && failure.text.contains("the login to awork has ended");
    // One refusal is mended, and so are some of a page that is like others before it.
    let is_refused_again = code == REFUSED
        && kinds.iter().any(|kind| kind.name.starts_with("refuse_"))
        && !failure.text.contains("fetch page 1 of");
    let allowed = has_ended
        || is_refused_again
        || code == RATE_LIMIT && !is_hasty(&failure, circumstances)
        || circumstances.codes.contains(&code)
        || kinds.iter().any(|kind| kind.codes.contains(&code))
        || circumstances.by_login && !kinds.is_empty() && OF_LOGINS.contains(&code);
    if !allowed {
        let found = format!("{code:?} {}", failure.text);
        tally.complaints.push(complaint(circumstances.way, sql, &found, kinds));
    }
}

/// Whether a statement gave up for the rate limit though it had time to wait. What awork refuses
/// may have been refused too often.
fn is_hasty(failure: &Failure, circumstances: Circumstances<'_>) -> bool {
    let is_refused = ["awork says", "token endpoint"].iter().any(|w| failure.text.contains(w));
    let has_time = circumstances.since.elapsed() < LONGEST_WAIT && !circumstances.is_short;
    has_time && failure.text.contains("rate_limit_max_wait") && !is_refused
}

/// Whether a warning says that rows may be missing.
fn is_told(warnings: &[String]) -> bool {
    warnings.iter().any(|warning| warning.contains("awork announced"))
}

fn complaint(way: &str, sql: &str, found: &str, kinds: &[Kind]) -> String {
    let mut names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
    names.sort_unstable();
    names.dedup();
    let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    format!("{way}: {sql}\n    gave {found}\n    faults meanwhile: {names}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(outcome: Result<&[&str], &str>, codes: &[&'static str]) -> Tally {
        let mut tally = Tally::default();
        let circumstances = Circumstances {
            way: "plain",
            since: Instant::now(),
            codes,
            is_short: false,
            by_login: false,
        };
        let rows = vec!["a".to_owned(), "b".to_owned()];
        let question = Question { sql: "SELECT 1".to_owned(), rows };
        let outcome = outcome
            .map(|rows| rows.iter().map(|row| (*row).to_owned()).collect())
            .map_err(|code| Failure { code: code.to_owned(), text: String::new() });
        judge(&mut tally, &History::default(), circumstances, &question, outcome, &[]);
        tally
    }

    #[test]
    fn only_the_right_rows_are_right() {
        assert_eq!(outcome(Ok(&["b", "a"]), &[]).right, 1);
        for rows in [&["a"][..], &[], &["a", "b", "b"], &["a", "c"]] {
            let tally = outcome(Ok(rows), &[]);
            assert_eq!((tally.right, tally.complaints.len()), (0, 1), "{rows:?}");
        }
    }

    #[test]
    fn errors_need_a_reason() {
        assert_eq!(outcome(Err("57014"), &["57014"]).complaints.len(), 0);
        assert_eq!(outcome(Err("53400"), &[]).complaints.len(), 0);
        for code in ["XX000", "HV00M", "57014", ""] {
            assert_eq!(outcome(Err(code), &["57P01"]).complaints.len(), 1, "{code}");
        }
    }
}
