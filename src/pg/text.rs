//! Texts of SQL functions. Those of pgrx are in UTF-8, whatever the encoding of the database.

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::{Datum, UnboxDatum};
use pgrx::{FromDatum, IntoDatum, impl_sql_translatable, pg_sys};

use super::datum::server_string;
use super::foreign;

/// Whether texts of the database are in UTF-8.
pub(crate) fn is_utf8() -> bool {
    // SAFETY: looks at a variable of the server.
    unsafe { pg_sys::GetDatabaseEncoding() == pg_sys::pg_enc::PG_UTF8 as i32 }
}

/// A message as pgrx can hand it over, which takes it for one in the encoding of the database: in
/// another one than UTF-8 what is not ASCII is escaped, as `\u{fc}`.
pub(crate) fn sayable(message: String) -> String {
    if is_utf8() || message.is_ascii() {
        return message;
    }
    let shown = |c: char| if c.is_ascii() { c.to_string() } else { c.escape_unicode().to_string() };
    message.chars().map(shown).collect()
}

/// A `text` as argument or result of a function.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text(pub(crate) String);

impl IntoDatum for Text {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        // SAFETY: the string ends with a NUL.
        Some(unsafe { pg_sys::cstring_to_text(server_string(&self.0)) }.into())
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::TEXTOID
    }
}

impl FromDatum for Text {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _: pg_sys::Oid,
    ) -> Option<Self> {
        // SAFETY: the caller promises a text, whose copy ends with a NUL.
        (!is_null)
            .then(|| unsafe { Self(foreign::text(pg_sys::text_to_cstring(datum.cast_mut_ptr()))) })
    }
}

// SAFETY: the conversion above takes a text, which the elements of an array are.
unsafe impl UnboxDatum for Text {
    type As<'src> = Self;

    unsafe fn unbox<'src>(datum: Datum<'src>) -> Self
    where
        Self: 'src,
    {
        // SAFETY: as the caller promises, who has no null here.
        unsafe { Self::from_datum(datum.sans_lifetime(), false) }.expect("no null comes here")
    }
}

// SAFETY: the conversion above takes a text, which is what the declared type says.
unsafe impl<'fcx> ArgAbi<'fcx> for Text {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: as the caller promises. The functions are strict, or take an option.
        unsafe { arg.unbox_arg_using_from_datum() }.expect("no null comes here")
    }
}

// SAFETY: the datum is a text, as the declared type says.
unsafe impl BoxRet for Text {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        match self.into_datum() {
            // SAFETY: the datum was made for this call, in its memory context.
            Some(datum) => unsafe { fcinfo.return_raw_datum(datum) },
            None => fcinfo.return_null(),
        }
    }
}

impl_sql_translatable!(Text, "text");
