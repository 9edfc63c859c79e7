//! What was measured, beside what it is measured by, and whether it is within the goal.

use std::fmt;

/// Figures of several rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    /// The spread of some figures. Panics without any.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Spread {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let (least, most) = (figures[0], figures[figures.len() - 1]);
        let middle = figures.len() / 2;
        let median = match figures.len() % 2 {
            0 => (figures[middle - 1] + figures[middle]) / 2.0,
            _ => figures[middle],
        };
        Spread { median, least, most }
    }

    /// The most alone, where one round too many matters.
    pub(crate) fn worst(self) -> Spread {
        Spread::exactly(self.most)
    }

    /// A figure that is known rather than measured.
    pub(crate) fn exactly(figure: f64) -> Spread {
        Spread { median: figure, least: figure, most: figure }
    }
}

impl fmt::Display for Spread {
    /// The median and, in parentheses, the least and the most.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |figure: f64| match figure.abs() {
            size if size >= 100.0 => format!("{figure:.0}"),
            size if size >= 10.0 => format!("{figure:.1}"),
            size if size < 0.1 && size > 0.0 => format!("{figure:.4}"),
            _ => format!("{figure:.3}"),
        };
        if self.least == self.most {
            return f.write_str(&show(self.median));
        }
        write!(f, "{} ({}–{})", show(self.median), show(self.least), show(self.most))
    }
}

enum Verdict {
    /// A figure without a goal.
    Figure,
    Met(f64),
    Missed(f64),
    Failed,
}

struct Line {
    workload: String,
    limit: Option<Spread>,
    ours: Option<Spread>,
    verdict: Verdict,
    /// Why it failed.
    why: String,
}

/// All that was measured. Each line is also printed once it is known.
#[derive(Default)]
pub(crate) struct Report(Vec<Line>);

impl Report {
    /// A figure of the wrapper that is to be at most `goal` times the limit's.
    pub(crate) fn compare(&mut self, workload: &str, ours: Spread, limit: Spread, goal: f64) {
        let met = ours.median <= goal * limit.median;
        let verdict = if met { Verdict::Met(goal) } else { Verdict::Missed(goal) };
        self.add(Line {
            workload: workload.to_owned(),
            limit: Some(limit),
            ours: Some(ours),
            verdict,
            why: String::new(),
        });
    }

    /// A figure without a goal, and that of the limit where there is one.
    pub(crate) fn figure(&mut self, workload: &str, ours: Option<Spread>, limit: Option<Spread>) {
        let workload = workload.to_owned();
        self.add(Line { workload, limit, ours, verdict: Verdict::Figure, why: String::new() });
    }

    /// A workload that could not be measured.
    pub(crate) fn failed(&mut self, workload: &str, why: impl fmt::Display) {
        self.add(Line {
            workload: workload.to_owned(),
            limit: None,
            ours: None,
            verdict: Verdict::Failed,
            why: why.to_string(),
        });
    }

    fn add(&mut self, line: Line) {
        eprintln!("{line}");
        self.0.push(line);
    }

    /// How many lines are beyond their goals or could not be measured.
    pub(crate) fn misses(&self) -> usize {
        let missed = |line: &&Line| matches!(line.verdict, Verdict::Missed(_) | Verdict::Failed);
        self.0.iter().filter(missed).count()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cell = |spread: Option<Spread>| spread.map_or_else(String::new, |s| s.to_string());
        let ratio = match (self.ours, self.limit) {
            (Some(ours), Some(limit)) if limit.median > 0.0 => {
                format!("{:.2}", ours.median / limit.median)
            }
            _ => String::new(),
        };
        let (goal, verdict) = match self.verdict {
            Verdict::Figure => (String::new(), ""),
            Verdict::Met(goal) => (format!("{goal:.2}"), "met"),
            Verdict::Missed(goal) => (format!("{goal:.2}"), "MISSED"),
            Verdict::Failed => (String::new(), "NOT MEASURED"),
        };
        let (limit, ours) = (cell(self.limit), cell(self.ours));
        let workload = &self.workload;
        write!(f, "| {workload} | {limit} | {ours} | {ratio} | {goal} | {verdict}")?;
        if !self.why.is_empty() {
            write!(f, ": {}", self.why)?;
        }
        f.write_str(" |")
    }
}

impl fmt::Display for Report {
    /// A table of Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| measured | limit | awork_fdw | ratio | goal | |")?;
        writeln!(f, "| --- | --: | --: | --: | --: | --- |")?;
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]).to_string(), "2.000 (1.000–3.000)");
        assert_eq!(Spread::of([4.0, 1.0]).median, 2.5);
        assert_eq!(Spread::exactly(120.4).to_string(), "120");
    }

    #[test]
    fn goals() {
        let mut report = Report::default();
        report.compare("a", Spread::exactly(1.1), Spread::exactly(1.0), 1.5);
        report.figure("b", Some(Spread::exactly(9.0)), None);
        assert_eq!(report.misses(), 0);
        report.compare("c", Spread::exactly(1.6), Spread::exactly(1.0), 1.5);
        report.failed("d", "not available");
        assert_eq!(report.misses(), 2);
        let table = report.to_string();
        assert!(table.contains("| a | 1.000 | 1.100 | 1.10 | 1.50 | met |"), "{table}");
        assert!(table.contains("| d |  |  |  |  | NOT MEASURED: not available |"), "{table}");
    }
}
