//! `scripts/login`, run as a person would run it, with a browser that follows the address.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use awork_sandbox::{Config, OAuth};
use system_tests::Workspace;

const BROWSER: &str = "#!/usr/bin/env python3
import sys, urllib.request
urllib.request.urlopen(sys.argv[1]).read()
";

#[test]
fn a_person_logs_in_through_the_browser() {
    let oauth = OAuth { login: Some("limited".into()), ..OAuth::default() };
    let config = Config { oauth, ..Config::default() };
    let Some(mut w) = Workspace::empty("login_script", config) else { return };
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: scripts/login needs python3");
        return;
    }
    w.client
        .batch_execute(
            "DROP USER MAPPING FOR CURRENT_USER SERVER login_script;
             ALTER SERVER login_script OPTIONS (ADD client_id 'awork-sandbox-public',
                 ADD redirect_uri 'http://localhost:18765/callback');",
        )
        .unwrap();
    let browser = std::env::temp_dir().join(format!("awork-browser-{}", std::process::id()));
    std::fs::write(&browser, BROWSER).unwrap();
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let host = std::env::var("AWORK_FDW_TEST_HOST").unwrap();
    let outcome = Command::new(repository.join("scripts/login"))
        .args(["-h", &host, "-U", "postgres", "-d", "postgres", "login_script"])
        .env("BROWSER", &browser)
        .output()
        .unwrap();
    std::fs::remove_file(&browser).unwrap();
    let said = String::from_utf8_lossy(&outcome.stdout);
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
    assert!(said.starts_with("logged in to workspace \""), "{said}");
    let row = w
        .client
        .query_one("SELECT role, needs_login FROM awork_fdw_logins WHERE server = $1", &[&w.name])
        .unwrap();
    assert_eq!((row.get::<_, String>(0), row.get::<_, bool>(1)), ("postgres".into(), false));
}
