//! Values that are legal JSON and that PostgreSQL cannot or need not hold: rows, or an error of the
//! statement with its SQLSTATE; the session goes on, and its memory comes back.

use awork_sandbox::{Action, Config, Fault};
use system_tests::{Failure, Workspace, backend_memory};

/// Below the 64 MiB that an answer may have.
const LARGE: usize = 60 << 20;

const ID: &str = "6f9619ff-8b86-d011-b42d-00c04fc964ff";

/// Has every list answer with these bytes.
fn answer(w: &Workspace, body: impl Into<Vec<u8>>) {
    w.sandbox.clear_faults();
    let bytes = Some(body.into());
    let action = Action::Body { text: None, bytes, status: None, content_type: None };
    w.sandbox.add_fault(Fault { path: String::new(), query: None, nth: None, first: None, action });
}

/// One project with its id and one more property.
fn project(property: &str) -> Vec<u8> {
    format!("[{{\"id\":\"{ID}\",{property}}}]").into_bytes()
}

fn text(w: &mut Workspace, sql: &str) -> Option<String> {
    w.client.query_one(sql, &[]).unwrap_or_else(|e| panic!("{sql}: {:?}", Failure::from(&e))).get(0)
}

#[test]
fn what_no_text_can_hold_is_an_error_or_null() {
    let Some(mut w) = Workspace::imported("hostile_texts", Config::default()) else { return };
    for escape in ["a\\u0000b", "\\ud83d", "\\ude00\\ud83d", "\\ud83d\\u0041"] {
        answer(&w, project(&format!("\"name\":\"{escape}\"")));
        for column in ["name", "attrs"] {
            let failure = w.failure(&format!("SELECT {column} FROM projects"));
            failure.is("HV004", &[&format!("column \"{column}\""), ID]);
        }
        // Who does not ask for it is not stopped by it.
        assert_eq!(text(&mut w, "SELECT id::text FROM projects").as_deref(), Some(ID));
        let as_null = "ALTER FOREIGN TABLE projects OPTIONS (ADD on_type_mismatch 'null')";
        w.client.batch_execute(as_null).unwrap();
        assert_eq!(text(&mut w, "SELECT name FROM projects"), None);
        let as_error = "ALTER FOREIGN TABLE projects OPTIONS (DROP on_type_mismatch)";
        w.client.batch_execute(as_error).unwrap();
    }
    answer(&w, [&b"[{\"name\":\""[..], b"\xed\xa0\x80\xff", b"\"}]"].concat());
    w.failure("SELECT name FROM projects").is("HV00M", &["malformed answer"]);
    // A whole pair is a character, and of two equal names the last counts.
    answer(&w, project("\"name\":\"first\",\"name\":\"\\ud83d\\ude00\""));
    assert_eq!(text(&mut w, "SELECT name FROM projects").as_deref(), Some("\u{1f600}"));
    let last = text(&mut w, "SELECT attrs ->> 'name' FROM projects");
    assert_eq!(last.as_deref(), Some("\u{1f600}"));
}

#[test]
fn nesting_is_as_deep_as_the_stack_of_the_server_allows() {
    let Some(mut w) = Workspace::imported("hostile_nesting", Config::default()) else { return };
    let nested = |depth: usize| {
        let (open, close) = ("{\"a\":[".repeat(depth / 2), "]}".repeat(depth / 2));
        project(&format!("\"name\":\"n\",\"deep\":{open}null{close}"))
    };
    answer(&w, nested(200));
    let path = "SELECT attrs #>> '{deep,a,0,a,0,a}' IS NOT NULL FROM projects";
    assert!(w.client.query_one(path, &[]).unwrap().get::<_, bool>(0));
    for depth in [100_000, 5_000_000] {
        answer(&w, nested(depth));
        // PostgreSQL's own limit.
        w.failure("SELECT attrs FROM projects").is("54001", &["stack depth"]);
        assert_eq!(text(&mut w, "SELECT name FROM projects").as_deref(), Some("n"));
    }
}

#[test]
fn texts_may_be_as_large_as_an_answer_and_leave_nothing_behind() {
    let Some(mut w) = Workspace::imported("hostile_sizes", Config::default()) else { return };
    answer(&w, project(&format!("\"name\":\"{}\"", "x".repeat(LARGE))));
    let mut after = Vec::new();
    for _ in 0..4 {
        for sql in [
            "SELECT octet_length(name) FROM projects",
            "SELECT octet_length(attrs ->> 'name') FROM projects",
        ] {
            let size: i32 = w.client.query_one(sql, &[]).unwrap().get(0);
            assert_eq!(usize::try_from(size).unwrap(), LARGE);
        }
        after.push(backend_memory(&mut w.client, "VmRSS"));
    }
    let peak = backend_memory(&mut w.client, "VmHWM");
    println!("a text of 60 MiB: {} MiB at the peak, then {after:?} kB", peak / 1024);
    assert!(peak < 600 * 1024, "{peak} kB at the peak");
    assert!(after[3] < after[0] + 32 * 1024, "the backend grows: {after:?} kB");
    // More numbers than a numeric has digits for.
    answer(&w, project(&format!("\"big\":{}", "9".repeat(200_000))));
    w.failure("SELECT attrs FROM projects").is("HV004", &["overflows numeric format", ID]);
    assert_eq!(text(&mut w, "SELECT id::text FROM projects").as_deref(), Some(ID));
}
