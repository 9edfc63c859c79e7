//! All pages of the time entries: the first one for their number, then the others over as many
//! connections as may be in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::Client;

use super::{BoxError, Columns, Sums};
use crate::sandbox::KEY;

pub(crate) async fn read(url: &str, concurrency: usize, columns: Columns) -> Sums {
    let client = Client::builder().tcp_nodelay(true).build()?;
    let first = fetch(&client, url, 1).await?;
    let total: u64 = first.headers()["aw-totalitems"].to_str()?.parse()?;
    let (mut rows, mut checksum) = columns.decode(&first.bytes().await?)?;
    let pages = total.div_ceil(1000);
    let next = Arc::new(AtomicU64::new(2));
    let workers: Vec<_> = (0..concurrency)
        .map(|_| {
            let (client, next, url) = (client.clone(), Arc::clone(&next), url.to_owned());
            tokio::spawn(async move {
                let (mut rows, mut checksum) = (0, 0);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number > pages {
                        return Sums::Ok((rows, checksum));
                    }
                    let body = fetch(&client, &url, number).await?.bytes().await?;
                    let (count, sum) = columns.decode(&body)?;
                    rows += count;
                    checksum += sum;
                }
            })
        })
        .collect();
    for worker in workers {
        let (count, sum) = worker.await??;
        rows += count;
        checksum += sum;
    }
    Ok((rows, checksum))
}

async fn fetch(client: &Client, url: &str, page: u64) -> Result<reqwest::Response, BoxError> {
    let url =
        format!("{url}/timeentries?page={page}&pageSize=1000&orderby=createdOn%20asc,id%20asc");
    Ok(client.get(url).bearer_auth(KEY).send().await?.error_for_status()?)
}
