//! Values across the border: cells of a batch to datums, datums of keys to the text of a
//! request.

use std::ffi::{CString, c_char};
use std::panic::AssertUnwindSafe;

use awork_api::rows::{Batch, Cell};
use jiff::{SignedDuration, Timestamp};
use pgrx::prelude::*;
use pgrx::{FromDatum, PgTryBuilder, set_varsize_4b};

use crate::columns::Attribute;
use crate::error;

/// 2000-01-01 00:00 UTC in Unix seconds.
const EPOCH: i64 = 946_684_800;

/// How the values of one column become datums.
pub(super) struct Converter {
    type_oid: pg_sys::Oid,
    column: String,
    table: String,
    /// For types whose text PostgreSQL itself must read.
    input: Option<Input>,
}

struct Input {
    function: pg_sys::FmgrInfo,
    io_parameter: pg_sys::Oid,
    typmod: i32,
}

impl Converter {
    pub(super) fn new(table: &str, attribute: &Attribute) -> Self {
        let direct = match attribute.type_oid {
            pg_sys::BOOLOID
            | pg_sys::INT2OID
            | pg_sys::INT4OID
            | pg_sys::INT8OID
            | pg_sys::FLOAT4OID
            | pg_sys::FLOAT8OID
            | pg_sys::UUIDOID
            | pg_sys::DATEOID
            | pg_sys::TEXTOID => true,
            pg_sys::TIMESTAMPTZOID | pg_sys::TIMESTAMPOID | pg_sys::TIMEOID => attribute.typmod < 0,
            _ => false,
        };
        Self {
            type_oid: attribute.type_oid,
            column: attribute.name.clone(),
            table: table.to_owned(),
            input: (!direct).then(|| Input::new(attribute)),
        }
    }

    /// The datum of a cell, made in the current memory context; none for null.
    pub(super) fn datum(&mut self, batch: &Batch, cell: Cell) -> Option<pg_sys::Datum> {
        Some(match cell {
            Cell::Null => return None,
            Cell::Bool(value) => value.into(),
            Cell::Int(value) => match self.type_oid {
                pg_sys::INT2OID => (value as i16).into(),
                pg_sys::INT4OID => (value as i32).into(),
                _ => value.into(),
            },
            Cell::Float(value) => match self.type_oid {
                pg_sys::FLOAT4OID => (value as f32).into_datum()?,
                _ => value.into_datum()?,
            },
            Cell::Uuid(bytes) => uuid(bytes),
            Cell::Timestamp(value) | Cell::Time(value) => value.into(),
            Cell::Date(value) => value.into(),
            Cell::Text(span) => match &mut self.input {
                None => varlena(batch.text(span)),
                Some(_) => self.read(batch.text(span)),
            },
        })
    }

    /// The datum of a text, read as SQL would read it.
    pub(super) fn read(&mut self, text: &str) -> pg_sys::Datum {
        let Self { column, table, .. } = self;
        let (column, table) = (column.clone(), table.clone());
        let input = self.input.get_or_insert_with(|| {
            let (type_oid, typmod) = (self.type_oid, -1);
            Input::of_type(type_oid, typmod)
        });
        let string = server_string(text);
        // SAFETY: the function was looked up for this type, the string is NUL-terminated.
        let call = AssertUnwindSafe(|| unsafe {
            pg_sys::InputFunctionCall(&mut input.function, string, input.io_parameter, input.typmod)
        });
        PgTryBuilder::new(call)
            .catch_others(|caught| match caught {
                pg_sys::panic::CaughtError::PostgresError(report) => error::unconvertible(
                    format!("value from awork does not fit column \"{column}\" of foreign table \"{table}\""),
                    vec![
                        format!("Value {} was refused: {}.",
                            awork_api::error::excerpt(text), report.message()),
                    ],
                ),
                other => other.rethrow(),
            })
            .execute()
    }
}

impl Input {
    fn new(attribute: &Attribute) -> Self {
        Self::of_type(attribute.type_oid, attribute.typmod)
    }

    fn of_type(type_oid: pg_sys::Oid, typmod: i32) -> Self {
        let mut function = pg_sys::FmgrInfo::default();
        let mut input = pg_sys::InvalidOid;
        let mut io_parameter = pg_sys::InvalidOid;
        // SAFETY: a type that a column has exists; the function's extra memory is in the
        // current context, which is the query's.
        unsafe {
            pg_sys::getTypeInputInfo(type_oid, &mut input, &mut io_parameter);
            pg_sys::fmgr_info(input, &mut function);
        }
        Self { function, io_parameter, typmod }
    }
}

/// A NUL-terminated copy in the server's encoding, in the current memory context. The text
/// must not contain a NUL, which the decoder has made sure of.
pub(super) fn server_string(text: &str) -> *mut c_char {
    let string = CString::new(text).unwrap_or_default();
    // SAFETY: the conversion returns its argument or a new string, both NUL-terminated; the
    // copy does not depend on `string`.
    unsafe {
        let length = text.len() as i32;
        let utf8 = pg_sys::pg_enc::PG_UTF8 as i32;
        pg_sys::pstrdup(pg_sys::pg_any_to_server(string.as_ptr(), length, utf8))
    }
}

/// A `text` datum in the server's encoding.
fn varlena(text: &str) -> pg_sys::Datum {
    // SAFETY: the allocation has room for the header and the bytes that are copied into it.
    unsafe {
        if pg_sys::GetDatabaseEncoding() != pg_sys::pg_enc::PG_UTF8 as i32 {
            return pg_sys::cstring_to_text(server_string(text)).into();
        }
        let size = pg_sys::VARHDRSZ + text.len();
        let datum = pg_sys::palloc(size).cast::<pg_sys::varlena>();
        set_varsize_4b(datum, size as i32);
        let data = datum.cast::<u8>().add(pg_sys::VARHDRSZ);
        std::ptr::copy_nonoverlapping(text.as_ptr(), data, text.len());
        datum.into()
    }
}

fn uuid(bytes: [u8; 16]) -> pg_sys::Datum {
    // SAFETY: a uuid is its 16 bytes.
    unsafe {
        let datum = pg_sys::palloc(bytes.len()).cast::<u8>();
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), datum, bytes.len());
        datum.into()
    }
}

/// A value as awork reads it in a path or a query: ISO 8601 in UTC, `true` and `false`, and
/// otherwise as PostgreSQL writes it.
///
/// # Safety
/// `datum` must be a value of the type.
pub(super) unsafe fn request_text(datum: pg_sys::Datum, type_oid: pg_sys::Oid) -> String {
    // SAFETY: as the caller promises.
    unsafe {
        match type_oid {
            pg_sys::BOOLOID => bool::from_datum(datum, false).unwrap_or_default().to_string(),
            pg_sys::TIMESTAMPTZOID | pg_sys::TIMESTAMPOID => {
                let since_2000 = SignedDuration::from_micros(datum.value() as i64);
                Timestamp::from_second(EPOCH)
                    .and_then(|epoch| epoch.checked_add(since_2000))
                    .map(|instant| instant.to_string())
                    // Infinity names no instant; awork says that it is no date.
                    .unwrap_or_else(|_| output(datum, type_oid))
            }
            pg_sys::DATEOID => {
                let days = i64::from(datum.value() as i32);
                Timestamp::from_second(EPOCH + days * 86_400)
                    .map(|midnight| midnight.strftime("%Y-%m-%d").to_string())
                    .unwrap_or_else(|_| output(datum, type_oid))
            }
            _ => output(datum, type_oid),
        }
    }
}

/// # Safety
/// `datum` must be a value of the type.
unsafe fn output(datum: pg_sys::Datum, type_oid: pg_sys::Oid) -> String {
    let mut function = pg_sys::InvalidOid;
    let mut is_varlena = false;
    // SAFETY: as the caller promises; the output is a NUL-terminated string.
    unsafe {
        pg_sys::getTypeOutputInfo(type_oid, &mut function, &mut is_varlena);
        super::foreign::text(pg_sys::OidOutputFunctionCall(function, datum))
    }
}
