"""Python: psycopg 3, SQLAlchemy's reflection, and pandas."""
import datetime
import decimal
import io
import threading
import time
import uuid

import pandas
import psycopg
import sqlalchemy
from psycopg.types.json import Jsonb

import checks

URL = sqlalchemy.engine.URL.create("postgresql+psycopg")


def same(cursor, what, sql, *parameters):
    """Holds that a query has the rows of the copy, and that it has some."""
    here, there = (cursor.execute(q, parameters).fetchall() for q in (sql, sql.replace("awork.", "copy.")))
    checks.equal(what, here, there)
    checks.holds(f"{what}: there are rows", here)


def psycopg_parameters(session, binary):
    cursor = session.cursor(binary=binary)
    form = "binary" if binary else "text"
    examples = [
        (uuid.UUID, "time_entries", "project_id", "project_id = %b"),
        (str, "projects", "name", "name = %b"),
        (int, "time_entries", "duration", "duration = %b"),
        (int, "tasks", "resource_version", "resource_version = %b"),
        (float, "tasks", "subtask_order", "subtask_order <= %b"),
        (decimal.Decimal, "time_entries", "(duration / 60.0)", "duration / 60.0 >= %b"),
        (bool, "time_entries", "is_billable", "is_billable = %b"),
        (datetime.date, "time_bookings", "start_date", "start_date >= %b"),
        (datetime.datetime, "time_entries", "start_date_local", "start_date_local < %b"),
        (datetime.datetime, "time_entries", "created_on", "created_on >= %b"),
        (datetime.time, "time_entries", "start_time_local", "start_time_local = %b"),
        (list, "projects", "tags", "tags = %b"),
    ]
    for kind, table, column, condition in examples:
        values = cursor.execute(f"SELECT v FROM (SELECT DISTINCT {column} AS v FROM copy.{table}) AS d"
                                " WHERE v IS NOT NULL ORDER BY md5(v::text) LIMIT 7").fetchall()
        assert all(isinstance(value, kind) for value, in values), values
        condition = condition if binary else condition.replace("%b", "%t")
        query = f"SELECT id, {column} FROM awork.{table} WHERE {condition} ORDER BY id"
        found = 0
        for value, in values:
            value = Jsonb(value) if kind is list else value
            # Prepared from the first time on.
            here, there = (cursor.execute(q, [value], prepare=True).fetchall()
                           for q in (query, query.replace("awork.", "copy.")))
            if here != there:
                checks.equal(f"{condition} with {value!r}", here, there)
            found += len(here)
        checks.holds(f"{condition} with a {kind.__name__}, as {form}", found > 0)
    for column, table in [("project_id", "time_entries"), ("task_status_type", "tasks"),
                          ("duration", "time_entries"), ("start_date_local", "time_entries")]:
        array = [value for value, in cursor.execute(
            f"SELECT DISTINCT {column} FROM copy.{table} WHERE {column} IS NOT NULL ORDER BY 1 LIMIT 3")]
        same(cursor, f"{column} = ANY with an array, as {form}",
             f"SELECT id FROM awork.{table} WHERE {column} = ANY (%s) ORDER BY id", array)


def psycopg_batches(session):
    expected = session.execute("SELECT id FROM copy.time_entries ORDER BY 1").fetchall()
    counts = []
    for most in (len(expected), 50):
        checks.sandbox("DELETE", "/log")
        with session.transaction(), session.cursor("entries") as cursor:
            cursor.execute("SELECT id FROM awork.time_entries")
            found = cursor.fetchmany(50)
            while len(found) < most and (batch := cursor.fetchmany(50)):
                found += batch
        counts.append(len(checks.requests("/timeentries")))
        if most == len(expected):
            checks.equal("rows that are fetched in batches are all the rows", sorted(found), expected)
    checks.holds("a cursor that is closed early leaves pages unread", 0 < counts[1] < counts[0] / 2, counts)


def psycopg_copy(session):
    texts = []
    for schema in ("awork", "copy"):
        text = io.BytesIO()
        with session.cursor().copy(f"COPY (SELECT id, note, duration, created_on FROM {schema}.time_entries"
                                   " ORDER BY id) TO STDOUT (FORMAT csv)") as data:
            for part in data:
                text.write(part)
        texts.append(text.getvalue())
    checks.equal("COPY … TO STDOUT", *texts)


def psycopg_cancel(session):
    checks.sandbox("POST", "/faults", {"path": "/timeentries", "kind": "latency", "ms": 20000})
    cancelled = []

    def canceller():
        time.sleep(0.5)
        cancelled.append(time.monotonic())
        session.cancel_safe()

    thread = threading.Thread(target=canceller)
    thread.start()
    try:
        session.execute("SELECT id FROM awork.time_entries")
    except psycopg.errors.QueryCanceled:
        took = time.monotonic() - cancelled[0]
        checks.holds("cancel_safe takes effect within a second", took < 1, took)
    else:
        raise SystemExit("not ok cancel_safe ends the statement")
    finally:
        thread.join()
    checks.holds("no request is left", checks.nothing_runs())
    checks.sandbox("DELETE", "/faults")
    checks.equal("no statement is left", session.execute(
        "SELECT query FROM pg_stat_activity WHERE datname = current_database()"
        " AND state = 'active' AND pid <> pg_backend_pid()").fetchall(), [])
    same(session.cursor(), "the connection goes on", "SELECT count(*) FROM awork.time_entries")


def reflection(engine, session):
    inspector = sqlalchemy.inspect(engine)
    expected = session.execute(
        "SELECT DISTINCT table_name, table_comment FROM awork_fdw_catalog ORDER BY 1").fetchall()
    names = [name for name, _ in expected]
    checks.equal("get_foreign_table_names lists the tables",
                 sorted(inspector.get_foreign_table_names("awork")), names)
    checks.equal("get_table_names does not", inspector.get_table_names("awork"), [])
    metadata = sqlalchemy.MetaData(schema="awork")
    metadata.reflect(engine)
    checks.equal("neither does MetaData.reflect", list(metadata.tables), [])
    checks.equal("get_table_comment has the comments", [
        (name, inspector.get_table_comment(name, "awork")["text"]) for name in names], expected)
    checks.equal("get_columns has the columns with their comments", [
        (column["name"], column["comment"]) for column in inspector.get_columns("time_entries", "awork")],
        session.execute("SELECT column_name, column_comment FROM awork_fdw_catalog"
                        " WHERE table_name = 'time_entries' ORDER BY ordinal_position").fetchall())
    projects, entries = (sqlalchemy.Table(name, metadata, autoload_with=engine)
                         for name in ("projects", "time_entries"))
    checks.equal("every reflected column has a type", [
        column.name for column in (*projects.columns, *entries.columns)
        if isinstance(column.type, sqlalchemy.types.NullType)], [])
    query = (sqlalchemy.select(projects.c.name, sqlalchemy.func.sum(entries.c.duration).label("seconds"))
             .join(entries, entries.c.project_id == projects.c.id)
             .where(entries.c.start_date_local >= datetime.datetime(2026, 9, 1), entries.c.is_billable)
             .group_by(projects.c.id, projects.c.name).order_by(sqlalchemy.desc("seconds"), projects.c.name)
             .limit(10))
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(query)]
        checks.equal("a join of reflected tables", found, session.execute(
            "SELECT p.name, sum(t.duration) AS seconds FROM copy.projects p JOIN copy.time_entries t"
            " ON t.project_id = p.id WHERE t.start_date_local >= '2026-09-01' AND t.is_billable"
            " GROUP BY p.id, p.name ORDER BY 2 DESC, 1 LIMIT 10").fetchall())
        streamed = connection.execution_options(yield_per=50).execute(sqlalchemy.select(entries.c.id))
        checks.equal("rows that are streamed are all the rows", sorted(id for id, in streamed),
                     [id for id, in session.execute("SELECT id FROM copy.time_entries ORDER BY 1")])


def frames(engine):
    query = ("SELECT id, duration, is_billable, start_date_local, created_on, task_id, user_last_name"
             " FROM awork.time_entries ORDER BY id")
    with engine.connect() as connection:
        here, there = (pandas.read_sql(q, connection) for q in (query, query.replace("awork.", "copy.")))
        pandas.testing.assert_frame_equal(here, there)
        checks.equal("a frame has the copy's types",
                     [str(here[column].dtype)[:10] for column in ("duration", "is_billable", "start_date_local")],
                     ["int64", "bool", "datetime64"])
        batches = connection.execution_options(stream_results=True)
        parts = list(pandas.read_sql(query, batches, chunksize=200))
        checks.holds("a frame comes in parts", len(parts) > 5, len(parts))
        pandas.testing.assert_frame_equal(pandas.concat(parts, ignore_index=True), there)
        checks.holds("its parts are the whole", True)
        pivot = (here.assign(month=here.start_date_local.dt.strftime("%Y-%m"))
                 .pivot_table(index="month", columns="is_billable", values="duration", aggfunc="sum", fill_value=0))
        by_sql = pandas.read_sql(
            "SELECT to_char(start_date_local, 'YYYY-MM') AS month,"
            " coalesce(sum(duration) FILTER (WHERE NOT is_billable), 0) AS no,"
            " coalesce(sum(duration) FILTER (WHERE is_billable), 0) AS yes"
            " FROM copy.time_entries GROUP BY 1 ORDER BY 1", connection)
        checks.equal("hours by month are those of SQL", [(month, row[False], row[True]) for month, row in pivot.iterrows()],
                     list(by_sql.itertuples(index=False, name=None)))


if __name__ == "__main__":
    with psycopg.connect(autocommit=True) as session:
        psycopg_parameters(session, binary=False)
        psycopg_parameters(session, binary=True)
        psycopg_batches(session)
        psycopg_copy(session)
        psycopg_cancel(session)
        engine = sqlalchemy.create_engine(URL)
        reflection(engine, session)
        frames(engine)
        engine.dispose()
