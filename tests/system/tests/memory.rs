//! Sums over many rows are right, and the backend holds no more than some pages of them.

use awork_sandbox::Config;
use system_tests::{Workspace, backend_memory};

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

#[test]
fn failures_leave_nothing_behind() {
    let config = Config { scale: 2_000, ..Config::default() };
    let Some(mut w) = Workspace::imported("memory_failures", config) else { return };
    w.client.batch_execute("ALTER SERVER memory_failures OPTIONS (ADD page_size '100')").unwrap();
    let fail = |w: &mut Workspace, times: usize| {
        for _ in 0..times {
            // Fails in the middle of the rows, with requests under way.
            let sql = "SELECT 1 / (700 - row_number() OVER ()) FROM time_entries";
            w.client.query(sql, &[]).unwrap_err();
        }
    };
    fail(&mut w, 50);
    let before = backend_memory(&mut w.client, "VmRSS");
    fail(&mut w, 300);
    let grown = backend_memory(&mut w.client, "VmRSS").saturating_sub(before);
    assert!(grown < 8 * 1024, "300 failing statements grew the backend by {grown} kB");
}
