//! Whether two sides gave the same, and where they differ first.

use std::fmt;

/// A row, its values as PostgreSQL writes them.
pub type Row = Vec<Option<String>>;

/// What one side gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The rows of each statement.
    Rows(Vec<Vec<Row>>),
    /// An error's SQLSTATE and message.
    Error(String, String),
}

/// What kind of difference there is; a reduction keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// The rows differ.
    Rows,
    /// The foreign side fails, the copy does not.
    RemoteError,
    /// The copy fails, the foreign side does not.
    LocalError,
    /// Both fail, for different reasons.
    Errors,
}

impl Outcome {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        match self {
            Outcome::Rows(sets) => sets.iter().map(Vec::len).sum(),
            Outcome::Error(..) => 0,
        }
    }

    /// The SQLSTATE, if it is an error.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Outcome::Rows(_) => None,
            Outcome::Error(code, _) => Some(code),
        }
    }

    /// Brings the rows into an order of their own, where the query has none.
    pub fn sort(&mut self) {
        if let Outcome::Rows(sets) = self {
            sets.iter_mut().for_each(|rows| rows.sort());
        }
    }
}

/// The difference between the foreign side and the copy, if there is one.
pub fn difference(remote: &Outcome, local: &Outcome) -> Option<Difference> {
    match (remote, local) {
        (Outcome::Rows(a), Outcome::Rows(b)) => (a != b).then_some(Difference::Rows),
        (Outcome::Error(a, _), Outcome::Error(b, _)) => (a != b).then_some(Difference::Errors),
        (Outcome::Error(..), Outcome::Rows(_)) => Some(Difference::RemoteError),
        (Outcome::Rows(_), Outcome::Error(..)) => Some(Difference::LocalError),
    }
}

/// The two outcomes in a few lines: errors, numbers of rows, and the first rows that differ.
pub struct Report<'a> {
    /// The foreign side.
    pub remote: &'a Outcome,
    /// The copy.
    pub local: &'a Outcome,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, side, other) in
            [("remote", self.remote, self.local), ("local ", self.local, self.remote)]
        {
            match side {
                Outcome::Error(code, message) => writeln!(f, "{name}: {code} {message}")?,
                Outcome::Rows(sets) => {
                    let other = match other {
                        Outcome::Rows(sets) => sets.as_slice(),
                        Outcome::Error(..) => &[],
                    };
                    writeln!(f, "{name}: {} rows", side.rows())?;
                    for (i, rows) in sets.iter().enumerate() {
                        let other = other.get(i).map_or(&[][..], Vec::as_slice);
                        let at = rows.iter().zip(other).take_while(|(a, b)| a == b).count();
                        for (n, row) in rows.iter().enumerate().skip(at).take(2) {
                            writeln!(f, "{name}: row {n}: {}", line(row))?;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

fn line(row: &Row) -> String {
    let values: Vec<&str> = row.iter().map(|v| v.as_deref().unwrap_or("NULL")).collect();
    let line = values.join(" | ");
    match line.char_indices().nth(400) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
