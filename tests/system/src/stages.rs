//! Statements that get no further, each at another stage of asking awork, and a look at what they
//! have under way.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use awork_sandbox::{Action, Config, Fault, LogEntry, Sandbox};
use postgres::Client;
use tokio::net::TcpSocket;
use tokio::runtime::Builder;

use crate::logins::{PUBLIC, REDIRECT, REFRESH, log_in};

/// A statement that gets no further than to this stage.
pub struct Stage {
    /// What is waited for.
    pub name: &'static str,
    /// The statement.
    pub sql: String,
    /// What the statement may fail with, other than its timeout, where its time is limited: a wait
    /// that would be longer is an error at once, which says why.
    pub instead: &'static [&'static str],
    /// Whether it waits for what another session, with the same statement, has asked for.
    pub waits_for_another: bool,
    place: Place,
}

/// Where the statement hangs.
enum Place {
    /// In a sandbox; it has come there once its log is like this.
    Sandbox(Sandbox, fn(&[LogEntry]) -> bool),
    /// Before; so many connections are under way.
    Connections(Box<dyn Fn() -> usize + Send + Sync>),
}

impl Stage {
    /// Forgets what was asked before.
    pub fn begin(&self) {
        if let Place::Sandbox(sandbox, _) = &self.place
            && sandbox.running().is_empty()
        {
            sandbox.clear_log();
        }
    }

    /// Whether the statement has come to its stage.
    pub fn is_reached(&self) -> bool {
        match &self.place {
            Place::Sandbox(sandbox, reached) => reached(&sandbox.log()),
            Place::Connections(open) => open() > 0,
        }
    }

    /// How many requests or connections are under way.
    pub fn under_way(&self) -> usize {
        match &self.place {
            Place::Sandbox(sandbox, _) => sandbox.running().len(),
            Place::Connections(open) => open(),
        }
    }
}

/// One that is asked and not answered.
fn open(log: &[LogEntry], is_it: impl Fn(&LogEntry) -> bool) -> bool {
    log.iter().any(|entry| entry.finished.is_none() && is_it(entry))
}

/// Makes the extension, and a foreign server for each stage.
pub fn stages(client: &mut Client) -> Vec<Stage> {
    client.batch_execute("CREATE EXTENSION awork_fdw").expect("the extension can be made");
    let mut stages = vec![connecting(client), handshake(client), trickle(client)];
    let hang = || Action::Hang;
    let status = || Action::Status { status: 503, code: None, retry_after: None };
    let plain = "SELECT count(created_on) FROM {}.projects";
    type Row = (
        &'static str,
        &'static str,
        &'static str,
        Option<(&'static str, Action)>,
        fn(&[LogEntry]) -> bool,
    );
    let in_sandbox: Vec<Row> = vec![
        ("headers", "", plain, Some(("/projects", hang())), |log| open(log, |_| true)),
        (
            "body",
            "",
            plain,
            Some(("/projects", Action::SlowBody { after: Some(1), ms: 600_000 })),
            |log| open(log, |entry| entry.status == Some(200)),
        ),
        ("back_off", "SET max_retries '10'", plain, Some(("/projects", status())), |log| {
            log.len() >= 3 && !open(log, |_| true)
        }),
        (
            "rate_limit",
            "ADD rate_limit '0.1', ADD page_size '10'",
            "SELECT count(created_on) FROM {}.time_entries",
            None,
            |log| !open(log, |_| true),
        ),
        (
            "decode",
            "",
            // One after the other, so that it takes long.
            "SET enable_async_append = off; SELECT count(description) FROM (
                SELECT description FROM {}.projects UNION ALL SELECT description FROM {}.projects
                UNION ALL SELECT description FROM {}.projects
                UNION ALL SELECT description FROM {}.projects
                UNION ALL SELECT description FROM {}.projects
                UNION ALL SELECT description FROM {}.projects
                UNION ALL SELECT description FROM {}.projects
                UNION ALL SELECT description FROM {}.projects) descriptions",
            Some(("/projects", large_body())),
            |log| log.iter().any(|entry| entry.finished.is_some()),
        ),
        (
            "fan_out",
            "",
            "SELECT count(*) FROM (SELECT id FROM {}.project_task_lists) lists",
            Some(("/projects/", hang())),
            |log| open(log, |entry| entry.path.starts_with("/api/v1/projects/")),
        ),
        (
            "append",
            "",
            "SELECT count(*) FROM (SELECT id FROM {}.projects UNION ALL SELECT id FROM {}.users
                UNION ALL SELECT id FROM {}.tasks) objects",
            Some(("", hang())),
            |log| log.iter().filter(|entry| entry.finished.is_none()).count() >= 3,
        ),
        (
            "lookup_join",
            "",
            "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off;
             SELECT p.name, l.id FROM {}.projects p
             JOIN {}.project_task_lists l ON l.project_id = p.id",
            Some(("/projects/", hang())),
            |log| open(log, |entry| entry.path.starts_with("/api/v1/projects/")),
        ),
        ("analysis", "", "ANALYZE {}.projects", Some(("/projects", hang())), |log| {
            open(log, |_| true)
        }),
        ("server_check", "", "SELECT * FROM awork_fdw_check('{}')", Some(("", hang())), |log| {
            open(log, |_| true)
        }),
        ("drift", "", "SELECT * FROM awork_fdw_drift('{}')", Some(("", hang())), |log| {
            open(log, |_| true)
        }),
        ("other_session", "ADD cache_ttl '60'", plain, Some(("/projects", hang())), |log| {
            open(log, |_| true)
        }),
    ];
    for (name, options, sql, fault, reached) in in_sandbox {
        let sandbox = sandbox();
        server(client, name, &sandbox.api_url(), options);
        if let Some((path, action)) = fault {
            sandbox.add_fault(to(path, None, action));
        }
        stages.push(Stage {
            name,
            sql: sql.replace("{}", name),
            instead: match name {
                "back_off" => &["HV00M"],
                "rate_limit" => &["53400"],
                _ => &[],
            },
            waits_for_another: name == "other_session",
            place: Place::Sandbox(sandbox, reached),
        });
    }
    stages.push(refresh(client));
    stages
}

fn sandbox() -> Sandbox {
    Sandbox::start(Config { scale: 300, ..Config::default() }).expect("the sandbox starts")
}

fn to(path: &str, query: Option<&str>, action: Action) -> Fault {
    let (path, query) = (path.to_owned(), query.map(str::to_owned));
    Fault { path, query, nth: None, first: None, action }
}

/// A server at this address, with every table in a schema of its name.
pub fn server(client: &mut Client, name: &str, api_url: &str, options: &str) {
    let mut sql = format!(
        "CREATE SCHEMA {name};
         CREATE SERVER {name} FOREIGN DATA WRAPPER awork_fdw
             OPTIONS (api_url '{api_url}', max_retries '0');
         CREATE USER MAPPING FOR CURRENT_USER SERVER {name} OPTIONS (api_key 'awork-sandbox-key');
         IMPORT FOREIGN SCHEMA awork
             LIMIT TO (companies, projects, project_task_lists, tasks, time_entries, users)
             FROM SERVER {name} INTO {name};"
    );
    if !options.is_empty() {
        sql += &format!("ALTER SERVER {name} OPTIONS ({options})");
    }
    client.batch_execute(&sql).expect("a server can be made");
}

/// A page whose only row takes a while to decode.
fn large_body() -> Action {
    let text = format!(
        "[{{\"id\":\"00000000-0000-4000-8000-000000000001\",\"description\":\"{}\"}}]",
        "\\u00e4\\n".repeat(7 << 20)
    );
    Action::Body { text: Some(text), bytes: None, status: None, content_type: None }
}

/// A host that neither takes nor refuses connections: those that it has taken are never accepted,
/// and there is no room for more.
fn connecting(client: &mut Client) -> Stage {
    let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
    let listener = runtime.block_on(async {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        socket.listen(1).expect("the port is free").into_std().expect("a listener")
    });
    let address = listener.local_addr().expect("a port");
    let mut taken = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        taken.push(stream);
    }
    server(client, "connect", &format!("http://{address}/api/v1"), "ADD connect_timeout '60'");
    Stage {
        name: "connect",
        sql: "SELECT id FROM connect.projects".into(),
        instead: &[],
        waits_for_another: false,
        place: Place::Connections(Box::new(move || {
            // They fill the host for as long as there is the stage.
            let (_listener, _taken) = (&listener, &taken);
            requested(address)
        })),
    }
}

/// The connections to an address that were asked for and not answered.
fn requested(address: SocketAddr) -> usize {
    const SYN_SENT: &str = "02";
    let port = format!(":{:04X}", address.port());
    let table = fs::read_to_string("/proc/net/tcp").expect("there is a /proc");
    let is_one = |line: &&str| {
        let mut fields = line.split_whitespace().skip(2);
        fields.next().is_some_and(|remote| remote.ends_with(&port))
            && fields.next() == Some(SYN_SENT)
    };
    table.lines().filter(is_one).count()
}

/// A host that accepts connections, reads, and says nothing.
fn handshake(client: &mut Client) -> Stage {
    let talk = |mut stream: TcpStream| {
        let mut bytes = [0; 1024];
        while stream.read(&mut bytes).is_ok_and(|n| n > 0) {}
    };
    hosted(client, "tls", "https", talk)
}

/// A host whose answers have a byte more every few milliseconds, and no end.
fn trickle(client: &mut Client) -> Stage {
    let talk = |mut stream: TcpStream| {
        let _ = stream.read(&mut [0; 1024]);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n[";
        let mut sent = stream.write_all(head.as_bytes());
        while sent.is_ok() {
            thread::sleep(Duration::from_millis(5));
            sent = stream.write_all(b" ");
        }
    };
    hosted(client, "trickle", "http", talk)
}

/// A stage at a host that talks like this over each connection; it is reached once there is one.
fn hosted(client: &mut Client, name: &'static str, scheme: &str, talk: fn(TcpStream)) -> Stage {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("a port");
    let open = Arc::new(AtomicUsize::new(0));
    let counted = open.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let open = counted.clone();
            open.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || {
                talk(stream);
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    server(client, name, &format!("{scheme}://{address}/api/v1"), "ADD connect_timeout '60'");
    Stage {
        name,
        sql: format!("SELECT id FROM {name}.projects"),
        instead: &[],
        waits_for_another: false,
        place: Place::Connections(Box::new(move || open.load(Ordering::SeqCst))),
    }
}

/// A login whose access token has expired, and a token endpoint that never answers. What was sent
/// there is waited for beyond the statement, for no longer than `request_timeout`.
fn refresh(client: &mut Client) -> Stage {
    let sandbox = sandbox();
    let options = format!(
        "ADD client_id '{PUBLIC}', ADD redirect_uri '{REDIRECT}', ADD request_timeout '1.5'"
    );
    server(client, "refresh", &sandbox.api_url(), &options);
    client
        .batch_execute("DROP USER MAPPING FOR CURRENT_USER SERVER refresh")
        .expect("a mapping can be dropped");
    log_in(client, &sandbox, "refresh", "admin");
    client
        .batch_execute("UPDATE awork_fdw_tokens SET access_expires_at = now() - interval '1 s'")
        .expect("a superuser can do that");
    sandbox.add_fault(to("", Some(REFRESH), Action::Hang));
    Stage {
        name: "refresh",
        sql: "SELECT count(created_on) FROM refresh.projects".into(),
        instead: &[],
        waits_for_another: false,
        place: Place::Sandbox(sandbox, |log| open(log, |entry| entry.grant_type.is_some())),
    }
}
