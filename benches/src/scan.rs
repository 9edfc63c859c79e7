//! The same through PostgreSQL, in a fresh session.

use std::error::Error;
use std::time::Instant;

use postgres::{Config, NoTls};

use crate::KEY;
use crate::process::{self, Cost};

/// Thirteen columns, each needed for the answer.
const QUERY: &str = "
    SELECT count(id), sum(duration), count(*) FILTER (WHERE is_billable),
           count(*) FILTER (WHERE is_billed), count(project_id), count(task_id), count(user_id),
           count(type_of_work_id), max(start_date_local), max(created_on), max(updated_on),
           sum(length(note)), max(project_name)
    FROM bench.time_entries";

pub(crate) fn run(host: &str, url: &str, concurrency: usize) -> Result<Cost, Box<dyn Error>> {
    let connect =
        || Config::new().host_path(host).user("postgres").dbname("postgres").connect(NoTls);
    connect()?.batch_execute(&format!(
        "SET client_min_messages = error;
         CREATE EXTENSION IF NOT EXISTS awork_fdw;
         DROP SERVER IF EXISTS bench CASCADE;
         CREATE SCHEMA IF NOT EXISTS bench;
         CREATE SERVER bench FOREIGN DATA WRAPPER awork_fdw
             OPTIONS (api_url '{url}', api_key '{KEY}', max_concurrency '{concurrency}');
         IMPORT FOREIGN SCHEMA awork LIMIT TO (time_entries) FROM SERVER bench INTO bench;"
    ))?;
    let mut session = connect()?;
    let pid = session.query_one("SELECT pg_backend_pid()", &[])?.get::<_, i32>(0).to_string();
    let cpu_before = process::cpu(&pid)?;
    let started = Instant::now();
    let row = session.query_one(QUERY, &[])?;
    let wall = started.elapsed().as_secs_f64();
    Ok(Cost {
        rows: row.get::<_, i64>(0) as u64,
        checksum: row.get(1),
        wall,
        cpu: process::cpu(&pid)? - cpu_before,
        peak_kb: process::peak_kb(&pid)?,
    })
}
