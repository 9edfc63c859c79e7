//! Measures the wrapper through PostgreSQL beside the least that any program has to do for the
//! same answers. scripts/bench sets the stage.
#![forbid(unsafe_code)]

mod cluster;
mod plain;
mod process;
mod report;
mod sandbox;
mod workloads;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use cluster::Cluster;
use plain::Task;
use report::Report;
use workloads::{Stage, Workload};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: What,
}

#[derive(Subcommand)]
enum What {
    /// The workloads, each with both contenders in turns; prints a table.
    Run(Run),
    /// One task of the plain program in this process; prints its cost as JSON.
    Plain {
        /// Base of version 1 of the API.
        #[arg(long)]
        url: String,
        /// Requests in flight.
        #[arg(long)]
        concurrency: usize,
        /// What is done, as JSON.
        #[arg(long, value_parser = |text: &str| serde_json::from_str::<Task>(text))]
        task: Task,
    },
}

#[derive(clap::Args)]
struct Run {
    /// The sandbox's program.
    #[arg(long)]
    sandbox: PathBuf,
    /// Folder of the socket of a cluster with the wrapper.
    #[arg(long)]
    host: PathBuf,
    /// The same of one that preloads the library.
    #[arg(long)]
    preloaded_host: Option<PathBuf>,
    /// Time entries of the usual sandbox; the small one has a tenth, the large one ten times.
    #[arg(long, default_value_t = 100_000)]
    scale: usize,
    /// Milliseconds that the sandbox waits.
    #[arg(long, default_value_t = 50)]
    latency_ms: u64,
    /// Pages in flight, of both contenders.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=32))]
    concurrency: u8,
    /// How often each scan is measured; the median counts.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u8).range(1..))]
    runs: u8,
    /// Leaves the large sandbox out.
    #[arg(long)]
    quick: bool,
    /// Reads the large sandbox under the rate limit as well.
    #[arg(long)]
    full: bool,
    /// Only this workload; may be repeated.
    #[arg(long)]
    only: Vec<Workload>,
    /// Fails where a goal is missed.
    #[arg(long)]
    check: bool,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    match Arguments::parse().command {
        What::Plain { url, concurrency, task } => {
            println!("{}", serde_json::to_string(&plain::run(&task, &url, concurrency)?)?);
            Ok(ExitCode::SUCCESS)
        }
        What::Run(run) => run.all(),
    }
}

impl Run {
    fn all(self) -> Result<ExitCode, Box<dyn Error>> {
        let preloaded = self.preloaded_host.as_deref().map(Cluster::new).transpose()?;
        let stage = Stage {
            sandbox: self.sandbox,
            cluster: Cluster::new(&self.host)?,
            preloaded,
            scale: self.scale,
            latency_ms: self.latency_ms,
            concurrency: self.concurrency.into(),
            runs: self.runs.into(),
            quick: self.quick,
            full: self.full,
        };
        let mut report = Report::default();
        for workload in Workload::value_variants() {
            if self.only.is_empty() || self.only.contains(workload) {
                workload.measure(&stage, &mut report);
            }
        }
        println!("{report}");
        let misses = report.misses();
        println!("goals missed or not measured: {misses}");
        Ok(if self.check && misses > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
