//! Values across the border: cells of a batch to datums, datums of keys to the text of a
//! request.

use std::ffi::{CString, c_char};
use std::panic::AssertUnwindSafe;

use awork_api::error::excerpt;
use awork_api::rows::batch::TEXT_HEADER;
use awork_api::rows::{Batch, Kind, time};
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use pgrx::{FromDatum, PgTryBuilder};

use super::text::is_utf8;
use crate::columns::{Attribute, kind};
use crate::error;

/// How the values of one column become datums.
pub(super) struct Converter {
    type_oid: pg_sys::Oid,
    column: String,
    table: String,
    how: How,
}

enum How {
    /// The word of a batch is the datum.
    Word,
    /// The datum points at the GUID in the batch.
    Uuid,
    /// The datum points at the text in the batch, or at a copy in the server's encoding.
    Text { is_utf8: bool },
    /// PostgreSQL itself must read the text.
    Input { input: Input, is_utf8: bool },
    /// The same for instants, of which the batch has only numbers.
    InstantInput(Input),
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
        let is_utf8 = is_utf8();
        let input = || Input::new(attribute.type_oid, attribute.typmod);
        let how = match kind(attribute) {
            Kind::Text if attribute.type_oid == pg_sys::TEXTOID => How::Text { is_utf8 },
            Kind::Text | Kind::Json => How::Input { input: input(), is_utf8 },
            // A domain has conditions and a precision rounds, which the input function sees to.
            Kind::Instant
                if attribute.type_oid != pg_sys::TIMESTAMPTZOID || attribute.typmod >= 0 =>
            {
                How::InstantInput(input())
            }
            Kind::Uuid => How::Uuid,
            Kind::Bool
            | Kind::Presence
            | Kind::Int { .. }
            | Kind::Float { .. }
            | Kind::Instant
            | Kind::LocalTimestamp
            | Kind::Date
            | Kind::TimeOfDay => How::Word,
        };
        let (type_oid, column) = (attribute.type_oid, attribute.name.clone());
        Self { type_oid, column, table: table.to_owned(), how }
    }

    /// The datum of a word in a row of a batch. It may point into the batch; what has to be made
    /// is made in the current memory context.
    #[inline]
    pub(super) fn datum(&mut self, batch: &Batch, row: usize, word: u64) -> pg_sys::Datum {
        let (table, column) = (&self.table, &self.column);
        match &mut self.how {
            How::Word => pg_sys::Datum::from(word as usize),
            How::Uuid => batch.arena()[word as usize..].as_ptr().into(),
            How::Text { is_utf8: true } => batch.arena()[word as usize..].as_ptr().into(),
            How::Text { is_utf8: false } => {
                // SAFETY: the string is NUL-terminated.
                unsafe { pg_sys::cstring_to_text(server_string(batch.text_at(word))).into() }
            }
            How::Input { input, is_utf8 } => {
                let text = batch.text_at(word);
                let string = match is_utf8 {
                    // Input functions leave their argument as it is.
                    true => batch.arena()[word as usize + TEXT_HEADER..].as_ptr().cast_mut().cast(),
                    false => server_string(text),
                };
                // SAFETY: the text ends with a NUL in either place.
                unsafe { input.read(string, text, table, column, batch.ids()[row]) }
            }
            How::InstantInput(input) => {
                // Past year 9999 only PostgreSQL's own text reaches.
                let text = match time::show_timestamp(word as i64) {
                    Some(text) => text + "Z",
                    None => output(pg_sys::Datum::from(word as usize), pg_sys::TIMESTAMPTZOID),
                };
                // SAFETY: the string is NUL-terminated.
                unsafe { input.read(server_string(&text), &text, table, column, batch.ids()[row]) }
            }
        }
    }

    /// Raises the error of a null that may not be.
    pub(super) fn refuse_null(&self) -> ! {
        error::null_value(&self.table, &self.column)
    }

    /// Whether datums are made in the current memory context.
    pub(super) fn allocates(&self) -> bool {
        !matches!(self.how, How::Word | How::Uuid | How::Text { is_utf8: true })
    }

    /// The datum of a parameter's text, in the current memory context.
    pub(super) fn parameter(&self, text: &str) -> pg_sys::Datum {
        let mut input = Input::new(self.type_oid, -1);
        // SAFETY: the string is NUL-terminated.
        unsafe { input.read(server_string(text), text, &self.table, &self.column, None) }
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

    /// Reads a string as SQL would. An error of the value itself is told in terms of the column;
    /// `text` is the string as it came.
    ///
    /// # Safety
    /// `string` must be NUL-terminated.
    unsafe fn read(
        &mut self,
        string: *mut c_char,
        text: &str,
        table: &str,
        column: &str,
        id: Option<u128>,
    ) -> pg_sys::Datum {
        // SAFETY: the function was looked up for this type.
        let call = AssertUnwindSafe(|| unsafe {
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
