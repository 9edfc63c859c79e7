//! `differential`: runs generated queries in every mode, prints what differs, and fails if
//! anything does.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use clap::Parser;
use differential::ast::Query;
use differential::compare::{Difference, Outcome, Report};
use differential::load::{self, Sides};
use differential::modes::{self, Mode};
use differential::reduce::reduce;
use differential::run::Sessions;
use differential::{generate, render};
use postgres::Error;

/// Runs generated queries over the foreign tables and over a full copy; they must agree.
#[derive(Debug, Parser)]
struct Arguments {
    /// Queries per mode.
    #[arg(long, default_value_t = 500)]
    queries: u64,
    /// What the queries are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only the mode of this name; may be repeated.
    #[arg(long)]
    mode: Vec<String>,
    /// Folder of the cluster's socket.
    #[arg(long, env = "AWORK_FDW_TEST_HOST")]
    host: Option<String>,
    /// Number of time entries; the other tables follow.
    #[arg(long, default_value_t = 600)]
    scale: usize,
    /// Modes that run at a time.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Prints the names of the modes.
    #[arg(long)]
    list_modes: bool,
    /// Runs only the query of this index, and prints it and both results.
    #[arg(long)]
    one: Option<u64>,
    /// Prints the queries that fail on both sides, and why.
    #[arg(long)]
    errors: bool,
}

/// After so many differences a mode is given up.
const ENOUGH: u64 = 5;
/// A query that takes longer on the foreign side is named.
const SLOW: f64 = 3.0;
/// Each mode takes its queries from another stretch of the indexes.
const STRETCH: u64 = 1_000_000;

/// What a mode came to.
#[derive(Debug, Default)]
struct Tally {
    queries: u64,
    mismatches: u64,
    /// Queries with rows.
    with_rows: u64,
    rows: usize,
    /// Queries that fail on both sides in the same way.
    errors: u64,
    /// Queries that a side did not finish in time.
    timeouts: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let all = modes::modes();
    if arguments.list_modes {
        all.iter().for_each(|mode| println!("{}", mode.name));
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = arguments.mode.iter().find(|name| all.iter().all(|m| m.name != **name)) {
        eprintln!("error: unrecognized mode {unknown}; see --list-modes");
        return ExitCode::FAILURE;
    }
    let Some(host) = &arguments.host else {
        eprintln!("error: no cluster to test with; scripts/test differential starts one");
        return ExitCode::FAILURE;
    };
    let chosen = |mode: &Mode| arguments.mode.is_empty() || arguments.mode.contains(&mode.name);
    let numbered = (0..).zip(all).filter(|(_, mode)| chosen(mode));
    let modes: Mutex<VecDeque<(u64, Mode)>> = Mutex::new(numbered.collect());
    println!("differential: seed {}, scale {}", arguments.seed, arguments.scale);
    let work = || {
        let mut good = true;
        loop {
            let next = modes.lock().expect("no thread panics with it").pop_front();
            let Some((number, mode)) = next else { return good };
            good &= match test(&arguments, host, number * STRETCH, &mode) {
                Ok(tally) => tally.mismatches == 0,
                Err(error) => {
                    println!("{}: the connection failed: {error:?}", mode.name);
                    false
                }
            };
        }
    };
    let good = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..arguments.threads.max(1)).map(|_| scope.spawn(work)).collect();
        // All are waited for, so that every line is printed.
        let results: Vec<bool> = threads.into_iter().map(|t| t.join().unwrap_or(false)).collect();
        results.into_iter().all(|good| good)
    });
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn test(arguments: &Arguments, host: &str, start: u64, mode: &Mode) -> Result<Tally, Error> {
    let started = Instant::now();
    let mut client = load::connect(host)?;
    let sides = load::load(&mut client, mode, modes::config(mode, arguments.scale))?;
    let mut sessions = Sessions::open(host, &sides)?;
    let mut tally = Tally::default();
    let indexes = match arguments.one {
        Some(index) => index..index + 1,
        None => start..start + arguments.queries,
    };
    for index in indexes {
        run(arguments, mode, &sides, &mut sessions, index, &mut tally)?;
        if tally.mismatches >= ENOUGH {
            println!("{}: given up after {ENOUGH} mismatches", mode.name);
            break;
        }
    }
    drop(sessions);
    load::unload(&mut client, &sides)?;
    println!(
        "{}: {} queries, {} mismatches, {:.1} s; {} rows, {:.0} % of queries with rows; \
         {} errors on both sides, {} timeouts",
        mode.name,
        tally.queries,
        tally.mismatches,
        started.elapsed().as_secs_f64(),
        tally.rows,
        tally.with_rows as f64 * 100.0 / tally.queries.max(1) as f64,
        tally.errors,
        tally.timeouts,
    );
    Ok(tally)
}

/// Runs one query and counts what came of it.
fn run(
    arguments: &Arguments,
    mode: &Mode,
    sides: &Sides,
    sessions: &mut Sessions,
    index: u64,
    tally: &mut Tally,
) -> Result<(), Error> {
    let query = generate::query(&sides.schema, arguments.seed, index);
    let started = Instant::now();
    let pair = sessions.run(&query)?;
    let seconds = started.elapsed().as_secs_f64();
    if index.is_multiple_of(50) {
        sides.sandbox.clear_log();
    }
    tally.queries += 1;
    tally.rows += pair.local.rows();
    tally.with_rows += u64::from(pair.local.rows() > 0);
    tally.timeouts += u64::from(pair.is_too_slow());
    if let Outcome::Error(code, message) = &pair.local
        && pair.remote.sqlstate() == Some(code)
    {
        tally.errors += 1;
        if arguments.errors {
            println!("{}: query {index}: {code} {message}", mode.name);
        }
    }
    if seconds > SLOW {
        println!("{}: query {index} took {seconds:.1} s", mode.name);
    }
    if arguments.one.is_some() {
        let report = Report { remote: &pair.remote, local: &pair.local };
        println!("{};\n\n{report}\n{}\n", render::script(&query), sessions.explain(&query));
    }
    if let Some(difference) = pair.difference() {
        tally.mismatches += 1;
        explain(arguments, mode, sessions, index, query, difference)?;
    }
    Ok(())
}

/// Prints a query on which the sides differ, and its smallest version.
fn explain(
    arguments: &Arguments,
    mode: &Mode,
    sessions: &mut Sessions,
    index: u64,
    query: Query,
    difference: Difference,
) -> Result<(), Error> {
    let original = render::script(&query);
    let reduced = reduce(query, |smaller| {
        sessions.run(smaller).is_ok_and(|pair| pair.difference() == Some(difference))
    });
    let pair = sessions.run(&reduced)?;
    println!(
        "MISMATCH ({difference:?}) in mode {0}, query {index}: \
         --mode {0} --seed {1} --scale {2} --one {index}\n\
         -- as drawn\n{original};\n-- reduced\n{3};\n{4}-- plan of the foreign side\n{5}\n",
        mode.name,
        arguments.seed,
        arguments.scale,
        render::script(&reduced),
        Report { remote: &pair.remote, local: &pair.local },
        sessions.explain(&reduced),
    );
    Ok(())
}
