//! The foreign tables of a server that the current user may read.

use pgrx::prelude::*;
use pgrx::spi::quote_qualified_identifier;

use super::foreign::{attributes, definitions, find, text, usable_server};
use crate::columns::Attribute;
use crate::error;

/// A foreign table, as far as it can be described whatever its options say.
#[derive(Debug)]
pub(crate) struct ListedTable {
    /// Its name with its schema, as SQL has it.
    pub(crate) name: String,
    /// Its option `resource`.
    pub(crate) resource: Option<String>,
    /// The columns that have not been dropped.
    pub(crate) attributes: Vec<Attribute>,
}

/// The foreign tables of the server of this name that the current user may read, by their names.
/// An error where the user may not use the server.
pub(crate) fn tables_of_server(name: &str) -> Vec<ListedTable> {
    let server = usable_server(name);
    let mut tables: Vec<ListedTable> = readable(server).into_iter().filter_map(listed).collect();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    tables
}

fn readable(server: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    // Whatever the search path of the session finds is called by its full name.
    const SQL: &str = "SELECT ftrelid FROM pg_catalog.pg_foreign_table \
                       WHERE ftserver OPERATOR(pg_catalog.=) $1 \
                         AND pg_catalog.has_table_privilege(ftrelid, 'SELECT')";
    let tables = Spi::connect(|client| {
        let rows = client.select(SQL, None, &[server.into()])?;
        rows.map(|row| row.get::<pg_sys::Oid>(1)).collect::<Result<Vec<_>, _>>()
    });
    match tables {
        Ok(tables) => tables.into_iter().flatten().collect(),
        Err(_) => error::internal("could not list the foreign tables of a server"),
    }
}

/// Describes a table; none where it is gone by now.
fn listed(table: pg_sys::Oid) -> Option<ListedTable> {
    let mode = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    // SAFETY: the relation stays open and locked until everything has been copied. An error in
    // between ends the transaction, which closes it.
    unsafe {
        let relation = pg_sys::try_relation_open(table, mode);
        if relation.is_null() {
            return None;
        }
        let schema = text(pg_sys::get_namespace_name((*(*relation).rd_rel).relnamespace));
        let name = text((*(*relation).rd_rel).relname.data.as_ptr());
        let options = definitions((*pg_sys::GetForeignTable(table)).options);
        let listed = ListedTable {
            name: quote_qualified_identifier(schema, name),
            resource: find(&options, "resource").map(str::to_owned),
            attributes: attributes(table),
        };
        pg_sys::relation_close(relation, mode);
        Some(listed)
    }
}
