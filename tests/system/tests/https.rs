//! Keys travel to whom they belong: over TLS, to a server with the right certificate, and not
//! where an answer points.

use awork_sandbox::{Action, Config, Fault, Sandbox};
use system_tests::Workspace;
use system_tests::roles::{askers, known, server_file};
use system_tests::tls::{Authority, TlsServer};

/// A workspace behind TLS, with an authority's file, whose certificate is for `host`.
fn behind_tls(name: &str, host: &str) -> Option<(Workspace, Authority, TlsServer)> {
    let mut w = Workspace::imported(name, known(&["mine"]))?;
    let authority = Authority::new();
    let server = authority.serve(host, &w.sandbox);
    w.run(&format!(
        "ALTER USER MAPPING FOR CURRENT_USER SERVER {name} OPTIONS (SET api_key 'mine');
         ALTER SERVER {name} OPTIONS (SET api_url '{}')",
        server.api_url("localhost")
    ));
    Some((w, authority, server))
}

/// Lets a server trust the authorities of a file alone.
fn trust(w: &mut Workspace, pem: &str) -> String {
    let name = w.name.clone();
    let path = server_file(&mut w.client, &format!("{name}_authority"), pem, "644");
    let sql = format!("ALTER SERVER {name} OPTIONS (ADD ssl_ca_file '{path}')");
    if w.client.batch_execute(&sql).is_err() {
        w.run(&sql.replace("ADD", "SET"));
    }
    path
}

/// Reads a table in vain: no connection, for this reason, and no request.
#[track_caller]
fn fails(w: &mut Workspace, code: &str, words: &[&str]) {
    let failure = w.failure("SELECT id FROM projects");
    failure.is(code, words);
    assert!(!failure.text.contains("mine"), "{failure:?}");
    let check = format!("SELECT ok, message FROM awork_fdw_check('{}')", w.name);
    match w.client.query_one(&check, &[]) {
        Ok(row) => {
            let message: String = row.get(1);
            assert!(
                !row.get::<_, bool>(0) && words.iter().all(|w| message.contains(w)),
                "{message}"
            );
        }
        Err(error) => system_tests::Failure::from(&error).is(code, words),
    }
    assert!(askers(&w.sandbox).is_empty());
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused() {
    let Some((mut w, authority, _server)) = behind_tls("cred_tls", "localhost") else { return };
    fails(&mut w, "HV00N", &["\"localhost\"", "certificate"]);
    let pem = authority.pem();
    let path = trust(&mut w, &pem);
    assert_eq!(w.asks_for_superuser(), ["mine"]);
    // The file is read anew by the same session.
    server_file(&mut w.client, "cred_tls_authority", &Authority::new().pem(), "644");
    fails(&mut w, "HV00N", &["\"localhost\"", "certificate"]);
    let both = format!("{}{pem}", Authority::new().pem());
    server_file(&mut w.client, "cred_tls_authority", &both, "644");
    assert_eq!(w.asks_for_superuser(), ["mine"]);
    w.run("ALTER SERVER cred_tls OPTIONS (DROP ssl_ca_file)");
    fails(&mut w, "HV00N", &["\"localhost\"", "certificate"]);
    w.run(&format!("ALTER SERVER cred_tls OPTIONS (ADD ssl_ca_file '{path}')"));
    assert_eq!(w.asks_for_superuser(), ["mine"]);
    let check = "SELECT ok FROM awork_fdw_check('cred_tls')";
    assert!(w.client.query_one(check, &[]).unwrap().get::<_, bool>(0));
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    let Some((mut w, authority, _server)) = behind_tls("cred_tls_host", "awork.example") else {
        return;
    };
    trust(&mut w, &authority.pem());
    fails(&mut w, "HV00N", &["\"localhost\"", "certificate", "not valid for name"]);
}

#[test]
fn a_server_without_tls_is_refused_where_the_address_is_one_of_https() {
    let Some(mut w) = Workspace::imported("cred_tls_none", known(&["mine"])) else { return };
    let port = w.sandbox.address().port();
    w.run(&format!(
        "ALTER USER MAPPING FOR CURRENT_USER SERVER cred_tls_none OPTIONS (SET api_key 'mine');
         ALTER SERVER cred_tls_none OPTIONS (SET api_url 'https://localhost:{port}/api/v1')"
    ));
    fails(&mut w, "HV00N", &["\"localhost\""]);
}

#[test]
fn a_certificate_for_an_address_is_good_for_that_alone() {
    let Some((mut w, authority, server)) = behind_tls("cred_tls_address", "127.0.0.1") else {
        return;
    };
    trust(&mut w, &authority.pem());
    fails(&mut w, "HV00N", &["\"localhost\"", "certificate"]);
    let url = server.api_url("127.0.0.1");
    w.run(&format!("ALTER SERVER cred_tls_address OPTIONS (SET api_url '{url}')"));
    assert_eq!(w.asks_for_superuser(), ["mine"]);
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_that_names_the_option() {
    let Some((mut w, authority, _server)) = behind_tls("cred_tls_file", "localhost") else {
        return;
    };
    let path = trust(&mut w, &authority.pem());
    assert_eq!(w.asks_for_superuser(), ["mine"]);
    w.run(&format!("COPY (SELECT 1) TO PROGRAM 'rm \"{path}\" && mkdir \"{path}\"'"));
    fails(&mut w, "22023", &["ssl_ca_file", "regular file"]);
    w.run(&format!("COPY (SELECT 1) TO PROGRAM 'rmdir \"{path}\"'"));
    fails(&mut w, "22023", &["file of option \"ssl_ca_file\" could not be read", "No such file"]);
    w.failure("ALTER SERVER cred_tls_file OPTIONS (SET ssl_ca_file 'ca.pem')")
        .is("22023", &["must be an absolute path"]);
}

#[test]
fn a_file_without_certificates_is_an_error_that_names_the_option() {
    let Some((mut w, authority, _server)) = behind_tls("cred_tls_no_pem", "localhost") else {
        return;
    };
    let pem = authority.pem();
    let broken = pem.replacen("M", "!", 1);
    let cut = &pem[..pem.len() / 2];
    let mut unclear = String::new();
    for text in ["no certificate", "", broken.as_str(), cut] {
        trust(&mut w, text);
        let failure = w.failure("SELECT id FROM projects");
        if !failure.text.contains("ssl_ca_file") {
            unclear += &format!("{text:?}: {failure:?}\n");
        }
        assert!(askers(&w.sandbox).is_empty());
    }
    assert!(unclear.is_empty(), "{unclear}");
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_not_waited_for() {
    let Some((mut w, authority, _server)) = behind_tls("cred_tls_pipe", "localhost") else {
        return;
    };
    let path = trust(&mut w, &authority.pem());
    // Whoever does wait is released in the end.
    w.run(&format!(
        "COPY (SELECT 1) TO PROGRAM 'rm \"{path}\" && mkfifo -m 600 \"{path}\";
             (sleep 15; timeout 1 sh -c \"echo >{path}\") >/dev/null 2>&1 &'"
    ));
    w.run("SET statement_timeout = '10s'");
    fails(&mut w, "22023", &["ssl_ca_file"]);
}

#[test]
fn plain_http_leaves_not_this_machine() {
    let Some(mut w) = Workspace::empty("cred_plain", known(&["mine"])) else { return };
    w.run("SET awork_fdw.allowed_hosts = '*'");
    for host in ["api.awork.com", "10.0.0.1", "localhost.example", "127.0.0.1.example", "[::2]"] {
        for sql in [
            "CREATE SERVER cred_plain_more FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url 'URL')",
            "ALTER SERVER cred_plain OPTIONS (SET api_url 'URL')",
        ] {
            w.failure(&sql.replace("URL", &format!("http://{host}/api/v1")))
                .is("22023", &["must begin with \"https://\"", "no key travels in clear"]);
        }
    }
}

#[test]
fn a_login_goes_over_tls_too() {
    let Some((mut w, authority, _server)) = behind_tls("cred_tls_login", "localhost") else {
        return;
    };
    w.run(
        "ALTER USER MAPPING FOR CURRENT_USER SERVER cred_tls_login
             OPTIONS (DROP api_key, ADD client_id 'awork-sandbox-public',
                 ADD redirect_uri 'http://127.0.0.1:8765/callback')",
    );
    let code = begun(&mut w, "mine");
    let login = format!("SELECT awork_fdw_login('cred_tls_login', '{code}')");
    w.failure(&login).is("HV00N", &["\"localhost\"", "certificate"]);
    assert!(askers(&w.sandbox).is_empty());
    trust(&mut w, &authority.pem());
    w.run(&login);
    assert_eq!(w.asks_for_superuser(), ["mine"]);
}

/// Begins a login; the code for it.
fn begun(w: &mut Workspace, identity: &str) -> String {
    let url = "SELECT awork_fdw_login_url($1)";
    let url: String = w.client.query_one(url, &[&w.name]).unwrap().get(0);
    let (_, challenge) = url.split_once("code_challenge=").expect("a challenge");
    let redirect = "http://127.0.0.1:8765/callback";
    let challenge = challenge.split('&').next();
    w.sandbox.log_in("awork-sandbox-public", identity, redirect, challenge).unwrap()
}

#[test]
fn a_redirect_is_not_followed() {
    let Some(mut w) = Workspace::imported("cred_redirect", known(&["mine"])) else { return };
    let elsewhere = Sandbox::start(Config { seed: 2, ..known(&["mine"]) }).unwrap();
    w.run("ALTER USER MAPPING FOR CURRENT_USER SERVER cred_redirect OPTIONS (SET api_key 'mine')");
    for status in [301, 302, 303, 307, 308] {
        w.sandbox.clear_faults();
        w.sandbox.add_fault(redirect("", &elsewhere, status));
        w.failure("SELECT id FROM projects")
            .is("HV00M", &[&format!("redirect ({status}"), "api_url"]);
        let check = "SELECT ok, message FROM awork_fdw_check('cred_redirect')";
        let check = w.client.query_one(check, &[]).unwrap();
        assert!(!check.get::<_, bool>(0) && check.get::<_, String>(1).contains("redirect"));
        assert_eq!(askers(&w.sandbox), ["mine"]);
        assert!(elsewhere.log().is_empty(), "{status}: {:?}", elsewhere.log());
    }
}

#[test]
fn a_redirect_of_a_login_is_not_followed() {
    let Some(mut w) = Workspace::imported("cred_redirected_login", known(&["mine"])) else {
        return;
    };
    let elsewhere = Sandbox::start(Config { seed: 2, ..known(&["mine"]) }).unwrap();
    w.run(
        "ALTER USER MAPPING FOR CURRENT_USER SERVER cred_redirected_login
             OPTIONS (DROP api_key, ADD client_id 'awork-sandbox-public',
                 ADD redirect_uri 'http://127.0.0.1:8765/callback')",
    );
    for status in [302, 307, 308] {
        let code = begun(&mut w, "mine");
        w.sandbox.add_fault(redirect("/accounts/token", &elsewhere, status));
        let login = format!("SELECT awork_fdw_login('cred_redirected_login', '{code}')");
        w.failure(&login).is("HV00M", &["token"]);
        assert!(elsewhere.log().is_empty(), "{status}: {:?}", elsewhere.log());
        w.sandbox.clear_faults();
    }
}

fn redirect(path: &str, to: &Sandbox, status: u16) -> Fault {
    let location = format!("{}{}", to.api_url(), if path.is_empty() { "/projects" } else { path });
    let action = Action::Redirect { location, status: Some(status) };
    Fault { path: path.into(), query: None, nth: None, first: None, action }
}
