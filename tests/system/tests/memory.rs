//! Sums over many rows are right, and the backend holds no more than some pages of them.

use awork_sandbox::{Action, Config, Fault};
use system_tests::processes::Held;
use system_tests::{Failure, Workspace, backend_memory};

fn full_scan(name: &str, scale: usize, limit_mib: u64) {
    let Some(mut w) = Workspace::imported(name, Config { scale, ..Config::default() }) else {
        return;
    };
    let mut expected = 0;
    w.sandbox.visit("time_entries", &[], |row| expected += row["duration"].as_i64().unwrap_or(0));
    let before = backend_memory(&mut w.client, "VmRSS");
    let row = w.client.query_one("SELECT count(*), sum(duration) FROM time_entries", &[]).unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (scale as i64, expected));
    let peak = backend_memory(&mut w.client, "VmHWM").saturating_sub(before);
    println!("{scale} rows: the backend grew by {} MiB at its peak", peak / 1024);
    assert!(peak < limit_mib * 1024, "the backend grew by {peak} kB");
}

#[test]
fn a_hundred_thousand_rows() {
    full_scan("memory_100k", 100_000, 64);
}

#[test]
fn a_million_rows() {
    full_scan("memory_1m", 1_000_000, 96);
}

#[test]
fn whole_rows_need_no_more_for_more_rows() {
    let config = Config { scale: 60_000, ..Config::default() };
    let Some(mut w) = Workspace::imported("memory_whole_rows", config) else { return };
    let mut peak_of = |rows: u32| {
        let sql = format!("SELECT count(t) FROM (SELECT * FROM time_entries LIMIT {rows}) t");
        assert_eq!(w.client.query_one(&sql, &[]).unwrap().get::<_, i64>(0), i64::from(rows));
        backend_memory(&mut w.client, "VmHWM")
    };
    let (few, many) = (peak_of(15_000), peak_of(60_000));
    println!("whole rows: {} MiB for 15,000, {} MiB for 60,000", few / 1024, many / 1024);
    assert!(many < few * 3 / 2, "{few} kB for 15,000 rows, {many} kB for 60,000");
}

/// The backend of the session, and what it holds.
fn held(w: &mut Workspace) -> (i32, Held) {
    let pid = w.client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    (pid, Held::of(pid))
}

fn fault(query: Option<&str>, action: Action) -> Fault {
    let (path, query) = ("/timeentries".into(), query.map(str::to_owned));
    Fault { path, query, nth: None, first: None, action }
}

#[test]
fn failures_leave_nothing_behind() {
    const EACH: usize = 200;
    let config = Config { scale: 400, ..Config::default() };
    let Some(mut w) = Workspace::imported("memory_failures", config) else { return };
    w.client.batch_execute("ALTER SERVER memory_failures OPTIONS (ADD page_size '20')").unwrap();
    let all = "SELECT id, created_on FROM time_entries";
    let bad = [("createdOn".to_owned(), "2026-02-31T00:00:00Z".into())].into_iter().collect();
    let status = |status, code: Option<&str>| Action::Status {
        status,
        code: code.map(str::to_owned),
        retry_after: None,
    };
    // All of them in the middle of the rows, with requests under way.
    let sixth = |action| Some(fault(Some("page=6"), action));
    let kinds = [
        ("22012", "SELECT 1 / (150 - row_number() OVER ()) FROM time_entries", None),
        ("HV00M", all, sixth(status(500, None))),
        ("HV004", all, sixth(Action::SetProperties { row: None, set: bad })),
        ("28000", all, sixth(status(401, Some("unknown")))),
        ("57014", all, sixth(Action::Hang)),
    ];
    let fail = |w: &mut Workspace, times: usize| {
        for (code, sql, fault) in &kinds {
            if let Some(fault) = fault {
                w.sandbox.add_fault(fault.clone());
            }
            let timeout = if *code == "57014" { "30ms" } else { "0" };
            w.client.batch_execute(&format!("SET statement_timeout = '{timeout}'")).unwrap();
            for _ in 0..times {
                w.failure(sql).is(code, &[]);
            }
            w.sandbox.clear_faults();
        }
    };
    fail(&mut w, EACH / 10);
    let (pid, before) = held(&mut w);
    fail(&mut w, EACH);
    assert_eq!(Held::beyond(pid, before), None);
    let grown = held(&mut w).1.memory.saturating_sub(before.memory);
    println!("{} failing statements: the backend grew by {grown} kB", EACH * kinds.len());
    assert!(grown < 8 * 1024, "the backend grew by {grown} kB");
}

#[test]
fn very_large_answers_leave_nothing_behind() {
    const ROUNDS: usize = 8;
    let config = Config { scale: 300, ..Config::default() };
    let Some(mut w) = Workspace::imported("memory_large", config) else { return };
    let text = |text: String| {
        fault(
            None,
            Action::Body { text: Some(text), bytes: None, status: None, content_type: None },
        )
    };
    let row = |n: usize, note: &str| {
        format!("{{\"id\":\"00000000-0000-4000-8000-{n:012}\",\"note\":\"{note}\"}}")
    };
    let note = "a note of some length ".repeat(30);
    let many: Vec<String> = (0..60_000).map(|n| row(n, &note)).collect();
    let kinds = [
        ("larger than an answer may be", fault(None, Action::HugeBody { mib: 70 }), "54000"),
        ("no JSON after all", fault(None, Action::HugeBody { mib: 60 }), "HV00M"),
        ("one large value", text(format!("[{}]", row(1, &"long ".repeat(8 << 20)))), ""),
        // Each page is the same.
        ("many rows", text(format!("[{}]", many.join(","))), "HV00M"),
    ];
    w.client.query("SELECT id FROM time_entries", &[]).unwrap();
    let (pid, before) = held(&mut w);
    let mut grown = Vec::new();
    for _ in 0..ROUNDS {
        for (what, fault, expected) in &kinds {
            w.sandbox.add_fault(fault.clone());
            let result = w.client.query_one("SELECT count(note) FROM time_entries", &[]);
            w.sandbox.clear_faults();
            match result {
                Ok(row) => assert_eq!((row.get::<_, i64>(0), *expected), (1, ""), "{what}"),
                Err(error) => assert_eq!(Failure::from(&error).code, *expected, "{what}"),
            }
        }
        // A thread may still be decoding what the statement has not waited for.
        assert_eq!(Held::beyond(pid, before), None);
        grown.push(held(&mut w).1.memory.saturating_sub(before.memory));
    }
    println!(
        "after each {} very large answers, the backend had grown by {grown:?} kB",
        kinds.len()
    );
    assert!(grown.iter().all(|grown| *grown < 8 * 1024), "the backend grew by {grown:?} kB");
}
