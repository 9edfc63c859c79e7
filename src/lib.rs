//! awork_fdw: an awork workspace as foreign tables.
//!
//! The modules in the order in which a query passes them: `options` and `import` make
//! tables, `pg` plans and runs scans of them, `columns` says what a scan needs of a row,
//! `error` turns what goes wrong into SQLSTATEs. `check`, `catalog`, `drift`, `login` and `stats`
//! are functions for people. HTTP, paging and decoding are in the crate `awork-api`, which knows no PostgreSQL.
#![deny(unsafe_code)]

use pgrx::prelude::*;

mod catalog;
mod check;
mod columns;
mod custom_fields;
mod drift;
mod error;
mod import;
mod login;
mod options;
#[allow(unsafe_code)]
mod pg;
mod settings;
mod stats;

pgrx::pg_module_magic!(name, version);

pgrx::extension_sql_file!("../sql/finalize.sql", finalize);
pgrx::extension_sql_file!("../sql/reports.sql");

/// Called by the server when it loads the library.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    settings::define();
    if pg::is_preloading() {
        pg::request_shared_memory();
    }
}

/// The version of the library, which may differ from that of the extension's SQL objects
/// between an upgrade of the package and `ALTER EXTENSION awork_fdw UPDATE`.
#[pg_extern(immutable, parallel_safe)]
fn awork_fdw_version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
