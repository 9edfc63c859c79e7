//! SQLSTATEs. No other file names one.

use awork_api::credentials::redacted;
use awork_api::error::{Error, ErrorKind};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};

use crate::pg;

/// Raises an error of the API side.
pub(crate) fn raise(error: Error) -> ! {
    let code = match error.kind {
        ErrorKind::Setting => PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        ErrorKind::NoCredential => PgSqlErrorCode::ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED,
        ErrorKind::HostNotAllowed => PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        ErrorKind::ReadOnly => PgSqlErrorCode::ERRCODE_READ_ONLY_SQL_TRANSACTION,
        ErrorKind::NotReady => PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        ErrorKind::NoResources => PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES,
        ErrorKind::Unreachable => PgSqlErrorCode::ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
        ErrorKind::Unauthorized => PgSqlErrorCode::ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
        ErrorKind::PermissionDenied | ErrorKind::Blocked => {
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE
        }
        ErrorKind::NotFound | ErrorKind::NoSuchObject => {
            PgSqlErrorCode::ERRCODE_FDW_TABLE_NOT_FOUND
        }
        ErrorKind::RefusedFilter | ErrorKind::RefusedRequest => {
            PgSqlErrorCode::ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION
        }
        ErrorKind::RateLimited => PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
        ErrorKind::BadReply => PgSqlErrorCode::ERRCODE_FDW_UNABLE_TO_CREATE_REPLY,
        ErrorKind::Changed => PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
        ErrorKind::TooLarge => PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        ErrorKind::BadValue => PgSqlErrorCode::ERRCODE_FDW_INVALID_DATA_TYPE,
        ErrorKind::Internal => PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
    };
    report(PgLogLevel::ERROR, code, error.message, error.detail, error.hint)
}

/// An option that the context does not have.
pub(crate) fn invalid_option(name: &str, valid: &str) -> ! {
    report(
        PgLogLevel::ERROR,
        PgSqlErrorCode::ERRCODE_FDW_INVALID_OPTION_NAME,
        format!("invalid option \"{name}\""),
        None,
        Some(if valid.is_empty() {
            "There are no valid options in this context.".to_owned()
        } else {
            format!("Valid options in this context are: {valid}.")
        }),
    )
}

/// An option that must be given.
pub(crate) fn missing_option(message: String, hint: &str) -> ! {
    report(
        PgLogLevel::ERROR,
        PgSqlErrorCode::ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED,
        message,
        None,
        Some(hint.to_owned()),
    )
}

/// A value of an option that means nothing.
pub(crate) fn invalid_value(message: String, hint: Option<String>) -> ! {
    let code = PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE;
    report(PgLogLevel::ERROR, code, message, None, hint)
}

/// A remote schema that IMPORT FOREIGN SCHEMA does not know.
pub(crate) fn schema_not_found(message: String, hint: String) -> ! {
    let code = PgSqlErrorCode::ERRCODE_FDW_SCHEMA_NOT_FOUND;
    report(PgLogLevel::ERROR, code, message, None, Some(hint))
}

/// A column that has no counterpart in its resource.
pub(crate) fn column_not_found(message: String, hint: &str) -> ! {
    let code = PgSqlErrorCode::ERRCODE_FDW_COLUMN_NAME_NOT_FOUND;
    report(PgLogLevel::ERROR, code, message, None, Some(hint.to_owned()))
}

/// A query that cannot be sent without another condition.
pub(crate) fn unbound_key(message: String, detail: String, hint: String) -> ! {
    let code = PgSqlErrorCode::ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION;
    report(PgLogLevel::ERROR, code, message, Some(detail), Some(hint))
}

/// A defect of this library.
pub(crate) fn internal(message: &str) -> ! {
    raise(Error::new(ErrorKind::Internal, message))
}

/// A LIMIT below 0, in the words of `recompute_limits` (nodeLimit.c).
pub(crate) fn negative_limit() -> ! {
    let code = PgSqlErrorCode::ERRCODE_INVALID_ROW_COUNT_IN_LIMIT_CLAUSE;
    report(PgLogLevel::ERROR, code, "LIMIT must not be negative".into(), None, None)
}

/// An OFFSET below 0.
pub(crate) fn negative_offset() -> ! {
    let code = PgSqlErrorCode::ERRCODE_INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE;
    report(PgLogLevel::ERROR, code, "OFFSET must not be negative".into(), None, None)
}

/// A column whose type cannot show what it stands for.
pub(crate) fn wrong_type(message: String, hint: String) -> ! {
    let code = PgSqlErrorCode::ERRCODE_FDW_INVALID_DATA_TYPE;
    report(PgLogLevel::ERROR, code, message, None, Some(hint))
}

/// A null in a column that PostgreSQL takes to have none.
pub(crate) fn null_value(table: &str, column: &str) -> ! {
    let code = PgSqlErrorCode::ERRCODE_NOT_NULL_VIOLATION;
    let message = format!(
        "column \"{column}\" of foreign table \"{table}\" is NOT NULL, but a row from awork has no value for it"
    );
    let hint = "ALTER FOREIGN TABLE … ALTER COLUMN … DROP NOT NULL shows it as null.".to_owned();
    report(PgLogLevel::ERROR, code, message, None, Some(hint))
}

/// A value that PostgreSQL's own input function refused.
pub(crate) fn unconvertible(message: String, detail: Vec<String>) -> ! {
    let code = PgSqlErrorCode::ERRCODE_FDW_INVALID_DATA_TYPE;
    report(PgLogLevel::ERROR, code, message, detail, None)
}

/// Whether an error is about a value and not about the server or the statement: the classes
/// 22 (data exception) and 23 (a domain's constraint).
pub(crate) fn is_of_value(code: PgSqlErrorCode) -> bool {
    let digit = |place: u32| ((code as u32 >> (6 * place)) & 0x3f) + u32::from(b'0');
    digit(0) == u32::from(b'2') && [u32::from(b'2'), u32::from(b'3')].contains(&digit(1))
}

/// An option that only superusers may set.
pub(crate) fn superuser_only(option: &str) -> ! {
    report(
        PgLogLevel::ERROR,
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("permission denied to set option \"{option}\""),
        Some("Only superusers can name files of the database server.".to_owned()),
        None,
    )
}

/// Something of a role that the current user is not.
pub(crate) fn not_the_role(role: &str) -> ! {
    report(
        PgLogLevel::ERROR,
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("permission denied for the login of role \"{role}\""),
        Some("Superusers and the members of the role have it.".to_owned()),
        None,
    )
}

/// A secret where every role can read it.
pub(crate) fn warn_public_secret(option: &str) {
    warn(
        PgSqlErrorCode::ERRCODE_WARNING,
        format!("every role of this cluster can read the server option \"{option}\""),
        Some(&format!(
            "Put it into a user mapping to keep it secret: \
             CREATE USER MAPPING FOR … SERVER … OPTIONS ({option} '…'), \
             then ALTER SERVER … OPTIONS (DROP {option}).",
        )),
    );
}

/// Something about a scan that the user should know.
pub(crate) fn warn_incomplete(message: String) {
    let hint = "Rows may have been deleted while they were read, or awork left some out.";
    warn(PgSqlErrorCode::ERRCODE_WARNING, message, Some(hint));
}

/// Values that a table shows as null since they do not fit, if there are any.
pub(crate) fn warn_mismatches(table: &str, values: u64) {
    if values > 0 {
        let message = format!(
            "{values} values from awork do not fit their columns of foreign table \"{table}\" and are shown as null"
        );
        let hint = "The column attrs has them as they came. With the option on_type_mismatch 'error', \
                    the error says which they are.";
        warn(PgSqlErrorCode::ERRCODE_WARNING, message, Some(hint));
    }
}

/// A credential that sees only a part.
pub(crate) fn warn_not_admin(server: &str) {
    let message = format!(
        "the credential for foreign server \"{server}\" is no admin in awork, so rows may be missing"
    );
    let hint = "awork leaves out what the credential may not see. awork_fdw_check says who asks; \
                SET awork_fdw.warn_not_admin = off hides this warning.";
    warn(PgSqlErrorCode::ERRCODE_WARNING, message, Some(hint));
}

/// Writes to the server's log what requests have been sent since the last time.
pub(crate) fn log_requests() {
    for note in awork_api::journal::take() {
        let code = PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION;
        ErrorReport::new(code, pg::sayable(format!("awork_fdw: {note}")), "")
            .report(PgLogLevel::LOG);
    }
}

/// What may be said of a text: awork may have echoed a secret, as a value of a row for example.
fn said(text: &str) -> String {
    pg::sayable(redacted(text))
}

fn warn(code: PgSqlErrorCode, message: String, hint: Option<&str>) {
    let mut report = ErrorReport::new(code, said(&message), "");
    if let Some(hint) = hint {
        report = report.set_hint(said(hint));
    }
    report.report(PgLogLevel::WARNING);
}

fn report(
    level: PgLogLevel,
    code: PgSqlErrorCode,
    message: String,
    detail: impl IntoIterator<Item = String>,
    hint: Option<String>,
) -> ! {
    let mut report = ErrorReport::new(code, said(&message), "");
    let detail: Vec<String> = detail.into_iter().collect();
    if !detail.is_empty() {
        report = report.set_detail(said(&detail.join("\n")));
    }
    if let Some(hint) = hint {
        report = report.set_hint(said(&hint));
    }
    report.report(level);
    unreachable!("an error does not return")
}
