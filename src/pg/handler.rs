//! The handler of the wrapper: which callbacks there are.

use pgrx::PgList;
use pgrx::prelude::*;

use super::{analyze, async_append, create_plan, executor, explain, join, planner, upper};

/// The callbacks of awork_fdw.
#[pg_extern(name = "awork_fdw_handler")]
fn handler() -> PgBox<pg_sys::FdwRoutine> {
    // SAFETY: a zeroed routine of this tag is one without callbacks.
    let mut routine =
        unsafe { PgBox::<pg_sys::FdwRoutine>::alloc_node(pg_sys::NodeTag::T_FdwRoutine) };

    // planning
    routine.GetForeignRelSize = Some(planner::get_foreign_rel_size);
    routine.GetForeignPaths = Some(planner::get_foreign_paths);
    routine.GetForeignJoinPaths = Some(join::get_foreign_join_paths);
    routine.GetForeignUpperPaths = Some(upper::get_foreign_upper_paths);
    routine.GetForeignPlan = Some(create_plan::get_foreign_plan);

    // scanning
    routine.BeginForeignScan = Some(executor::begin_foreign_scan);
    routine.IterateForeignScan = Some(executor::iterate_foreign_scan);
    routine.ReScanForeignScan = Some(executor::rescan_foreign_scan);
    routine.EndForeignScan = Some(executor::end_foreign_scan);

    // scanning several at the same time
    routine.IsForeignPathAsyncCapable = Some(async_append::is_foreign_path_async_capable);
    routine.ForeignAsyncRequest = Some(async_append::foreign_async_request);
    routine.ForeignAsyncConfigureWait = Some(async_append::foreign_async_configure_wait);
    routine.ForeignAsyncNotify = Some(async_append::foreign_async_notify);

    // explaining
    routine.ExplainForeignScan = Some(explain::explain_foreign_scan);

    // analysing
    routine.AnalyzeForeignTable = Some(analyze::analyze_foreign_table);

    // importing
    routine.ImportForeignSchema = Some(import_foreign_schema);

    routine.into_pg_boxed()
}

/// `ImportForeignSchema` (fdwhandler.sgml): one CREATE FOREIGN TABLE per wanted table. Where custom
/// fields are to be columns, awork is asked which there are.
#[pg_guard]
unsafe extern "C-unwind" fn import_foreign_schema(
    statement: *mut pg_sys::ImportForeignSchemaStmt,
    _server: pg_sys::Oid,
) -> *mut pg_sys::List {
    use super::foreign::{definitions, text};
    use crate::import::{Selection, create_table, resources, wants_custom_fields};
    use awork_api::custom_fields::entity;
    use pg_sys::ImportForeignSchemaType as Type;

    // SAFETY: the statement is a parse tree that PostgreSQL holds for the call; strings are
    // copied into the current memory context before the list refers to them.
    unsafe {
        let mut with_custom_fields = false;
        for (option, value) in definitions((*statement).options) {
            match option.as_str() {
                "custom_fields" => with_custom_fields = wants_custom_fields(&value),
                _ => crate::error::invalid_option(&option, "custom_fields"),
            }
        }
        let tables: Vec<String> = PgList::<pg_sys::RangeVar>::from_pg((*statement).table_list)
            .iter_ptr()
            .map(|table| text((*table).relname))
            .collect();
        let selection = match (*statement).list_type {
            Type::FDW_IMPORT_SCHEMA_LIMIT_TO => Selection::LimitTo(tables),
            Type::FDW_IMPORT_SCHEMA_EXCEPT => Selection::Except(tables),
            _ => Selection::All,
        };
        let mut list = PgList::<std::ffi::c_char>::new();
        let remote_schema = text((*statement).remote_schema);
        let server = text((*statement).server_name);
        let resources = resources(&remote_schema, &selection);
        let is_asked = with_custom_fields && resources.iter().any(|r| entity(r).is_some());
        let fields = if is_asked { crate::custom_fields::imported(&server) } else { Vec::new() };
        for resource in resources {
            let sql = create_table(resource, &server, &fields);
            list.push(super::datum::server_string(&sql));
        }
        list.into_pg()
    }
}
