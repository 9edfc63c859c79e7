//! Clusters of one's own, for what the one of scripts/test cannot be used for: other settings,
//! standbys, crashes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use postgres::{Client, Config, Error, NoTls};

use crate::connect;

/// A cluster with the extension's files; it stops and is removed when dropped.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
}

impl Cluster {
    /// A new cluster that runs; none where no cluster was started for tests. The settings are
    /// lines of postgresql.conf.
    pub fn new(name: &str, settings: &str) -> Option<Self> {
        let cluster = Self::folder(name)?;
        let data = cluster.data();
        cluster.run(
            "initdb",
            &["-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8"],
            &data,
        );
        cluster.configure(&format!(
            "listen_addresses = ''\nfsync = off\nshared_buffers = 32MB\ntimezone = 'UTC'\n\
             lc_messages = 'C'\n{settings}"
        ));
        cluster.start();
        Some(cluster)
    }

    /// A hot standby of this cluster that runs.
    pub fn standby(&self, name: &str) -> Self {
        let standby = Self::folder(name).expect("there is a cluster");
        let host = self.folder.to_str().expect("a path in UTF-8");
        let arguments = ["-R", "-h", host, "-U", "postgres", "--checkpoint=fast", "--no-sync"];
        standby.run("pg_basebackup", &arguments, &standby.data());
        standby.configure("");
        standby.start();
        standby
    }

    fn folder(name: &str) -> Option<Self> {
        let mut client = connect()?;
        let programs: String = client
            .query_one("SELECT setting FROM pg_config WHERE name = 'BINDIR'", &[])
            .expect("the cluster knows its programs")
            .get(0);
        let parent = std::env::var("AWORK_FDW_TEST_HOST").expect("there is a cluster");
        let cluster = Self { programs: programs.into(), folder: Path::new(&parent).join(name) };
        cluster.remove();
        let made = cluster.command("mkdir", &["-m", "700"]).arg(&cluster.folder).status();
        assert!(made.expect("mkdir runs").success());
        Some(cluster)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// A program as a user who may run PostgreSQL: not root.
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        let mut command = if is_root {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--", program]);
            command
        } else {
            Command::new(program)
        };
        // A server has no such variable; with it, pgrx adds stack traces to errors.
        command.args(arguments).current_dir("/").env_remove("RUST_BACKTRACE");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn run(&self, program: &str, arguments: &[&str], data: &Path) {
        let program = self.programs.join(program);
        let program = program.to_str().expect("a path in UTF-8");
        let output = self.command(program, arguments).arg("-D").arg(data).output();
        let output = output.expect("the program runs");
        assert!(output.status.success(), "{program}: {output:?}\n{}", self.log());
    }

    /// Adds lines of postgresql.conf, which count from the next start on.
    pub fn configure(&self, settings: &str) {
        let path = self.data().join("postgresql.conf");
        let mut text = fs::read_to_string(&path).expect("the cluster has settings");
        let folder = self.folder.display();
        text += &format!("\nunix_socket_directories = '{folder}'\n{settings}\n");
        fs::write(&path, text).expect("settings can be written");
    }

    /// Starts it, and waits until it takes sessions.
    pub fn start(&self) {
        let log = self.log_file();
        let log = log.to_str().expect("a path in UTF-8");
        self.run("pg_ctl", &["start", "-w", "-t", "120", "-l", log], &self.data());
    }

    /// Stops it by a mode of pg_ctl: `fast`, or `immediate`, which is a crash.
    pub fn stop(&self, mode: &str) {
        self.run("pg_ctl", &["stop", "-w", "-t", "120", "-m", mode], &self.data());
    }

    /// Has it stop by a mode of pg_ctl, and does not wait for that.
    pub fn begin_to_stop(&self, mode: &str) {
        self.run("pg_ctl", &["stop", "-W", "-m", mode], &self.data());
    }

    /// A superuser's session.
    pub fn connect(&self) -> Client {
        let mut client = self.try_connect().expect("the cluster takes sessions");
        client.batch_execute("SET client_min_messages = error").expect("a setting can be set");
        client
    }

    /// A superuser's session, if the cluster takes one.
    pub fn try_connect(&self) -> Result<Client, Error> {
        let mut connection = Config::new();
        connection.host_path(&self.folder).user("postgres").dbname("postgres");
        connection.connect_timeout(Duration::from_secs(30));
        connection.connect(NoTls)
    }

    /// Has psql run a statement as a superuser, in a session of this name. What it prints is of no
    /// interest.
    pub fn psql(&self, name: &str, sql: &str) -> Child {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["-X", "-q", "-U", "postgres", "-d", "postgres", "-c", sql, "-h"]);
        command
            .arg(&self.folder)
            .env("PGAPPNAME", name)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().expect("psql runs")
    }

    /// The process of the postmaster, or of the last one.
    pub fn postmaster(&self) -> i32 {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).expect("it was started");
        file.lines().next().and_then(|pid| pid.parse().ok()).expect("a number")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("postgresql.log")
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Waits until a standby has all that this cluster has now.
    pub fn wait_for(&self, standby: &Self) {
        let sql = "SELECT pg_current_wal_insert_lsn()::text";
        let there: String = self.connect().query_one(sql, &[]).expect("a position").get(0);
        let mut client = standby.connect();
        let sql = format!("SELECT pg_last_wal_replay_lsn() >= '{there}'");
        let deadline = Instant::now() + Duration::from_secs(120);
        // What is not flushed yet, the WAL writer flushes in a moment.
        while !client.query_one(&sql, &[]).expect("a position").get::<_, bool>(0) {
            assert!(Instant::now() < deadline, "the standby lags behind: {}", standby.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn remove(&self) {
        if self.data().join("postmaster.pid").exists() {
            let program = self.programs.join("pg_ctl");
            let program = program.to_str().unwrap_or_default();
            let stop = ["stop", "-w", "-m", "immediate"];
            let _ = self.command(program, &stop).arg("-D").arg(self.data()).status();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.remove();
    }
}
