//! Nothing waits beyond the end of the statement's time. The deadline is that of the process, so
//! this has a process of its own.

mod common;

use std::time::{Duration, Instant, SystemTime};

use awork_api::deadline;
use awork_api::error::ErrorKind;
use awork_sandbox::{Action, Fault};

use common::{job, workspace};

#[test]
fn a_wait_that_the_statement_has_no_time_for_is_the_error_that_it_waits_for() {
    let mut awork = workspace();
    let mut settings = awork.client.settings().clone();
    settings.max_retries = 5;
    awork = awork.with_settings(settings);
    let status = |status, retry_after| Action::Status { status, code: None, retry_after };
    let cases =
        [(status(503, None), ErrorKind::BadReply), (status(429, Some(10)), ErrorKind::RateLimited)];
    for (fault, kind) in cases {
        deadline::set(Some(SystemTime::now() + Duration::from_secs(2)));
        awork.fault("/users", None, fault);
        let started = Instant::now();
        let error = awork.read(job("users")).ended.unwrap().unwrap_err();
        assert_eq!(error.kind, kind);
        assert!(started.elapsed() < Duration::from_secs(2), "{error:?}");
        awork.sandbox.clear_faults();
    }
    // Without a limit, the same goes on until awork answers.
    deadline::set(None);
    let mut awork = workspace();
    let mut settings = awork.client.settings().clone();
    settings.max_retries = 3;
    awork = awork.with_settings(settings);
    awork.sandbox.add_fault(Fault {
        path: "/users".into(),
        query: None,
        nth: None,
        first: Some(1),
        action: status(503, None),
    });
    assert!(awork.read(job("users")).ended.unwrap().is_ok());
}
