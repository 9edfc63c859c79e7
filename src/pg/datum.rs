//! Values across the border: cells of a batch to datums, datums of keys to the text of a
//! request.

use std::ffi::{CString, c_char};
use std::panic::AssertUnwindSafe;

use awork_api::error::{Error, ErrorKind, excerpt};
use awork_api::rows::{Batch, Cell, time};
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use pgrx::{FromDatum, PgTryBuilder, set_varsize_4b};

use crate::columns::Attribute;
use crate::error;

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
    /// The converter for a column. What it needs to know of the type is looked up now, into the
    /// current memory context, which must live as long as the converter.
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
            input: (!direct).then(|| Input::new(attribute.type_oid, attribute.typmod)),
        }
    }

    /// The datum of a cell of a row, made in the current memory context; none for null.
    pub(super) fn datum(&mut self, batch: &Batch, row: usize, cell: Cell) -> Option<pg_sys::Datum> {
        if let Some(input) = &mut self.input {
            let instant;
            let text = match cell {
                Cell::Null => return None,
                Cell::Text(span) => batch.text(span),
                Cell::Timestamp(value) => {
                    // Past year 9999 only PostgreSQL's own text reaches.
                    instant = match time::show_timestamp(value) {
                        Some(text) => text + "Z",
                        None => output(value.into(), pg_sys::TIMESTAMPTZOID),
                    };
                    &instant
                }
                _ => self.mismatch(cell),
            };
            return Some(input.read(text, &self.table, &self.column, batch.ids()[row]));
        }
        Some(match (cell, self.type_oid) {
            (Cell::Null, _) => return None,
            (Cell::Bool(value), pg_sys::BOOLOID) => value.into(),
            (Cell::Int(value), pg_sys::INT2OID) => (value as i16).into(),
            (Cell::Int(value), pg_sys::INT4OID) => (value as i32).into(),
            (Cell::Int(value), pg_sys::INT8OID) => value.into(),
            (Cell::Float(value), pg_sys::FLOAT4OID) => (value as f32).into_datum()?,
            (Cell::Float(value), pg_sys::FLOAT8OID) => value.into_datum()?,
            (Cell::Uuid(bytes), pg_sys::UUIDOID) => uuid(bytes),
            (Cell::Timestamp(value), pg_sys::TIMESTAMPTZOID | pg_sys::TIMESTAMPOID) => value.into(),
            (Cell::Time(value), pg_sys::TIMEOID) => value.into(),
            (Cell::Date(value), pg_sys::DATEOID) => value.into(),
            (Cell::Text(span), pg_sys::TEXTOID) => varlena(batch.text(span)),
            _ => self.mismatch(cell),
        })
    }

    /// The datum of a parameter's text, in the current memory context.
    pub(super) fn parameter(&self, text: &str) -> pg_sys::Datum {
        Input::new(self.type_oid, -1).read(text, &self.table, &self.column, None)
    }

    fn mismatch(&self, cell: Cell) -> ! {
        let column = &self.column;
        error::raise(Error::new(
            ErrorKind::Internal,
            format!("a value was decoded as {cell:?}, which column \"{column}\" cannot hold"),
        ))
    }
}

impl Input {
    fn new(type_oid: pg_sys::Oid, typmod: i32) -> Self {
        let mut function = pg_sys::FmgrInfo::default();
        let mut input = pg_sys::InvalidOid;
        let mut io_parameter = pg_sys::InvalidOid;
        // SAFETY: a type that a column has exists.
        unsafe {
            pg_sys::getTypeInputInfo(type_oid, &mut input, &mut io_parameter);
            pg_sys::fmgr_info(input, &mut function);
        }
        Self { function, io_parameter, typmod }
    }

    /// Reads a text as SQL would. An error of the value itself is told in terms of the column.
    fn read(&mut self, text: &str, table: &str, column: &str, id: Option<u128>) -> pg_sys::Datum {
        // SAFETY: the function was looked up for this type, the string is NUL-terminated.
        let call = AssertUnwindSafe(|| unsafe {
            let string = server_string(text);
            pg_sys::InputFunctionCall(&mut self.function, string, self.io_parameter, self.typmod)
        });
        PgTryBuilder::new(call)
            .catch_others(|caught| match caught {
                CaughtError::PostgresError(ref report) if error::is_of_value(report.sql_error_code()) => {
                    let refusal = excerpt(report.message());
                    let mut detail = format!("Value {} was refused: {refusal}.", excerpt(text));
                    // A GUID; other identities are only hashes.
                    if let Some(id) = id.filter(|id| id >> 64 != 0) {
                        detail += &format!(" The object's id is {}.", uuid::Uuid::from_u128(id));
                    }
                    error::unconvertible(
                        format!("value from awork does not fit column \"{column}\" of foreign table \"{table}\""),
                        vec![detail],
                    )
                }
                other => other.rethrow(),
            })
            .execute()
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
/// otherwise as PostgreSQL writes it. The type is one that can bind a key.
///
/// # Safety
/// `datum` must be a value of the type.
pub(super) unsafe fn request_text(datum: pg_sys::Datum, type_oid: pg_sys::Oid) -> String {
    let shown = match type_oid {
        // SAFETY: as the caller promises.
        pg_sys::BOOLOID => unsafe { bool::from_datum(datum, false) }.map(|b| b.to_string()),
        pg_sys::TIMESTAMPTZOID | pg_sys::TIMESTAMPOID => {
            time::show_timestamp(datum.value() as i64).map(|timestamp| timestamp + "Z")
        }
        pg_sys::DATEOID => time::show_date(datum.value() as i32),
        _ => None,
    };
    // What cannot be shown (infinity) goes as PostgreSQL writes it; awork says that it is no date.
    shown.unwrap_or_else(|| output(datum, type_oid))
}

/// A value as its type's output function writes it, which must be safe for any datum of the type
/// that the caller has.
pub(super) fn output(datum: pg_sys::Datum, type_oid: pg_sys::Oid) -> String {
    let mut function = pg_sys::InvalidOid;
    let mut is_varlena = false;
    // SAFETY: the datum is a value of the type; the output is a NUL-terminated string.
    unsafe {
        pg_sys::getTypeOutputInfo(type_oid, &mut function, &mut is_varlena);
        super::foreign::text(pg_sys::OidOutputFunctionCall(function, datum))
    }
}

/// The elements of an array; none for a null.
///
/// # Safety
/// `array` must be an array datum. The elements live as long as the current memory context.
pub(super) unsafe fn elements(array: pg_sys::Datum) -> Vec<Option<pg_sys::Datum>> {
    // SAFETY: as the caller promises; the layout is that of the array's own element type. The
    // copy makes the elements independent of the expression that gave the array.
    unsafe {
        let array = pg_sys::pg_detoast_datum_copy(array.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
        let (mut length, mut by_value, mut alignment) = (0, false, 0);
        let (mut values, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
        let element = (*array).elemtype;
        pg_sys::get_typlenbyvalalign(element, &mut length, &mut by_value, &mut alignment);
        pg_sys::deconstruct_array(
            array,
            element,
            length.into(),
            by_value,
            alignment,
            &mut values,
            &mut nulls,
            &mut count,
        );
        (0..count as usize).map(|i| (!*nulls.add(i)).then(|| *values.add(i))).collect()
    }
}
