//! What a process takes, from /proc: memory, threads and descriptors.

use std::fs;
use std::time::Duration;

/// What a process takes at a moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    /// Since the start of the run.
    pub(crate) at: Duration,
    /// `VmRSS` in kB.
    pub(crate) resident: u64,
    /// `RssAnon` in kB: what is shared with others, as buffers are and programs, counts for every
    /// process that has read it, and is no growth.
    pub(crate) own: u64,
    /// `VmHWM` in kB.
    pub(crate) highest: u64,
    /// Threads.
    pub(crate) threads: u64,
    /// Descriptors but for the files of tables and WAL, which PostgreSQL keeps open as it likes.
    pub(crate) descriptors: u64,
    /// Descriptors of the files of tables and WAL.
    pub(crate) files: u64,
}

impl Sample {
    /// The figures of a process; none where it has ended.
    pub(crate) fn of(pid: i32, at: Duration) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let figure = |name: &str| {
            let line = status.lines().find(|line| line.split(':').next() == Some(name))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        let resident = figure("VmRSS")?;
        let links = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        let (mut descriptors, mut files) = (0, 0);
        for link in links.flatten() {
            // What was closed meanwhile does not count.
            let Ok(target) = fs::read_link(link.path()) else { continue };
            let target = target.to_string_lossy();
            let of_tables = ["/base/", "/global/", "/pg_"].iter().any(|part| target.contains(part));
            if of_tables { files += 1 } else { descriptors += 1 }
        }
        Some(Self {
            at,
            resident,
            own: figure("RssAnon")?,
            highest: figure("VmHWM").unwrap_or(0),
            threads: figure("Threads")?,
            descriptors,
            files,
        })
    }
}

/// The most that a process may grow by after the warm-up, in kB.
const GROWTH: u64 = 8 * 1024;

/// The samples of a process that lived through the run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    /// What it is.
    pub(crate) name: String,
    /// In the order of time; the last one was taken while the process had nothing to do.
    pub(crate) samples: Vec<Sample>,
}

/// How the figures of a process changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    /// After a quarter of the run.
    pub(crate) warm: Sample,
    /// At the end.
    pub(crate) last: Sample,
}

impl Record {
    /// Adds the figures of now.
    pub(crate) fn add(&mut self, pid: i32, at: Duration) {
        self.samples.extend(Sample::of(pid, at));
    }

    /// The figures after a quarter of the run and at its end. Memory is the median over a tenth
    /// of the run, since a statement that has just ended may have left more or less of it.
    /// Connections to awork come and go: of threads and descriptors, the most after the warm-up
    /// and the fewest at the end count, which something that is left behind for good raises too.
    pub(crate) fn change(&self, run: Duration) -> Option<Change> {
        let between = |from: f64, to: f64| -> Vec<Sample> {
            let (from, to) = (run.mul_f64(from), run.mul_f64(to));
            self.samples.iter().filter(|s| s.at >= from && s.at <= to).copied().collect()
        };
        let last = *self.samples.last()?;
        let (early, late) = (between(0.25, 0.35), between(0.9, 10.0));
        let most = |figure: fn(&Sample) -> u64| early.iter().map(figure).max();
        let fewest = |figure: fn(&Sample) -> u64| late.iter().map(figure).min();
        let warm = Sample {
            own: median(&early, |s| s.own)?,
            resident: median(&early, |s| s.resident)?,
            highest: most(|s| s.highest)?,
            threads: most(|s| s.threads)?,
            descriptors: most(|s| s.descriptors)?,
            files: most(|s| s.files)?,
            at: early.first()?.at,
        };
        let last = Sample {
            own: median(&late, |s| s.own)?,
            resident: median(&late, |s| s.resident)?,
            threads: fewest(|s| s.threads)?,
            descriptors: fewest(|s| s.descriptors)?,
            ..last
        };
        Some(Change { warm, last })
    }
}

impl Change {
    /// What has grown that must not.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let Self { warm, last } = self;
        if last.own > warm.own + GROWTH {
            complaints.push(format!("grew from {} to {} kB", warm.own, last.own));
        }
        if last.threads > warm.threads {
            complaints.push(format!("{} threads became {}", warm.threads, last.threads));
        }
        if last.descriptors > warm.descriptors {
            complaints
                .push(format!("{} descriptors became {}", warm.descriptors, last.descriptors));
        }
        complaints
    }
}

fn median(samples: &[Sample], figure: fn(&Sample) -> u64) -> Option<u64> {
    let mut figures: Vec<u64> = samples.iter().map(figure).collect();
    figures.sort_unstable();
    figures.get(figures.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(own: [u64; 4], descriptors: [u64; 4]) -> Record {
        let at = [0, 30, 95, 100];
        let samples = (0..4).map(|i| Sample {
            at: Duration::from_secs(at[i]),
            own: own[i],
            descriptors: descriptors[i],
            ..Sample::default()
        });
        Record { name: "a backend".into(), samples: samples.collect() }
    }

    #[test]
    fn growth_counts_after_the_warm_up_only() {
        let run = Duration::from_secs(100);
        let complaints = |record: Record| record.change(run).unwrap().complaints();
        assert_eq!(complaints(record([0, 20_000, 21_000, 21_000], [9, 12, 30, 12])).len(), 0);
        assert_eq!(complaints(record([0, 20_000, 29_000, 29_000], [9, 12, 12, 12])).len(), 1);
        assert_eq!(complaints(record([0, 20_000, 20_000, 20_000], [9, 12, 13, 13])).len(), 1);
    }

    #[test]
    fn this_process_has_figures() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let sample = Sample::of(pid, Duration::ZERO).unwrap();
        assert!(sample.resident > 100 && sample.threads > 0 && sample.descriptors > 2);
    }
}
