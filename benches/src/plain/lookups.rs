//! One request for each project's members, as many at a time as may be in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use reqwest::Client;
use serde::Deserialize;

use super::{BoxError, Sums};
use crate::sandbox::KEY;

#[derive(Deserialize)]
struct Identified {
    id: String,
}

/// Reads the members of every project. The time starts where the projects are known.
pub(crate) async fn read(url: &str, concurrency: usize) -> Result<(Instant, (u64, i64)), BoxError> {
    let client = Client::builder().tcp_nodelay(true).build()?;
    let mut projects = Vec::new();
    for page in 1.. {
        let url = format!("{url}/projects?page={page}&pageSize=1000&orderby=id");
        let answer = client.get(url).bearer_auth(KEY).send().await?.error_for_status()?;
        let rows: Vec<Identified> = serde_json::from_slice(&answer.bytes().await?)?;
        if rows.is_empty() {
            break;
        }
        projects.extend(rows.into_iter().map(|row| row.id));
    }
    let (projects, next) = (Arc::new(projects), Arc::new(AtomicUsize::new(0)));
    let started = Instant::now();
    let workers: Vec<_> = (0..concurrency)
        .map(|_| {
            let (client, next, url) = (client.clone(), Arc::clone(&next), url.to_owned());
            let projects = Arc::clone(&projects);
            tokio::spawn(async move {
                let mut rows = 0;
                while let Some(project) = projects.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let url = format!("{url}/projects/{project}/members");
                    let answer = client.get(url).bearer_auth(KEY).send().await?;
                    let body = answer.error_for_status()?.bytes().await?;
                    rows += serde_json::from_slice::<Vec<Identified>>(&body)?.len() as u64;
                }
                Sums::Ok((rows, 0))
            })
        })
        .collect();
    let mut rows = 0;
    for worker in workers {
        rows += worker.await??.0;
    }
    Ok((started, (rows, projects.len() as i64)))
}
