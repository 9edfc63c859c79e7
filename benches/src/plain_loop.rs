//! The least that any program has to do: fetch the pages, decode the 13 columns, add up.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use jiff::Timestamp;
use jiff::civil::DateTime;
use reqwest::Client;
use serde::Deserialize;
use uuid::Uuid;

use crate::KEY;
use crate::process::{self, Cost};

/// The columns of `scan::QUERY`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    id: &'a str,
    duration: Option<i64>,
    is_billable: Option<bool>,
    is_billed: Option<bool>,
    project_id: Option<&'a str>,
    task_id: Option<&'a str>,
    user_id: Option<&'a str>,
    type_of_work_id: Option<&'a str>,
    start_date_local: Option<&'a str>,
    created_on: Option<&'a str>,
    updated_on: Option<&'a str>,
    #[serde(borrow)]
    note: Option<Cow<'a, str>>,
    #[serde(borrow)]
    project: Option<Project<'a>>,
}

#[derive(Deserialize)]
struct Project<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
}

pub(crate) fn run(url: &str, concurrency: usize) -> Result<Cost, Box<dyn Error>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let started = Instant::now();
    let (rows, checksum) = runtime.block_on(read(url, concurrency))?;
    Ok(Cost {
        rows,
        checksum,
        wall: started.elapsed().as_secs_f64(),
        cpu: process::cpu("self")?,
        peak_kb: process::peak_kb("self")?,
    })
}

type Sums = Result<(u64, i64), Box<dyn Error + Send + Sync>>;

async fn read(url: &str, concurrency: usize) -> Result<(u64, i64), Box<dyn Error>> {
    let client = Client::builder().tcp_nodelay(true).build()?;
    let page = |number: u64| {
        format!("{url}/timeentries?page={number}&pageSize=1000&orderby=createdOn%20asc,id%20asc")
    };
    let first = client.get(page(1)).bearer_auth(KEY).send().await?.error_for_status()?;
    let total: u64 = first.headers()["aw-totalitems"].to_str()?.parse()?;
    let (mut rows, mut checksum) = decode(&first.bytes().await?).map_err(|e| e.to_string())?;
    let pages = total.div_ceil(1000);
    let next = Arc::new(AtomicU64::new(2));
    let workers: Vec<_> = (0..concurrency)
        .map(|_| {
            let (client, next, url) = (client.clone(), next.clone(), page(0));
            tokio::spawn(async move {
                let (mut rows, mut checksum) = (0, 0);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number > pages {
                        return Sums::Ok((rows, checksum));
                    }
                    let url = url.replace("page=0&", &format!("page={number}&"));
                    let answer = client.get(url).bearer_auth(KEY).send().await?;
                    let (n, sum) = decode(&answer.error_for_status()?.bytes().await?)?;
                    rows += n;
                    checksum += sum;
                }
            })
        })
        .collect();
    for worker in workers {
        let (n, sum) = worker.await?.map_err(|e| e.to_string())?;
        rows += n;
        checksum += sum;
    }
    Ok((rows, checksum))
}

fn decode(body: &[u8]) -> Sums {
    let entries: Vec<Entry<'_>> = serde_json::from_slice(body)?;
    let mut checksum = 0;
    for entry in &entries {
        checksum += entry.duration.unwrap_or(0);
        for id in
            [Some(entry.id), entry.project_id, entry.task_id, entry.user_id, entry.type_of_work_id]
                .into_iter()
                .flatten()
        {
            std::hint::black_box(Uuid::try_parse(id)?);
        }
        for instant in [entry.created_on, entry.updated_on].into_iter().flatten() {
            std::hint::black_box(instant.parse::<Timestamp>()?);
        }
        if let Some(local) = entry.start_date_local {
            std::hint::black_box(local.parse::<DateTime>()?);
        }
        std::hint::black_box((entry.is_billable, entry.is_billed, &entry.note));
        std::hint::black_box(entry.project.as_ref().and_then(|p| p.name.as_ref()));
    }
    Ok((entries.len() as u64, checksum))
}
