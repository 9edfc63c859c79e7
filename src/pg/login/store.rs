//! The tables that keep logins (`awork_fdw_tokens`) and what was begun to get one
//! (`awork_fdw_login_requests`), both by server and role.
//!
//! They are read and written below SQL, as PostgreSQL does with its catalogues (indexing.c,
//! genam.c): no privilege, policy, search path or isolation level of a session comes between, and
//! no hook of another library sees the tokens.

use std::ffi::CStr;

use awork_api::credentials::oauth::Application;
use awork_api::credentials::{AccessToken, Secret};
use awork_api::error::{Error, ErrorKind};
use jiff::Timestamp;
use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum};

use crate::error;
use crate::pg::wait::EPOCH;

/// By what both tables are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The schema of the extension.
    pub(super) schema: pg_sys::Oid,
    pub(super) server: pg_sys::Oid,
    pub(super) role: pg_sys::Oid,
}

/// A row of `awork_fdw_tokens`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    /// Tells logins apart.
    pub(super) login: uuid::Uuid,
    /// The address that the tokens are good for.
    pub(super) api_url: String,
    pub(super) client_id: String,
    pub(super) access: AccessToken,
    /// None where awork has refused the last one, or gave none.
    pub(super) refresh: Option<Secret>,
    pub(super) logged_in: Timestamp,
    /// When a refresh token was sent whose answer has not been stored.
    pub(super) refresh_began: Option<Timestamp>,
    /// The refresh token of the user mapping that the login began with.
    pub(super) seed: Option<Secret>,
}

impl Stored {
    /// Whether the tokens came from this address and application, by a login that began with this
    /// refresh token of the user mapping, or without one. They go nowhere else.
    pub(super) fn belongs_to(
        &self,
        api_url: &str,
        application: &Application,
        seed: Option<&Secret>,
    ) -> bool {
        self.api_url == api_url && self.client_id == application.id && self.seed.as_ref() == seed
    }
}

/// A row of `awork_fdw_login_requests`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Requested {
    pub(super) api_url: String,
    pub(super) client_id: String,
    pub(super) state: Secret,
    pub(super) verifier: Secret,
    pub(super) redirect_uri: String,
    pub(super) requested: Timestamp,
}

/// What a table keeps for a place.
pub(super) trait Row: Sized {
    const TABLE: &'static CStr;
    const KEY: &'static CStr;
    /// The column that says since when it is there, counted from 0.
    const SINCE: usize;
    /// Whether it stays as long as its server and role do.
    const IS_KEPT: bool;
    /// The columns behind server and role.
    fn write(&self) -> Vec<Option<pg_sys::Datum>>;
    /// From the columns behind server and role.
    fn read(columns: &Columns) -> Result<Self, Error>;
}

impl Row for Stored {
    const TABLE: &'static CStr = c"awork_fdw_tokens";
    const KEY: &'static CStr = c"awork_fdw_tokens_pkey";
    const SINCE: usize = 9;
    const IS_KEPT: bool = true;

    fn write(&self) -> Vec<Option<pg_sys::Datum>> {
        vec![
            pgrx::Uuid::from_bytes(self.login.into_bytes()).into_datum(),
            self.api_url.clone().into_datum(),
            self.client_id.clone().into_datum(),
            self.access.token.reveal().into_datum(),
            Some(instant(self.access.issued)),
            self.access.expires.map(instant),
            self.refresh.as_ref().and_then(|token| token.reveal().into_datum()),
            Some(instant(self.logged_in)),
            self.refresh_began.map(instant),
            self.seed.as_ref().and_then(|token| token.reveal().into_datum()),
        ]
    }

    fn read(columns: &Columns) -> Result<Self, Error> {
        let login: Option<pgrx::Uuid> = columns.get(0);
        Ok(Self {
            login: login.map(|id| uuid::Uuid::from_bytes(*id.as_bytes())).unwrap_or_default(),
            api_url: columns.text(1),
            client_id: columns.text(2),
            access: AccessToken {
                token: Secret::new("access token", &columns.text(3))?,
                issued: columns.instant(4).unwrap_or(Timestamp::UNIX_EPOCH),
                expires: columns.instant(5),
            },
            refresh: columns.secret(6)?,
            logged_in: columns.instant(7).unwrap_or(Timestamp::UNIX_EPOCH),
            refresh_began: columns.instant(8),
            seed: columns.secret(9)?,
        })
    }
}

impl Row for Requested {
    const TABLE: &'static CStr = c"awork_fdw_login_requests";
    const KEY: &'static CStr = c"awork_fdw_login_requests_pkey";
    const SINCE: usize = 7;
    const IS_KEPT: bool = false;

    fn write(&self) -> Vec<Option<pg_sys::Datum>> {
        vec![
            self.api_url.clone().into_datum(),
            self.client_id.clone().into_datum(),
            self.state.reveal().into_datum(),
            self.verifier.reveal().into_datum(),
            self.redirect_uri.clone().into_datum(),
            Some(instant(self.requested)),
        ]
    }

    fn read(columns: &Columns) -> Result<Self, Error> {
        Ok(Self {
            api_url: columns.text(0),
            client_id: columns.text(1),
            state: Secret::new("state", &columns.text(2))?,
            verifier: Secret::new("verifier", &columns.text(3))?,
            redirect_uri: columns.text(4),
            requested: columns.instant(5).unwrap_or(Timestamp::UNIX_EPOCH),
        })
    }
}

/// The columns of a row behind server and role.
pub(super) struct Columns(Vec<Option<pg_sys::Datum>>);

impl Columns {
    fn get<T: FromDatum>(&self, column: usize) -> Option<T> {
        let datum = *self.0.get(column)?;
        // SAFETY: the columns have the types that the extension's script gives them.
        unsafe { T::from_datum(datum?, false) }
    }

    fn text(&self, column: usize) -> String {
        self.get(column).unwrap_or_default()
    }

    fn secret(&self, column: usize) -> Result<Option<Secret>, Error> {
        let text: Option<String> = self.get(column);
        text.map(|text| Secret::new("stored token", &text)).transpose()
    }

    fn instant(&self, column: usize) -> Option<Timestamp> {
        let datum = *self.0.get(column)?;
        Timestamp::from_microsecond(datum?.value() as i64 + EPOCH).ok()
    }
}

/// A `timestamptz`.
fn instant(instant: Timestamp) -> pg_sys::Datum {
    pg_sys::Datum::from(instant.as_microsecond() - EPOCH)
}

/// How old a row must be before it can be of no use, in microseconds: the server of a younger one
/// may not have been committed yet.
const CHILDHOOD: i64 = 3_600_000_000;

/// An open table, which stays locked to the end of the transaction.
struct Table {
    relation: pg_sys::Relation,
    index: pg_sys::Oid,
}

impl Table {
    fn open<R: Row>(schema: pg_sys::Oid, lock: u32) -> Result<Self, Error> {
        // SAFETY: look-ups by name.
        unsafe {
            let table = pg_sys::get_relname_relid(R::TABLE.as_ptr(), schema);
            let index = pg_sys::get_relname_relid(R::KEY.as_ptr(), schema);
            if table == pg_sys::InvalidOid || index == pg_sys::InvalidOid {
                return Err(Error::new(
                    ErrorKind::NotReady,
                    "the tables of extension \"awork_fdw\" are not there",
                )
                .hint("Where the extension was created just now, commit that first."));
            }
            let lock = lock as pg_sys::LOCKMODE;
            Ok(Self { relation: pg_sys::table_open(table, lock), index })
        }
    }

    /// Shows rows to `look` until it has what it wants: the one of a place, or all.
    fn find<T>(
        &self,
        place: Option<Place>,
        mut look: impl FnMut(pg_sys::HeapTuple) -> Option<T>,
    ) -> Option<T> {
        let key = |column: i16, oid: pg_sys::Oid| {
            // SAFETY: filled by the next call.
            let mut key: pg_sys::ScanKeyData = unsafe { std::mem::zeroed() };
            // SAFETY: both columns are of type oid.
            unsafe {
                pg_sys::ScanKeyInit(
                    &mut key,
                    column,
                    pg_sys::BTEqualStrategyNumber as _,
                    pg_sys::F_OIDEQ.into(),
                    oid.into(),
                );
            }
            key
        };
        let mut keys = place.map_or(Vec::new(), |p| vec![key(1, p.server), key(2, p.role)]);
        // SAFETY: the relation is open. Without a snapshot of the caller's, the scan takes a new
        // one (genam.c), so that what others have committed is seen at every isolation level.
        unsafe {
            let scan = pg_sys::systable_beginscan(
                self.relation,
                self.index,
                true,
                std::ptr::null_mut(),
                keys.len() as i32,
                keys.as_mut_ptr(),
            );
            let mut found = None;
            while found.is_none() {
                let tuple = pg_sys::systable_getnext(scan);
                if tuple.is_null() {
                    break;
                }
                found = look(tuple);
            }
            pg_sys::systable_endscan(scan);
            found
        }
    }

    /// The columns of a row.
    ///
    /// # Safety
    /// `tuple` must be one of the relation; the columns are good as long as it is.
    unsafe fn columns(&self, tuple: pg_sys::HeapTuple) -> Vec<Option<pg_sys::Datum>> {
        // SAFETY: as the caller promises; the arrays have room for all columns.
        unsafe {
            let descriptor = (*self.relation).rd_att;
            let width = (*descriptor).natts as usize;
            let mut values = vec![pg_sys::Datum::from(0); width];
            let mut nulls = vec![false; width];
            let (values_at, nulls_at) = (values.as_mut_ptr(), nulls.as_mut_ptr());
            pg_sys::heap_deform_tuple(tuple, descriptor, values_at, nulls_at);
            let columns = values.into_iter().zip(nulls);
            columns.map(|(value, null)| (!null).then_some(value)).collect()
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: the relation is open. After an error it is closed already.
        unsafe {
            if !std::thread::panicking() {
                pg_sys::table_close(self.relation, pg_sys::NoLock as pg_sys::LOCKMODE);
            }
        }
    }
}

/// The row of a place, as last committed.
pub(super) fn find<R: Row>(place: Place) -> Result<Option<R>, Error> {
    let table = Table::open::<R>(place.schema, pg_sys::AccessShareLock)?;
    let read = table.find(Some(place), |tuple| {
        // SAFETY: the tuple is one of the relation; the values are copied.
        let columns = unsafe { table.columns(tuple) };
        Some(R::read(&Columns(columns.into_iter().skip(2).collect())))
    });
    read.transpose()
}

/// Puts a row in the place of the one before, if there is one.
pub(super) fn put<R: Row>(place: Place, row: &R) -> Result<(), Error> {
    let table = Table::open::<R>(place.schema, pg_sys::RowExclusiveLock)?;
    let columns = [Some(place.server.into()), Some(place.role.into())];
    let columns: Vec<Option<pg_sys::Datum>> = columns.into_iter().chain(row.write()).collect();
    let mut values: Vec<_> =
        columns.iter().map(|datum| datum.unwrap_or(pg_sys::Datum::from(0))).collect();
    let mut nulls: Vec<bool> = columns.iter().map(Option::is_none).collect();
    // SAFETY: the values have the number and the types of the relation's columns.
    unsafe {
        let descriptor = (*table.relation).rd_att;
        if (*descriptor).natts as usize != values.len() {
            error::internal("the tables of the extension are not those of its library");
        }
        let tuple = pg_sys::heap_form_tuple(descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
        match table.find(Some(place), |before| Some((*before).t_self)) {
            Some(mut before) => pg_sys::CatalogTupleUpdate(table.relation, &mut before, tuple),
            None => pg_sys::CatalogTupleInsert(table.relation, tuple),
        }
    }
    Ok(())
}

/// Removes the row of a place; false where there is none.
pub(super) fn remove<R: Row>(place: Place) -> Result<bool, Error> {
    let table = Table::open::<R>(place.schema, pg_sys::RowExclusiveLock)?;
    // SAFETY: the tuple was found just now, under a lock that keeps others from removing it.
    Ok(table
        .find(Some(place), |tuple| unsafe { Some((*tuple).t_self) })
        .map(|mut tuple| unsafe { pg_sys::CatalogTupleDelete(table.relation, &mut tuple) })
        .is_some())
}

/// Removes what is of no use any more: logins to servers and of roles that are gone, and requests
/// for logins that nobody has completed. Leaves it to another one where the table is in use.
pub(super) fn sweep<R: Row>(schema: pg_sys::Oid) -> Result<(), Error> {
    // SAFETY: a look-up by name, and a lock that keeps others from removing the same.
    let is_alone = unsafe {
        let table = pg_sys::get_relname_relid(R::TABLE.as_ptr(), schema);
        let lock = pg_sys::ShareUpdateExclusiveLock as pg_sys::LOCKMODE;
        pg_sys::ConditionalLockRelationOid(table, lock)
    };
    if !is_alone {
        return Ok(());
    }
    let table = Table::open::<R>(schema, pg_sys::RowExclusiveLock)?;
    let now = Timestamp::now().as_microsecond();
    let mut useless = Vec::new();
    table.find(None, |tuple| {
        // SAFETY: the tuple is one of the relation.
        let columns = Columns(unsafe { table.columns(tuple) });
        let exists = |column: usize, cache: pg_sys::SysCacheIdentifier::Type| {
            let oid: Option<pg_sys::Oid> = columns.get(column);
            oid.is_some_and(|oid| exists(cache, oid))
        };
        let since = columns.instant(R::SINCE).map_or(0, Timestamp::as_microsecond);
        let is_in_use = R::IS_KEPT
            && exists(0, pg_sys::SysCacheIdentifier::FOREIGNSERVEROID)
            && exists(1, pg_sys::SysCacheIdentifier::AUTHOID);
        if now - since > CHILDHOOD && !is_in_use {
            // SAFETY: as above.
            useless.push(unsafe { (*tuple).t_self });
        }
        None::<()>
    });
    for mut tuple in useless {
        // SAFETY: the tuple was found just now, and nobody changes what is that old.
        unsafe { pg_sys::CatalogTupleDelete(table.relation, &mut tuple) }
    }
    Ok(())
}

/// Whether a catalogue has a row of this number.
pub(super) fn exists(cache: pg_sys::SysCacheIdentifier::Type, oid: pg_sys::Oid) -> bool {
    let none = pg_sys::Datum::from(0);
    // SAFETY: a look-up by number.
    unsafe { pg_sys::SearchSysCacheExists(cache as i32, oid.into(), none, none, none) }
}
