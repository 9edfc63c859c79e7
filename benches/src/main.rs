//! Measures a full scan of time entries through PostgreSQL, beside a plain loop that fetches
//! the same pages and decodes the same 13 columns. scripts/bench sets the stage.
#![forbid(unsafe_code)]

mod plain_loop;
mod process;
mod scan;

use std::error::Error;
use std::process::Command;

use clap::{Parser, Subcommand};

use process::Cost;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: What,
}

#[derive(Subcommand)]
enum What {
    /// Both, one after the other, several times; prints a table.
    Compare {
        /// Base of version 1 of the API.
        #[arg(long)]
        url: String,
        /// Folder of PostgreSQL's socket.
        #[arg(long)]
        host: String,
        /// Pages in flight, of both.
        #[arg(long, default_value_t = 4)]
        concurrency: usize,
        /// How often each is measured; the median counts.
        #[arg(long, default_value_t = 3)]
        runs: usize,
    },
    /// The plain loop once; prints its cost.
    Loop {
        #[arg(long)]
        url: String,
        #[arg(long)]
        concurrency: usize,
    },
}

/// The key of the sandbox.
const KEY: &str = "awork-sandbox-key";

fn main() -> Result<(), Box<dyn Error>> {
    match Arguments::parse().command {
        What::Loop { url, concurrency } => {
            println!("{}", serde_json::to_string(&plain_loop::run(&url, concurrency)?)?);
        }
        What::Compare { url, host, concurrency, runs } => {
            let mut loops = Vec::new();
            let mut scans = Vec::new();
            for _ in 0..runs {
                // A process of its own, so that its memory is its own too.
                let output = Command::new(std::env::current_exe()?)
                    .args(["loop", "--url", &url, "--concurrency", &concurrency.to_string()])
                    .output()?;
                if !output.status.success() {
                    return Err(String::from_utf8_lossy(&output.stderr).into());
                }
                loops.push(serde_json::from_slice::<Cost>(&output.stdout)?);
                scans.push(scan::run(&host, &url, concurrency)?);
            }
            let (plain, scan) = (Cost::median(loops), Cost::median(scans));
            println!(
                "{:<22} {:>10} {:>8} {:>10} {:>16} {:>10}",
                "full scan, 13 columns", "rows", "wall s", "rows/s", "CPU s/100k rows", "peak MB"
            );
            for (name, cost) in [("plain Rust loop", &plain), ("awork_fdw", &scan)] {
                println!(
                    "{name:<22} {:>10} {:>8.2} {:>10.0} {:>16.3} {:>10.1}",
                    cost.rows,
                    cost.wall,
                    cost.rows as f64 / cost.wall,
                    cost.cpu * 100_000.0 / cost.rows as f64,
                    cost.peak_kb as f64 / 1024.0
                );
            }
            println!(
                "{:<22} {:>10} {:>8.2} {:>10} {:>16.2} {:>10.2}",
                "ratio",
                "",
                scan.wall / plain.wall,
                "",
                scan.cpu / plain.cpu,
                scan.peak_kb as f64 / plain.peak_kb as f64
            );
            if plain.checksum != scan.checksum || plain.rows != scan.rows {
                return Err(format!("the answers differ: {plain:?} and {scan:?}").into());
            }
        }
    }
    Ok(())
}
