//! `soak`: many sessions of mixed statements against a sandbox with faults and a rate limit.
//! A statement gives the right rows or an error that belongs to a fault; memory, threads and
//! descriptors stay flat; nothing is left behind. Fails otherwise.
//!
//! [`setup`] makes the two sides, [`questions`] what is asked and its answers, [`faults`] has
//! faults come and go, [`worker`] runs a connection, [`verdict`] judges what a statement came to,
//! and [`figures`] and [`report`] say what it took.
#![forbid(unsafe_code)]

mod faults;
mod figures;
mod questions;
mod report;
mod session;
mod setup;
mod verdict;
mod worker;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use differential::load;
use fastrand::Rng;

use crate::faults::{History, KINDS};
use crate::figures::Record;
use crate::questions::Questions;
use crate::session::{Failure, Session};
use crate::verdict::Tally;
use crate::worker::{Ended, Fate, Run};

/// Many sessions of mixed statements against a sandbox with faults; run by scripts/soak.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long it takes; fractions count.
    #[arg(long)]
    minutes: f64,
    /// What statements, values and faults are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Sessions at a time.
    #[arg(long, default_value_t = 20)]
    connections: usize,
    /// Number of time entries; the other tables follow.
    #[arg(long, default_value_t = 1000)]
    scale: usize,
    /// Requests per second that the sandbox allows.
    #[arg(long, default_value_t = 50)]
    per_second: u32,
    /// Requests per minute that the sandbox allows: 3000 as for awork's largest plan.
    #[arg(long, default_value_t = 3000)]
    per_minute: u32,
    /// Seconds that access tokens live.
    #[arg(long, default_value_t = 5.0)]
    token_seconds: f64,
    /// Leaves a kind of fault out; may be repeated.
    #[arg(long, value_name = "KIND")]
    without: Vec<String>,
    /// Prints the kinds of faults.
    #[arg(long, exclusive = true)]
    list_faults: bool,
    /// Folder of the cluster's socket.
    #[arg(long, env = "AWORK_FDW_TEST_HOST")]
    host: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list_faults {
        KINDS.iter().for_each(|kind| println!("{}", kind.name));
        return ExitCode::SUCCESS;
    }
    let unknown = |name: &&String| KINDS.iter().all(|kind| kind.name != **name);
    if let Some(name) = arguments.without.iter().find(unknown) {
        eprintln!("error: unrecognized fault {name}; see --list-faults");
        return ExitCode::FAILURE;
    }
    let Some(host) = &arguments.host else {
        eprintln!("error: no cluster to test with; scripts/soak starts one");
        return ExitCode::FAILURE;
    };
    match soak(&arguments, host) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("error: the soak could not be run: {failure:?}");
            ExitCode::FAILURE
        }
    }
}

fn soak(arguments: &Arguments, host: &str) -> Result<bool, Failure> {
    let mut superuser = load::connect(host)?;
    let sides = setup::make(
        &mut superuser,
        setup::Settings {
            scale: arguments.scale,
            limits: (arguments.per_second, arguments.per_minute),
            token_lifetime: Duration::from_secs_f64(arguments.token_seconds),
        },
    )?;
    let mut rng = Rng::with_seed(arguments.seed);
    let questions = {
        let mut copy = Session::open(host, "postgres", &sides.local)?;
        Questions::new(&mut copy.client, &sides.schema, &mut rng)?
    };
    let fates: Vec<Fate> = (0..arguments.connections).map(fate).collect();
    for (number, _) in fates.iter().enumerate().filter(|(_, fate)| **fate == Fate::LoggedIn) {
        setup::make_role(&mut superuser, &format!("soak_{number}"))?;
    }
    let postmaster = postmaster(&mut superuser)?;
    println!(
        "soak: {} minutes, seed {}, {} connections, {} statements, scale {}, limits {}/s and {}/min",
        arguments.minutes,
        arguments.seed,
        arguments.connections,
        questions.plain.len(),
        arguments.scale,
        arguments.per_second,
        arguments.per_minute,
    );

    let superuser = Mutex::new(superuser);
    let history = History::default();
    let run = Run {
        host,
        sides: &sides,
        questions: &questions,
        history: &history,
        superuser: &superuser,
        begun: Instant::now(),
        length: Duration::from_secs_f64(arguments.minutes * 60.0),
    };
    let stop = AtomicBool::new(false);
    let mut record = Record { name: "postmaster".into(), samples: Vec::new() };
    let ended: Vec<Ended> = thread::scope(|scope| {
        let workers: Vec<_> = fates
            .iter()
            .enumerate()
            .map(|(number, fate)| {
                let (run, rng) = (&run, rng.fork());
                scope.spawn(move || worker::work(run, number, *fate, rng))
            })
            .collect();
        let faults = rng.fork();
        scope.spawn(|| history.run(&sides.sandbox, &arguments.without, faults, &stop));
        while !workers.iter().all(|worker| worker.is_finished()) {
            record.add(postmaster, run.begun.elapsed());
            thread::sleep(Duration::from_millis(500));
        }
        stop.store(true, Ordering::Relaxed);
        workers.into_iter().map(|w| w.join().expect("no worker panics")).collect()
    });

    // All sessions are there and idle, so that nothing may be under way.
    thread::sleep(Duration::from_secs(2));
    let mut tally = Tally::default();
    let mut records = vec![record];
    let mut sessions = Vec::new();
    for Ended { tally: of_one, mut record, session } in ended {
        tally.add(of_one);
        if let Some(session) = &session
            && !record.samples.is_empty()
        {
            record.add(session.pid, run.begun.elapsed());
            records.push(record);
        }
        sessions.extend(session);
    }
    records[0].add(postmaster, run.begun.elapsed());
    tally.complaints.extend(report::left_behind(&sides.sandbox, &superuser)?);
    let good = report::print(&tally, &records, &history, &sides.sandbox, run.length);
    drop(sessions);
    Ok(good)
}

/// A fifth asks as users who are logged in, and a fifth comes and goes.
fn fate(number: usize) -> Fate {
    match number % 5 {
        3 => Fate::LoggedIn,
        4 => Fate::Comes,
        _ => Fate::Stays,
    }
}

/// The process of the postmaster.
fn postmaster(superuser: &mut postgres::Client) -> Result<i32, Failure> {
    let sql = "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int";
    Ok(superuser.query_one(sql, &[])?.get(0))
}
