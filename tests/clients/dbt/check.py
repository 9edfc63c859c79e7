"""dbt: sources, tests, and a model that each run adds to by updated_on."""
import json
import os
import subprocess

import psycopg2

import checks

TARGET = os.path.join(os.environ["WORK"], "target")
DBT = ["dbt", "--no-use-colors", "--no-send-anonymous-usage-stats", "build", "--profiles-dir", ".",
       "--target-path", TARGET, "--log-path", os.path.join(os.environ["WORK"], "logs")]
# What dbt made of a time entry, and what the sandbox has.
MADE = "SELECT id::text, duration, note, updated_on FROM dbt.entries ORDER BY 1"
TRUTH = ("SELECT e ->> 'id', (e ->> 'duration')::integer, e ->> 'note', (e ->> 'updatedOn')::timestamptz"
         " FROM jsonb_array_elements(%s::jsonb) AS e ORDER BY 1")


def build(run, *options):
    """Runs the models and the tests."""
    done = subprocess.run([*DBT, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise SystemExit(f"not ok dbt build, {run}\n{done.stdout}")
    with open(os.path.join(TARGET, "run_results.json"), encoding="utf-8") as file:
        for result in json.load(file)["results"]:
            checks.equal(f"{run}: {result['unique_id']}", result["status"] in ("pass", "success"), True)


def query(sql, *parameters):
    with psycopg2.connect("") as session, session.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def truth():
    return query(TRUTH, json.dumps(checks.sandbox("GET", "/rows/time_entries")))


def main():
    build("first run")
    checks.equal("the first run has all rows", query(MADE), truth())
    checks.equal("a model over it and foreign tables has the right hours",
                 query("SELECT client, month, round(hours, 6) FROM dbt.hours_by_client ORDER BY 1, 2"),
                 query("SELECT coalesce(c.name, '(no client)'), date_trunc('month', e.start_date_local)::date,"
                       " round(sum(e.duration) / 3600.0, 6) FROM copy.time_entries e"
                       " LEFT JOIN copy.projects p ON p.id = e.project_id"
                       " LEFT JOIN copy.companies c ON c.id = p.company_id GROUP BY 1, 2 ORDER BY 1, 2"))
    before = {row[0]: row for row in truth()}
    deleted, updated = sorted(before)[:5], sorted(before)[5:15]
    late = "2026-10-15T10:00:00Z"
    checks.sandbox("POST", "/changes", {
        "resource": "time_entries", "delete": deleted, "insert": [{"note": "new", "updatedOn": late}] * 3,
        "update": [{"row": id, "set": {"note": "changed", "updatedOn": late}} for id in updated]})
    checks.sandbox("DELETE", "/log")
    build("second run", "--select", "entries", "--exclude", "resource_type:test")
    asked = checks.requests("/timeentries")
    checks.holds("the second run asks for what has changed only",
                 asked and sum(entry["rows"] for entry in asked) < len(before) / 10, asked)
    after = {row[0]: row for row in truth()}
    made = {row[0]: row for row in query(MADE)}
    checks.equal("it has what is new and changed", {id: made.get(id) for id in after}, after)
    checks.equal("it keeps what was deleted, of which awork tells nothing", sorted(made.keys() - after.keys()), deleted)
    build("full refresh", "--full-refresh", "--select", "entries+")
    checks.equal("a full refresh has what is there, and nothing else", query(MADE), truth())


if __name__ == "__main__":
    main()
