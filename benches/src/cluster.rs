//! The cluster with the wrapper: foreign servers over sandboxes, sessions, and what a statement
//! costs in one.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use postgres::{Client, Config, NoTls, Row};

use crate::process::{self, Cost};
use crate::sandbox::KEY;

/// A running cluster.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    /// The folder of its socket.
    socket: PathBuf,
}

impl Cluster {
    pub(crate) fn new(socket: &Path) -> Result<Cluster, Box<dyn Error>> {
        let cluster = Cluster { socket: socket.to_owned() };
        cluster.connect()?.batch_execute("CREATE EXTENSION IF NOT EXISTS awork_fdw")?;
        Ok(cluster)
    }

    fn connect(&self) -> Result<Client, postgres::Error> {
        let mut config = Config::new();
        config.host_path(&self.socket).user("postgres").dbname("postgres").connect(NoTls)
    }

    /// Makes the server `name` over a sandbox, and the schema `name` with the tables that the
    /// workloads read. `options` are further server options, as `page_size '250'`.
    pub(crate) fn import(
        &self,
        name: &str,
        url: &str,
        concurrency: usize,
        options: &str,
    ) -> Result<(), postgres::Error> {
        let options = if options.is_empty() { String::new() } else { format!(", {options}") };
        self.connect()?.batch_execute(&format!(
            "SET client_min_messages = error;
             DROP SCHEMA IF EXISTS {name} CASCADE;
             DROP SERVER IF EXISTS {name} CASCADE;
             CREATE SCHEMA {name};
             CREATE SERVER {name} FOREIGN DATA WRAPPER awork_fdw
                 OPTIONS (api_url '{url}', max_concurrency '{concurrency}'{options});
             CREATE USER MAPPING FOR PUBLIC SERVER {name} OPTIONS (api_key '{KEY}');
             IMPORT FOREIGN SCHEMA awork LIMIT TO (time_entries, projects, project_members)
                 FROM SERVER {name} INTO {name};"
        ))
    }

    /// A new session that finds the tables of the schema `name`.
    pub(crate) fn session(&self, name: &str) -> Result<Session, Box<dyn Error>> {
        let started = Instant::now();
        let mut client = self.connect()?;
        let connecting = started.elapsed().as_secs_f64();
        client.batch_execute(&format!("SET search_path = {name}, public"))?;
        let pid = client.query_one("SELECT pg_backend_pid()", &[])?.get::<_, i32>(0);
        Ok(Session { client, pid: pid.try_into()?, connecting })
    }
}

/// A session of one workload.
pub(crate) struct Session {
    client: Client,
    pid: u32,
    /// Seconds that connecting took.
    pub(crate) connecting: f64,
}

impl Session {
    /// Runs statements without a result.
    pub(crate) fn run(&mut self, sql: &str) -> Result<(), postgres::Error> {
        self.client.batch_execute(sql)
    }

    /// Runs a query of one row; returns it, and the seconds that it took.
    pub(crate) fn time(&mut self, sql: &str) -> Result<(f64, Row), postgres::Error> {
        let started = Instant::now();
        let row = self.client.query_one(sql, &[])?;
        Ok((started.elapsed().as_secs_f64(), row))
    }

    /// Runs a query whose first columns are the number of rows and the sum of their durations;
    /// returns its cost.
    pub(crate) fn measure(&mut self, sql: &str) -> Result<Cost, Box<dyn Error>> {
        let cpu = process::cluster_cpu(self.pid)?;
        let main_cpu = process::main_thread_cpu(self.pid)?;
        let (wall, row) = self.time(sql)?;
        Ok(Cost {
            rows: row.try_get::<_, i64>(0)?.try_into()?,
            checksum: row.try_get(1)?,
            wall,
            cpu: process::cluster_cpu(self.pid)? - cpu,
            main_cpu: process::main_thread_cpu(self.pid)? - main_cpu,
            peak_kb: process::memory_kb(self.pid, "VmHWM")?,
        })
    }
}
