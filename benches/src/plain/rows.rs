//! The columns of a page, decoded in one pass without an allocation per row.

use std::borrow::Cow;
use std::fmt;
use std::hint::black_box;
use std::marker::PhantomData;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{BoxError, Sums};

/// Which columns are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Columns {
    Thirteen,
    Two,
}

impl Columns {
    /// Decodes a page.
    pub(super) fn decode(self, body: &[u8]) -> Sums {
        match self {
            Columns::Thirteen => decode::<Thirteen<'_>>(body),
            Columns::Two => decode::<Two<'_>>(body),
        }
    }

    /// The query that needs the same columns.
    pub(crate) fn query(self) -> &'static str {
        match self {
            Columns::Thirteen => {
                "SELECT count(*), sum(duration), count(id), count(*) FILTER (WHERE is_billable),
                        count(*) FILTER (WHERE is_billed), count(project_id), count(task_id),
                        count(user_id), count(type_of_work_id), max(start_date_local),
                        max(created_on), max(updated_on), sum(length(note)), max(project_name)
                 FROM time_entries"
            }
            Columns::Two => "SELECT count(*), sum(duration), max(updated_on) FROM time_entries",
        }
    }
}

/// A row whose values are turned into what a program can use.
trait Row<'a>: Deserialize<'a> {
    /// Converts all values; returns the duration.
    fn convert(self) -> Result<i64, BoxError>;
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thirteen<'a> {
    id: &'a str,
    duration: Option<i64>,
    is_billable: Option<bool>,
    is_billed: Option<bool>,
    project_id: Option<&'a str>,
    task_id: Option<&'a str>,
    user_id: Option<&'a str>,
    type_of_work_id: Option<&'a str>,
    start_date_local: Option<&'a str>,
    created_on: Option<&'a str>,
    updated_on: Option<&'a str>,
    #[serde(borrow)]
    note: Option<Cow<'a, str>>,
    #[serde(borrow)]
    project: Option<Project<'a>>,
}

#[derive(Deserialize)]
struct Project<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
}

impl<'a> Row<'a> for Thirteen<'a> {
    fn convert(self) -> Result<i64, BoxError> {
        black_box(Uuid::try_parse(self.id)?);
        let ids = [self.project_id, self.task_id, self.user_id, self.type_of_work_id];
        for id in ids.into_iter().flatten() {
            black_box(Uuid::try_parse(id)?);
        }
        for instant in [self.created_on, self.updated_on].into_iter().flatten() {
            black_box(instant.parse::<Timestamp>()?);
        }
        if let Some(local) = self.start_date_local {
            black_box(local.parse::<DateTime>()?);
        }
        black_box((self.is_billable, self.is_billed, &self.note));
        black_box(self.project.as_ref().and_then(|project| project.name.as_ref()));
        Ok(self.duration.unwrap_or(0))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Two<'a> {
    duration: Option<i64>,
    updated_on: Option<&'a str>,
}

impl<'a> Row<'a> for Two<'a> {
    fn convert(self) -> Result<i64, BoxError> {
        if let Some(instant) = self.updated_on {
            black_box(instant.parse::<Timestamp>()?);
        }
        Ok(self.duration.unwrap_or(0))
    }
}

fn decode<'a, R: Row<'a>>(body: &'a [u8]) -> Sums {
    let mut json = serde_json::Deserializer::from_slice(body);
    let sums = json.deserialize_seq(Rows::<R>(PhantomData))?;
    json.end()?;
    Ok(sums)
}

struct Rows<R>(PhantomData<R>);

impl<'a, R: Row<'a>> Visitor<'a> for Rows<R> {
    type Value = (u64, i64);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut rows: A) -> Result<(u64, i64), A::Error> {
        let (mut count, mut sum) = (0, 0);
        while let Some(row) = rows.next_element::<R>()? {
            sum += row.convert().map_err(A::Error::custom)?;
            count += 1;
        }
        Ok((count, sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_read_the_same_rows() {
        let body = br#"[{"id":"6f2b9d6e-7a53-4e0c-9a51-2d1c8f0a4b11","duration":60,"x":[{}],
            "createdOn":"2026-10-15T09:00:00Z","startDateLocal":"2026-10-15T00:00:00",
            "note":"a \"b\"","project":{"name":"P"}},
            {"id":"6f2b9d6e-7a53-4e0c-9a51-2d1c8f0a4b12","duration":3,"project":null}]"#;
        for columns in [Columns::Thirteen, Columns::Two] {
            assert_eq!(columns.decode(body).unwrap(), (2, 63));
        }
        assert!(Columns::Thirteen.decode(br#"[{"id":"1"}]"#).is_err());
        assert!(Columns::Two.decode(br#"[{"duration":1}"#).is_err());
    }
}
