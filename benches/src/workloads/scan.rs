//! Full scans: wall time, processor time and memory, and how they grow with the rows.

use std::error::Error;
use std::time::Instant;

use super::{Stage, agree, short};
use crate::plain::{Columns, Task};
use crate::process::Cost;
use crate::report::{Report, Spread};
use crate::sandbox::Sandbox;

/// The most memory that a backend may take, in MB.
const MEMORY_MB: f64 = 64.0;
/// What the sandbox may take for 100,000 rows, in seconds of processor time.
const SANDBOX_CPU: f64 = 0.2;

/// Costs of both contenders, and of the sandbox for each run of the limit.
#[derive(Default)]
struct Costs {
    plain: Vec<Cost>,
    ours: Vec<Cost>,
    sandbox: Vec<f64>,
}

impl Costs {
    fn plain(&self, figure: impl Fn(&Cost) -> f64) -> Spread {
        Spread::of(self.plain.iter().map(figure))
    }

    fn ours(&self, figure: impl Fn(&Cost) -> f64) -> Spread {
        Spread::of(self.ours.iter().map(figure))
    }
}

fn wall(cost: &Cost) -> f64 {
    cost.wall
}

fn cpu(cost: &Cost) -> f64 {
    cost.cpu
}

fn memory_mb(cost: &Cost) -> f64 {
    cost.peak_kb as f64 / 1024.0
}

fn per_100k(cost: &Cost) -> f64 {
    cost.cpu * 1e5 / cost.rows as f64
}

pub(super) fn measure(stage: &Stage, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let (small, usual, large) = (stage.scale / 10, stage.scale, stage.scale * 10);
    let latency = stage.latency_ms;

    let sandbox = stage.sandbox(small)?;
    stage.cluster.import("bench_small", &sandbox.url, stage.concurrency, "")?;
    let mut few = Costs::default();
    for _ in 0..=stage.runs {
        run(stage, &sandbox, "bench_small", Columns::Thirteen, &mut few)?;
    }
    few.forget_first();
    report_cpu(report, small, &few);

    let sandbox = stage.sandbox(usual)?;
    stage.cluster.import("bench", &sandbox.url, stage.concurrency, "")?;
    let (mut all, mut fast, mut two) = (Costs::default(), Costs::default(), Costs::default());
    for _ in 0..=stage.runs {
        sandbox.set_latency(latency)?;
        run(stage, &sandbox, "bench", Columns::Thirteen, &mut all)?;
        run(stage, &sandbox, "bench", Columns::Two, &mut two)?;
        sandbox.set_latency(0)?;
        run(stage, &sandbox, "bench", Columns::Thirteen, &mut fast)?;
    }
    for costs in [&mut all, &mut fast, &mut two] {
        costs.forget_first();
    }
    let rows = short(usual);
    report_scan(report, &rows, latency, &all);
    report_cpu(report, usual, &all);
    report.compare(&format!("{rows}, 0 ms: wall s"), fast.ours(wall), fast.plain(wall), 1.5);
    report.figure(&format!("{rows}, 0 ms: CPU s"), Some(fast.ours(cpu)), Some(fast.plain(cpu)));
    report.compare(&format!("{rows}, 2 columns: CPU s"), two.ours(cpu), two.plain(cpu), 1.5);
    drop(sandbox);
    if stage.quick {
        return Ok(());
    }

    let started = Instant::now();
    let sandbox = stage.sandbox(large)?;
    let figures = [
        ("seconds to start", started.elapsed().as_secs_f64()),
        ("memory MB before the first page", sandbox.memory_mb()?),
    ];
    for (name, figure) in figures {
        let title = format!("{} rows in the sandbox: {name}", short(large));
        report.figure(&title, Some(Spread::exactly(figure)), None);
    }
    stage.cluster.import("bench_large", &sandbox.url, stage.concurrency, "")?;
    let mut many = Costs::default();
    for _ in 0..=stage.runs.min(3) {
        run(stage, &sandbox, "bench_large", Columns::Thirteen, &mut many)?;
    }
    many.forget_first();
    report_scan(report, &short(large), latency, &many);
    report_cpu(report, large, &many);
    let title = format!("{} by {rows}: memory MB", short(large));
    report.compare(&title, many.ours(memory_mb), all.ours(memory_mb), 1.2);
    let title = format!("{} by {rows}: CPU s per 100k rows", short(large));
    report.compare(&title, many.ours(per_100k), all.ours(per_100k), 1.2);
    Ok(())
}

/// Measures both contenders once, the wrapper in a fresh session.
fn run(
    stage: &Stage,
    sandbox: &Sandbox,
    schema: &str,
    columns: Columns,
    costs: &mut Costs,
) -> Result<(), Box<dyn Error>> {
    let before = sandbox.cpu()?;
    let plain = stage.plain(&Task::Scan(columns), &sandbox.url)?;
    costs.sandbox.push(sandbox.cpu()? - before);
    let ours = stage.cluster.session(schema)?.measure(columns.query())?;
    agree(&plain, &ours)?;
    costs.plain.push(plain);
    costs.ours.push(ours);
    Ok(())
}

impl Costs {
    /// Leaves out the first round, in which the sandbox renders its pages.
    fn forget_first(&mut self) {
        self.plain.remove(0);
        self.ours.remove(0);
        self.sandbox.remove(0);
    }
}

fn report_scan(report: &mut Report, rows: &str, latency: u64, costs: &Costs) {
    let title = |what: &str| format!("{rows}, {latency} ms: {what}");
    report.compare(&title("wall s"), costs.ours(wall), costs.plain(wall), 1.1);
    report.compare(&title("CPU s"), costs.ours(cpu), costs.plain(cpu), 2.0);
    let main = costs.ours(|cost| cost.main_cpu);
    report.figure(&title("CPU s of the backend's main thread"), Some(main), None);
    report.figure(&title("memory MB"), Some(costs.ours(memory_mb)), Some(costs.plain(memory_mb)));
    let most = Spread::exactly(MEMORY_MB);
    report.compare(&title("memory MB, of 64 allowed"), costs.ours(memory_mb), most, 1.0);
}

fn report_cpu(report: &mut Report, rows: usize, costs: &Costs) {
    let title = format!("{}: CPU s per 100k rows", short(rows));
    report.figure(&title, Some(costs.ours(per_100k)), Some(costs.plain(per_100k)));
    let title = format!("{}: CPU s of the sandbox per 100k rows, of 0.2 allowed", short(rows));
    let sandbox = Spread::of(costs.sandbox.iter().map(|cpu| cpu * 1e5 / rows as f64));
    report.compare(&title, sandbox, Spread::exactly(SANDBOX_CPU), 1.0);
}
