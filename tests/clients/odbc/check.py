"""ODBC with unixODBC and psqlODBC, the driver of Power BI's, Excel's and Tableau's other connections."""
import datetime
import decimal
import glob
import os
import threading
import time
import uuid

import pyodbc

import checks

# A driver may be named by its file, so that no odbcinst.ini is needed.
DRIVER = glob.glob("/usr/lib/*/odbc/psqlodbcw.so")[0]
pyodbc.native_uuid = True
CONNECTION = ("Driver={driver};Server={PGHOST};Port={PGPORT};Database={PGDATABASE};UID={PGUSER};"
              "UseDeclareFetch={batches};Fetch=50;BoolsAsChar=0;MaxLongVarcharSize=1000000")


def connect(batches=0):
    text = CONNECTION.format(driver=DRIVER, batches=batches, **os.environ)
    return pyodbc.connect(text, autocommit=not batches)


def rows(connection, sql, *parameters):
    return [tuple(row) for row in connection.execute(sql, *parameters).fetchall()]


def tables(connection):
    expected = rows(connection, "SELECT DISTINCT table_name, table_comment FROM awork_fdw_catalog")
    listed = {table.table_name: table for table in connection.cursor().tables(schema="awork")}
    checks.equal("SQLTables lists tables and views", sorted(listed),
                 sorted([name for name, _ in expected] + ["hours_by_project"]))
    checks.equal("SQLTables calls them foreign tables",
                 {name: table.table_type for name, table in listed.items()},
                 {name: "FOREIGN TABLE" for name, _ in expected} | {"hours_by_project": "VIEW"})
    checks.equal("SQLTables lists them among the types TABLE and VIEW too", sorted(
        table.table_name for table in connection.cursor().tables(schema="awork", tableType="TABLE,VIEW")),
                 sorted(listed))
    checks.equal("SQLTables has no comments, whatever tables have",
                 {table.remarks for table in listed.values()}, {""})
    checks.equal("comments are there by SQL", rows(
        connection, "SELECT relname, obj_description(oid, 'pg_class') FROM pg_class"
                    " WHERE relnamespace = 'awork'::regnamespace AND relkind = 'f' ORDER BY 1"), sorted(expected))
    columns = [(column.column_name, column.type_name)
               for column in connection.cursor().columns(schema="awork", table="time_entries")]
    checks.equal("SQLColumns lists all columns with their types", columns, rows(
        connection, "SELECT column_name::text, udt_name::text FROM information_schema.columns WHERE"
                    " table_schema = 'awork' AND table_name = 'time_entries' ORDER BY ordinal_position"))


def parameters(connection):
    def parameter(kind, table, column, condition):
        values = [row[0] for row in rows(
            connection, f"SELECT v FROM (SELECT DISTINCT {column} AS v FROM copy.{table}) AS d"
                        " WHERE v IS NOT NULL ORDER BY md5(v::text) LIMIT 7")]
        found = 0
        for value in values:
            assert isinstance(value, kind), f"{value!r} is no {kind}"
            query = f"SELECT id, {column} FROM awork.{table} WHERE {condition} ORDER BY id"
            here, there = (rows(connection, q, value) for q in (query, query.replace("awork.", "copy.")))
            if here != there:
                checks.equal(f"{condition} with {value!r}", here, there)
            found += len(here)
        checks.holds(f"{condition} with a {kind.__name__}", found > 0, values)

    parameter(uuid.UUID, "time_entries", "project_id", "project_id = ?")
    parameter(str, "projects", "name", "name = ?")
    parameter(int, "time_entries", "duration", "duration = ?")
    parameter(int, "tasks", "resource_version", "resource_version = ?")
    parameter(float, "tasks", "subtask_order", "subtask_order <= ?")
    parameter(decimal.Decimal, "time_entries", "(duration / 60.0)", "duration / 60.0 >= ?")
    parameter(bool, "time_entries", "is_billable", "is_billable = ?")
    parameter(datetime.date, "time_bookings", "start_date", "start_date >= ?")
    parameter(datetime.datetime, "time_entries", "start_date_local", "start_date_local < ?")
    parameter(datetime.datetime, "time_entries", "created_on", "created_on >= ?")
    parameter(datetime.time, "time_entries", "start_time_local", "start_time_local >= ?")
    parameter(str, "projects", "tags", "tags = ?::jsonb")


def arrays(connection):
    for kind, table, column in [("uuid", "time_entries", "project_id"), ("text", "tasks", "task_status_type"),
                                ("integer", "time_entries", "duration"),
                                ("timestamp", "time_entries", "start_date_local")]:
        # ODBC knows no arrays: they go as text.
        array = rows(connection, f"SELECT array_agg(v)::text FROM (SELECT DISTINCT {column} AS v"
                                 f" FROM copy.{table} ORDER BY 1 LIMIT 3) AS d")[0][0]
        here, there = (rows(connection, f"SELECT id FROM {schema}.{table} WHERE {column} = ANY (?::{kind}[])"
                                        " ORDER BY id", array) for schema in ("awork", "copy"))
        checks.equal(f"= ANY with an array of {kind}", here, there)


def batches():
    connection = connect(batches=1)
    expected = sorted(rows(connection, "SELECT id FROM copy.time_entries"))
    checks.sandbox("DELETE", "/log")
    checks.equal("rows that are fetched in batches are all the rows",
                 sorted(rows(connection, "SELECT id FROM awork.time_entries")), expected)
    pages = len(checks.requests("/timeentries"))
    connection.rollback()
    checks.sandbox("DELETE", "/log")
    cursor = connection.execute("SELECT id FROM awork.time_entries")
    cursor.fetchone()
    cursor.close()
    connection.close()
    checks.holds("a result that is closed early leaves pages unread",
                 0 < len(checks.requests("/timeentries")) < pages / 2, pages)


def cancel(connection):
    checks.sandbox("POST", "/faults", {"path": "/timeentries", "kind": "latency", "ms": 20000})
    cursor = connection.cursor()
    cancelled = []

    def canceller():
        time.sleep(0.5)
        cancelled.append(time.monotonic())
        cursor.cancel()

    thread = threading.Thread(target=canceller)
    thread.start()
    checks.equal("SQLCancel ends the statement",
                 state(lambda: cursor.execute("SELECT id FROM awork.time_entries")), "57014")
    ended = time.monotonic()
    thread.join()
    checks.holds("SQLCancel takes effect within a second", ended - cancelled[0] < 1, ended - cancelled[0])
    checks.holds("no request is left after SQLCancel", checks.nothing_runs())
    # psqlODBC knows no timeout of its own; a connection string has ConnSettings=SET … for this.
    connection.execute("SET statement_timeout = '700ms'")
    started = time.monotonic()
    checks.equal("statement_timeout ends the statement",
                 state(lambda: connection.execute("SELECT id FROM awork.time_entries")), "57014")
    took = time.monotonic() - started
    checks.holds("statement_timeout takes effect within a second of its time", took < 1.7, took)
    checks.holds("no request is left after statement_timeout", checks.nothing_runs())
    connection.execute("RESET statement_timeout")
    checks.equal("no statement is left", rows(
        connection, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND state = 'active' AND pid <> pg_backend_pid()"), [(0,)])
    checks.sandbox("DELETE", "/faults")
    checks.equal("the connection goes on", rows(connection, "SELECT count(*) FROM awork.time_entries"),
                 rows(connection, "SELECT count(*) FROM copy.time_entries"))


def state(action):
    try:
        action()
    except pyodbc.Error as error:
        return error.args[0]
    return "no error"


if __name__ == "__main__":
    session = connect()
    tables(session)
    parameters(session)
    arrays(session)
    batches()
    cancel(session)
