//! What must hold whatever comes: from awork, from a query, from who sets an option. A test runs
//! some hundred inputs, always the same ones; `scripts/fuzz` runs others for minutes.
//!
//! `PROPTEST_CASES` says how many inputs each property gets. With `AWORK_FUZZ_SECONDS` each gets
//! inputs of a new seed until so much time has passed, and says how many they were and how much
//! memory the process has had at the most.

mod bodies;
mod decode;
mod documents;
mod filters;
mod headers;
mod options;
mod pages;
mod redirects;
mod server;
mod times;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// What a property says of one input.
type Verdict = Result<(), TestCaseError>;

/// No input may take longer than this, in debug builds on a busy machine either.
const LONGEST: Duration = Duration::from_secs(10);

/// No timed run may take more memory. The tests of large texts, which may run beside, take 320 MiB.
const MOST_MEMORY: u64 = 512 << 20;

/// Tries a property with `cases` inputs, or as the environment says. Fails with the smallest input
/// found of which it does not hold.
fn hold<S>(name: &str, cases: u32, inputs: S, property: impl Fn(S::Value) -> Verdict)
where
    S: Strategy,
    S::Value: Debug,
{
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let cases = number("PROPTEST_CASES").unwrap_or(cases);
    let time = number("AWORK_FUZZ_SECONDS").map(|seconds| Duration::from_secs(seconds.into()));
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let timed = |input: S::Value| {
        let started = Instant::now();
        property(input)?;
        match started.elapsed() {
            took if took > LONGEST => Err(TestCaseError::fail(format!("took {took:?}"))),
            _ => Ok(()),
        }
    };
    let (started, mut tried) = (Instant::now(), 0_u64);
    loop {
        let mut runner = match time {
            Some(_) => TestRunner::new(config.clone()),
            None => {
                let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
                TestRunner::new_with_rng(config.clone(), random)
            }
        };
        runner.run(&inputs, timed).unwrap_or_else(|failure| panic!("{name}: {failure}"));
        tried += u64::from(cases);
        if time.is_none_or(|time| started.elapsed() >= time) {
            break;
        }
    }
    if time.is_some() {
        let took = started.elapsed().as_secs();
        let most = peak_memory();
        println!("{name}: {tried} inputs in {took} s, {} MiB at the most", most >> 20);
        assert!(most < MOST_MEMORY, "{name}: {most} bytes of memory");
    }
}

/// The most bytes of memory that the process has had.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
