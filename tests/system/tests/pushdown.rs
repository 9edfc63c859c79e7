//! Which requests a statement may send: exactly these and no others, and the rows that
//! PostgreSQL would give over a copy of the data. `system_tests::checked` says what the
//! placeholders mean.

use awork_sandbox::{Config, Feature, Refused};
use system_tests::checked::{Checked, case, check, rows, unlike};

const SCALE: usize = 2_500;

fn checked(name: &str) -> Option<Checked> {
    let config = Config { scale: SCALE, ..Config::default() };
    Checked::new(name, config)
}

#[test]
fn counting() {
    let Some(mut w) = checked("pushdown_counts") else { return };
    check(
        &mut w,
        &[
            case("SELECT count(*) FROM time_entries", &["/timeentries?page=1&pageSize=1"]),
            case("SELECT count(id) FROM time_entries", &["/timeentries?page=1&pageSize=1"]),
            case(
                "SELECT count(*) * 2, count(id) + 1 FROM time_entries",
                &["/timeentries?page=1&pageSize=1"],
            ),
            case(
                "SELECT count(*) FROM time_entries WHERE is_billable",
                &["/timeentries?page=1&pageSize=1&filterby=isBillable eq true"],
            ),
            case(
                "SELECT count(*) FROM time_entries WHERE project_id = '{project}' AND task_id IS NULL",
                &[
                    "/timeentries?page=1&pageSize=1&filterby=taskId eq null and projectId eq guid'{project}'",
                ],
            ),
            case(
                "SELECT count(*) FROM time_entries WHERE project_id IN ('{project}', '{project2}', NULL)",
                &["/timeentries?page=1&pageSize=1&filterby={in projectId two}"],
            ),
            case(
                "SELECT count(*) FROM time_entries WHERE start_date_utc >= '2026-01-01'",
                &[
                    "/timeentries?page=1&pageSize=1&filterby=startDateUtc ge datetime'2026-01-01T00:00:00'",
                ],
            ),
            // A superset has to be read and checked.
            case(
                "SELECT count(*) FROM time_entries WHERE duration > 7200",
                &["/timeentries?page=1&pageSize=1000&filterby=duration gt 7200&{s}"],
            ),
            case(
                "SELECT count(*) FROM time_entries WHERE created_on >= '2026-09-01 00:00:00Z'",
                &[
                    "/timeentries?page=1&pageSize=1000&filterby=createdOn ge datetime'2026-08-31T23:59:59'&{s}",
                ],
            ),
            // One of two conditions is exact.
            case(
                "SELECT count(*) FROM time_entries WHERE is_billable AND note LIKE '%a%e%'",
                &[
                    "/timeentries?page=1&pageSize=1000&filterby=isBillable eq true and substringof('e',note)&{s}",
                ],
            ),
            // Neither of these is the number of the rows that satisfy the conditions.
            case(
                "SELECT count(note) FROM time_entries",
                &["/timeentries?page={1..3}&pageSize=1000&{s}"],
            ),
            case(
                "SELECT count(DISTINCT user_id) FROM time_entries",
                &["/timeentries?page={1..3}&pageSize=1000&{s}"],
            ),
            case(
                "SELECT count(*) FILTER (WHERE is_billable) FROM time_entries",
                &["/timeentries?page={1..3}&pageSize=1000&{s}"],
            ),
            case(
                "SELECT user_id, count(*) FROM time_entries GROUP BY 1",
                &["/timeentries?page={1..3}&pageSize=1000&{s}"],
            ),
            case(
                "SELECT count(*) FROM time_entries HAVING count(*) < 0",
                &["/timeentries?page={1..3}&pageSize=1000&{s}"],
            ),
            case(
                "SELECT count(*), max(duration) FROM time_entries",
                &["/timeentries?page={1..3}&pageSize=1000&{s}"],
            ),
            // Lists without pages announce nothing.
            case(
                "SELECT count(*) FROM project_members WHERE project_id = '{project}'",
                &["/projects/{project}/members"],
            ),
        ],
    );
}

#[test]
fn limits_and_orders() {
    let Some(mut w) = checked("pushdown_limits") else { return };
    check(&mut w, &[
        case("SELECT id FROM time_entries LIMIT 7", &["/timeentries?page=1&pageSize=7&{s}"]),
        case("SELECT id FROM time_entries WHERE is_billable LIMIT 7", &[
            "/timeentries?page=1&pageSize=7&filterby=isBillable eq true&{s}",
        ]),
        case("SELECT id FROM time_entries WHERE duration > 60 LIMIT 7", &[
            "/timeentries?page=1&pageSize=1000&filterby=duration gt 60&{s}",
        ]),
        case("SELECT created_on FROM time_entries ORDER BY created_on DESC LIMIT 20", &[
            "/timeentries?page=1&pageSize=20&orderby=createdOn desc,id asc",
        ]),
        case("SELECT created_on, is_billable FROM time_entries WHERE is_billable ORDER BY created_on DESC LIMIT 20", &[
            "/timeentries?page=1&pageSize=20&filterby=isBillable eq true&orderby=createdOn desc,id asc",
        ]),
        case("SELECT created_on FROM time_entries ORDER BY created_on DESC LIMIT 20 OFFSET 40", &[
            "/timeentries?page=3&pageSize=20&orderby=createdOn desc,id asc",
        ]),
        // The smallest page that has rows 50 to 69.
        case("SELECT created_on FROM time_entries ORDER BY created_on DESC LIMIT 20 OFFSET 50", &[
            "/timeentries?page=3&pageSize=24&orderby=createdOn desc,id asc",
        ]),
        case("SELECT created_on FROM time_entries ORDER BY created_on OFFSET 2490", &["/timeentries?page=3&pageSize=1000&{s}"]),
        case("SELECT created_on FROM time_entries ORDER BY created_on OFFSET 100000 LIMIT 5", &["/timeentries?page=20001&pageSize=5&{s}"]),
        case(
            "SET plan_cache_mode = force_generic_plan;
             PREPARE q(int, int) AS SELECT created_on FROM time_entries ORDER BY created_on DESC LIMIT $1 OFFSET $2;
             EXECUTE q(20, 40); EXECUTE q(20, 60); EXECUTE q(3, 0)",
            &[
                "/timeentries?page=3&pageSize=20&orderby=createdOn desc,id asc",
                "/timeentries?page=4&pageSize=20&orderby=createdOn desc,id asc",
                "/timeentries?page=1&pageSize=3&orderby=createdOn desc,id asc",
            ],
        ),
        case(
            "SET plan_cache_mode = force_generic_plan;
             PREPARE q(int) AS SELECT created_on FROM time_entries WHERE is_billable ORDER BY created_on LIMIT $1;
             EXECUTE q(5); EXECUTE q(0)",
            &["/timeentries?page=1&pageSize=5&filterby=isBillable eq true&{s}"],
        ),
        // A null limit is none; a null offset is 0.
        case(
            "SET plan_cache_mode = force_generic_plan;
             PREPARE q(int, int) AS SELECT created_on FROM projects ORDER BY created_on LIMIT $1 OFFSET $2;
             EXECUTE q(NULL, NULL)",
            &["/projects?page=1&pageSize=1000&{s}"],
        ),
        case("SELECT min(created_on) FROM time_entries", &["/timeentries?page=1&pageSize=1&{s}"]),
        case("SELECT max(created_on) FROM time_entries WHERE is_billable", &[
            "/timeentries?page=1&pageSize=1&filterby=isBillable eq true&orderby=createdOn desc,id asc",
        ]),
        case("SELECT max(start_date_utc) FROM time_entries", &[
            "/timeentries?page=1&pageSize=1&filterby=startDateUtc ne null&orderby=startDateUtc desc,createdOn asc,id asc",
        ]),
        case("SELECT EXISTS (SELECT FROM time_entries WHERE is_billable)", &[
            "/timeentries?page=1&pageSize=1&filterby=isBillable eq true&{s}",
        ]),
        case("SELECT 1 WHERE EXISTS (SELECT * FROM time_entries)", &["/timeentries?page=1&pageSize=1&{s}"]),
        // What takes rows apart, or looks at more of them, gets pages of the usual size.
        case("SELECT created_on FROM time_entries ORDER BY created_on FETCH FIRST 3 ROWS WITH TIES", &["/timeentries?page=1&pageSize=1000&{s}"]),
        case("SELECT DISTINCT user_id FROM time_entries LIMIT 3", &["/timeentries?page={1..3}&pageSize=1000&{s}"]),
        case("SELECT id, row_number() OVER (ORDER BY created_on) FROM time_entries LIMIT 3", &["/timeentries?page=1&pageSize=1000&{s}"]),
        case("SELECT id FROM time_entries LIMIT 3 FOR UPDATE", &["/timeentries?page=1&pageSize=1000&{s}"]),
        case("SELECT generate_series(1, 2), id FROM time_entries LIMIT 4", &["/timeentries?page=1&pageSize=1000&{s}"]),
        // awork orders text, and nulls, by rules of its own.
        case("SELECT name FROM projects ORDER BY name LIMIT 3", &["/projects?page=1&pageSize=1000&{s}"]),
        case("SELECT duration FROM time_entries ORDER BY duration LIMIT 3", &["/timeentries?page={1..3}&pageSize=1000&{s}"]),
        case("SELECT id FROM time_entries ORDER BY id LIMIT 3", &["/timeentries?page={1..3}&pageSize=1000&{s}"]),
        case("SELECT duration FROM time_entries WHERE duration > 60 ORDER BY duration LIMIT 3", &[
            "/timeentries?page=1&pageSize=1000&filterby=duration gt 60&orderby=duration asc,createdOn asc,id asc",
        ]),
        case("SELECT start_date_utc FROM time_entries WHERE start_date_utc >= '2026-01-01' ORDER BY start_date_utc LIMIT 3", &[
            "/timeentries?page=1&pageSize=3&filterby=startDateUtc ge datetime'2026-01-01T00:00:00'&orderby=startDateUtc asc,createdOn asc,id asc",
        ]),
        // awork does the first key, PostgreSQL the second.
        case("SELECT created_on, user_id FROM time_entries ORDER BY created_on, user_id LIMIT 3", &["/timeentries?page=1&pageSize=1000&{s}"]),
    ]);
}

#[test]
fn filters_on_numbers_booleans_and_identities() {
    let Some(mut w) = checked("pushdown_numbers") else { return };
    check(
        &mut w,
        &[
            case(
                "SELECT count(*) FROM time_entries WHERE NOT is_billable",
                &["/timeentries?page=1&pageSize=1&filterby=isBillable eq false"],
            ),
            case(
                "SELECT count(*) FROM time_entries WHERE is_billable = false",
                &["/timeentries?page=1&pageSize=1&filterby=isBillable eq false"],
            ),
            case(
                "SELECT count(*) FROM time_entries WHERE is_billable IS NOT TRUE",
                &["/timeentries?page=1&pageSize=1&filterby=isBillable eq false"],
            ),
            case(
                "SELECT count(*) FROM time_entries WHERE project_id IS NULL",
                &["/timeentries?page=1&pageSize=1&filterby=projectId eq null"],
            ),
            case(
                "SELECT count(*) FROM time_entries WHERE task_id IS NOT NULL",
                &["/timeentries?page=1&pageSize=1&filterby=taskId ne null"],
            ),
            // awork's `ne` may find nulls, SQL's does not.
            case(
                "SELECT count(*) FROM time_entries WHERE project_id <> '{project}'",
                &[
                    "/timeentries?page=1&pageSize=1&filterby=(projectId ne guid'{project}' and projectId ne null)",
                ],
            ),
            case(
                "SELECT count(*) FROM time_entries WHERE project_id IS DISTINCT FROM '{project}'",
                &[
                    "/timeentries?page=1&pageSize=1&filterby=(projectId ne guid'{project}' or projectId eq null)",
                ],
            ),
            case(
                "SELECT count(*) FROM time_entries WHERE project_id IS NOT DISTINCT FROM '{project}'",
                &["/timeentries?page=1&pageSize=1&filterby=projectId eq guid'{project}'"],
            ),
            case(
                "SELECT count(*) FROM time_entries WHERE project_id NOT IN ('{project}', '{project2}')",
                &[
                    "/timeentries?page=1&pageSize=1&filterby=((projectId ne guid'{project}' and projectId ne null) and (projectId ne guid'{project2}' and projectId ne null))",
                ],
            ),
            // Unknown is not true.
            case(
                "SELECT count(*) FROM time_entries WHERE project_id NOT IN ('{project}', NULL)",
                &[],
            ),
            case(
                "SELECT id FROM time_entries WHERE duration = 3600",
                &["/timeentries?page=1&pageSize=1000&filterby=duration eq 3600&{s}"],
            ),
            case(
                "SELECT id FROM time_entries WHERE 7200 < duration",
                &["/timeentries?page=1&pageSize=1000&filterby=duration gt 7200&{s}"],
            ),
            case(
                "SELECT id FROM time_entries WHERE duration > 7200.5",
                &["/timeentries?page=1&pageSize=1000&filterby=duration gt 7200&{s}"],
            ),
            case(
                "SELECT id FROM time_entries WHERE duration::bigint >= 7200",
                &["/timeentries?page=1&pageSize=1000&filterby=duration ge 7200&{s}"],
            ),
            case(
                "SELECT id FROM time_entries WHERE duration::numeric <= 899.5",
                &["/timeentries?page=1&pageSize=1000&filterby=duration le 899&{s}"],
            ),
            case(
                "SELECT id FROM time_entries WHERE duration BETWEEN 7200 AND 9000",
                &[
                    "/timeentries?page=1&pageSize=1000&filterby=duration ge 7200 and duration le 9000&{s}",
                ],
            ),
            case(
                "SELECT id FROM time_entries WHERE duration IN (900, 5400)",
                &[
                    "/timeentries?page=1&pageSize=1000&filterby=(duration eq 5400 or duration eq 900)&{s}",
                ],
            ),
            // Past what awork says the property can hold, which is left to PostgreSQL.
            case(
                "SELECT id FROM time_entries WHERE duration > 3000000000",
                &["/timeentries?page={1..3}&pageSize=1000&{s}"],
            ),
            // No integer is between two of them.
            case("SELECT id FROM time_entries WHERE duration = 0.5", &[]),
            // awork cannot check these.
            case(
                "SELECT id FROM projects WHERE tracked_duration > 0",
                &["/projects?page=1&pageSize=1000&{s}"],
            ),
            case(
                "SELECT id FROM time_entries WHERE duration % 7 = 0",
                &["/timeentries?page={1..3}&pageSize=1000&{s}"],
            ),
            case(
                "SELECT id FROM time_entries WHERE duration > break_duration",
                &["/timeentries?page={1..3}&pageSize=1000&{s}"],
            ),
            case(
                "SELECT id FROM time_entries WHERE attrs ->> 'isBillable' = 'true'",
                &["/timeentries?page={1..3}&pageSize=1000&{s}"],
            ),
            // Trees.
            case(
                "SELECT count(*) FROM time_entries WHERE is_billable OR task_id IS NULL",
                &["/timeentries?page=1&pageSize=1&filterby=(isBillable eq true or taskId eq null)"],
            ),
            case(
                "SELECT count(*) FROM time_entries WHERE NOT (is_billable OR task_id IS NULL)",
                &["/timeentries?page=1&pageSize=1&filterby=isBillable eq false and taskId ne null"],
            ),
            case(
                "SELECT count(*) FROM time_entries WHERE (is_billable AND project_id = '{project}') OR (NOT is_billable AND project_id = '{project2}')",
                &[
                    "/timeentries?page=1&pageSize=1&filterby=((isBillable eq true and projectId eq guid'{project}') or (isBillable eq false and projectId eq guid'{project2}'))",
                ],
            ),
            // A part that awork cannot check leaves the other one in a conjunction, and nothing of a
            // disjunction.
            case(
                "SELECT id FROM time_entries WHERE project_id = '{project}' AND (is_billable OR duration % 7 = 0)",
                &["/timeentries?page=1&pageSize=1000&filterby=projectId eq guid'{project}'&{s}"],
            ),
            case(
                "SELECT id FROM time_entries WHERE (project_id = '{project}' AND duration % 7 = 0) OR project_id = '{project2}'",
                &[
                    "/timeentries?page=1&pageSize=1000&filterby=(projectId eq guid'{project}' or projectId eq guid'{project2}')&{s}",
                ],
            ),
            case(
                "SELECT count(*) FROM time_entries WHERE is_running",
                &[
                    "/timeentries?page=1&pageSize=1&filterby=(startTimeUtc ne null and endTimeUtc eq null)",
                ],
            ),
            case(
                "SELECT count(*) FROM time_entries WHERE NOT is_running",
                &[
                    "/timeentries?page=1&pageSize=1&filterby=(startTimeUtc eq null or endTimeUtc ne null)",
                ],
            ),
            // Nothing can come of these.
            case("SELECT * FROM time_entries WHERE false", &[]),
            case("SELECT * FROM time_entries WHERE id = NULL", &[]),
            case("SELECT * FROM time_entries WHERE project_id = NULL", &[]),
            case("SELECT * FROM time_entries LIMIT 0", &[]),
            case("SELECT count(*) FROM time_entries WHERE project_id = ANY ('{}')", &[]),
        ],
    );
}

#[test]
fn filters_on_dates_and_times() {
    let Some(mut w) = checked("pushdown_times") else { return };
    check(&mut w, &[
        case("SELECT count(*) FROM time_entries WHERE start_date_utc = '2026-10-01'", &[
            "/timeentries?page=1&pageSize=1&filterby=startDateUtc eq datetime'2026-10-01T00:00:00'",
        ]),
        case("SELECT count(*) FROM time_entries WHERE start_date_utc BETWEEN '2026-09-01' AND '2026-09-30'", &[
            "/timeentries?page=1&pageSize=1&filterby=startDateUtc ge datetime'2026-09-01T00:00:00' and startDateUtc le datetime'2026-09-30T00:00:00'",
        ]),
        // A bound within a day is moved to where such times can be: a whole second.
        case("SELECT count(*) FROM time_entries WHERE start_date_utc > '2026-09-01 12:00:00.5'", &[
            "/timeentries?page=1&pageSize=1&filterby=startDateUtc gt datetime'2026-09-01T12:00:00'",
        ]),
        case("SELECT count(*) FROM time_entries WHERE start_date_utc < '2026-09-01 12:00:00.5'", &[
            "/timeentries?page=1&pageSize=1&filterby=startDateUtc lt datetime'2026-09-01T12:00:01'",
        ]),
        case("SELECT count(*) FROM time_entries WHERE start_date_utc = '2026-09-01 00:00:00.5'", &[]),
        // Dates become instants by the session's zone.
        case("SET TimeZone = 'Europe/Berlin'; SELECT count(*) FROM time_entries WHERE start_date_utc >= date '2026-09-01'", &[
            "/timeentries?page=1&pageSize=1&filterby=startDateUtc ge datetime'2026-08-31T22:00:00'",
        ]),
        case("SET TimeZone = 'America/New_York'; SELECT count(*) FROM time_entries WHERE start_date_utc >= date '2026-09-01'", &[
            "/timeentries?page=1&pageSize=1&filterby=startDateUtc ge datetime'2026-09-01T04:00:00'",
        ]),
        case("SET TimeZone = 'Asia/Kolkata'; SELECT count(*) FROM time_entries WHERE start_date_utc < timestamp '2026-09-01 05:30'", &[
            "/timeentries?page=1&pageSize=1&filterby=startDateUtc lt datetime'2026-09-01T00:00:00'",
        ]),
        case("SET TimeZone = 'Europe/Berlin'; SELECT count(*) FROM time_entries WHERE start_date_utc >= '2026-03-29'", &[
            "/timeentries?page=1&pageSize=1&filterby=startDateUtc ge datetime'2026-03-28T23:00:00'",
        ]),
        // The wall clock has no zone.
        case("SET TimeZone = 'Asia/Kolkata'; SELECT count(*) FROM time_entries WHERE start_date_local >= '2026-09-01'", &[
            "/timeentries?page=1&pageSize=1&filterby=startDateLocal ge datetime'2026-09-01T00:00:00'",
        ]),
        case("SET TimeZone = 'Asia/Kolkata'; SELECT count(*) FROM time_entries WHERE start_date_local >= date '2026-09-01'", &[
            "/timeentries?page=1&pageSize=1&filterby=startDateLocal ge datetime'2026-09-01T00:00:00'",
        ]),
        // A wall clock that is made a date is a day.
        case("SET TimeZone = 'Asia/Kolkata'; SELECT count(*) FROM time_entries WHERE start_date_local::date >= '2026-09-01' AND start_date_local::date < '2026-10-01'", &[
            "/timeentries?page=1&pageSize=1&filterby=startDateLocal ge datetime'2026-09-01T00:00:00' and startDateLocal lt datetime'2026-10-01T00:00:00'",
        ]),
        case("SELECT count(*) FROM time_entries WHERE start_date_local::date BETWEEN '2026-09-01' AND '2026-09-30'", &[
            "/timeentries?page=1&pageSize=1&filterby=startDateLocal ge datetime'2026-09-01T00:00:00' and startDateLocal lt datetime'2026-10-01T00:00:00'",
        ]),
        case("SELECT id FROM time_entries WHERE '2026-10-01' = start_date_local::date", &[
            "/timeentries?page=1&pageSize=1000&filterby=(startDateLocal ge datetime'2026-10-01T00:00:00' and startDateLocal lt datetime'2026-10-02T00:00:00')&{s}",
        ]),
        case("SELECT id FROM time_entries WHERE start_date_local::date >= current_date - 30", &[
            "/timeentries?page=1&pageSize=1000&filterby=startDateLocal ge datetime'{last month}T00:00:00'&{s}",
        ]),
        case("SELECT id FROM time_entries WHERE start_date_local::date >= timestamptz '2026-10-10 00:00:00Z'", &[
            "/timeentries?page=1&pageSize=1000&filterby=startDateLocal ge datetime'2026-10-09T00:00:00'&{s}",
        ]),
        case("SELECT count(*) FROM time_entries WHERE start_date_local::date IN ('2026-10-01', '2026-09-30', NULL)", &[
            "/timeentries?page=1&pageSize=1&filterby=((startDateLocal ge datetime'2026-09-30T00:00:00' and startDateLocal lt datetime'2026-10-01T00:00:00') or (startDateLocal ge datetime'2026-10-01T00:00:00' and startDateLocal lt datetime'2026-10-02T00:00:00'))",
        ]),
        case("SELECT count(*) FROM time_entries WHERE start_date_local::date <> '2026-10-01'", &["/timeentries?page={1..3}&pageSize=1000&{s}"]),
        case("SELECT count(*) FROM time_entries WHERE start_date_local::date IS NULL", &[
            "/timeentries?page=1&pageSize=1&filterby=startDateLocal eq null",
        ]),
        // Of an instant, the day depends on the zone.
        case("SELECT id FROM time_entries WHERE start_date_utc::date = '2026-10-01'", &["/timeentries?page={1..3}&pageSize=1000&{s}"]),
        // An instant and a wall clock compare by the zone, and clocks are put back.
        case("SET TimeZone = 'Europe/Berlin'; SELECT id FROM time_entries WHERE start_date_local >= timestamptz '2026-10-10 00:00:00Z'", &[
            "/timeentries?page=1&pageSize=1000&filterby=startDateLocal ge datetime'2026-10-09T02:00:00'&{s}",
        ]),
        // More digits are stored than PostgreSQL has.
        case("SELECT id FROM time_entries WHERE created_on >= '2026-10-01 00:00:00Z'", &[
            "/timeentries?page=1&pageSize=1000&filterby=createdOn ge datetime'2026-09-30T23:59:59'&{s}",
        ]),
        case("SELECT id FROM time_entries WHERE created_on BETWEEN '2026-10-01 00:00:00.25Z' AND '2026-10-02 00:00:00.75Z'", &[
            "/timeentries?page=1&pageSize=1000&filterby=createdOn ge datetime'2026-10-01T00:00:00' and createdOn le datetime'2026-10-02T00:00:01'&{s}",
        ]),
        case("SELECT id FROM time_entries WHERE created_on > '2026-10-01' AND created_on < '2026-10-02'", &[
            "/timeentries?page=1&pageSize=1000&filterby=createdOn ge datetime'2026-09-30T23:59:59' and createdOn le datetime'2026-10-02T00:00:01'&{s}",
        ]),
        case("SELECT id FROM time_entries WHERE created_on <> '2026-10-01'", &["/timeentries?page={1..3}&pageSize=1000&{s}"]),
        // Of an instant made of a day and a time of day, the day is compared.
        case("SELECT id FROM time_entries WHERE started_at >= '2026-10-05 14:00:00Z' AND started_at < '2026-10-07 09:30:00Z'", &[
            "/timeentries?page=1&pageSize=1000&filterby=startDateUtc ge datetime'2026-10-05T00:00:00' and startDateUtc lt datetime'2026-10-08T00:00:00'&{s}",
        ]),
        // Known once the statement runs.
        case("SELECT count(*) FROM time_entries WHERE start_date_utc >= current_date - 30", &[
            "/timeentries?page=1&pageSize=1&filterby=startDateUtc ge datetime'{last month}T00:00:00'",
        ]),
        case("SELECT count(*) FROM time_entries WHERE start_date_utc >= date_trunc('day', now()) - interval '30 days'", &[
            "/timeentries?page=1&pageSize=1&filterby=startDateUtc ge datetime'{last month}T00:00:00'",
        ]),
        case(
            "SET plan_cache_mode = force_generic_plan;
             PREPARE q(timestamptz, uuid) AS SELECT count(*) FROM time_entries WHERE start_date_utc >= $1 AND project_id = $2;
             EXECUTE q('2026-01-01', '{project}'); EXECUTE q('2026-02-01', '{project2}'); EXECUTE q(NULL, '{project}')",
            &[
                "/timeentries?page=1&pageSize=1&filterby=startDateUtc ge datetime'2026-01-01T00:00:00' and projectId eq guid'{project}'",
                "/timeentries?page=1&pageSize=1&filterby=startDateUtc ge datetime'2026-02-01T00:00:00' and projectId eq guid'{project2}'",
            ],
        ),
        case(
            "SET plan_cache_mode = force_generic_plan;
             PREPARE q(date) AS SELECT count(*) FROM time_entries WHERE start_date_utc >= $1;
             EXECUTE q('2026-09-01'); SET TimeZone = 'Europe/Berlin'; EXECUTE q('2026-09-01')",
            &[
                "/timeentries?page=1&pageSize=1&filterby=startDateUtc ge datetime'2026-09-01T00:00:00'",
                "/timeentries?page=1&pageSize=1&filterby=startDateUtc ge datetime'2026-08-31T22:00:00'",
            ],
        ),
        // There is no such year in awork's literals, nor an end of time.
        case("SELECT id FROM time_entries WHERE start_date_utc < 'infinity' AND project_id = '{project}'", &[
            "/timeentries?page=1&pageSize=1000&filterby=projectId eq guid'{project}'&{s}",
        ]),
    ]);
}

#[test]
fn filters_on_text() {
    let Some(mut w) = checked("pushdown_text") else { return };
    check(&mut w, &[
        case("SELECT id FROM projects WHERE name = '{name}'", &["/projects?page=1&pageSize=1000&filterby=name eq '{name}'&{s}"]),
        case("SELECT count(*) FROM projects WHERE name = '{name}'", &["/projects?page=1&pageSize=1000&filterby=name eq '{name}'&{s}"]),
        case("SELECT id FROM projects WHERE '{name}' = name", &["/projects?page=1&pageSize=1000&filterby=name eq '{name}'&{s}"]),
        case("SELECT id FROM projects WHERE name = 'O''Hara & Söhne'", &["/projects?page=1&pageSize=1000&filterby=name eq 'O''Hara & Söhne'&{s}"]),
        case("SELECT id FROM projects WHERE name IN ('{name}', 'x')", &[
            "/projects?page=1&pageSize=1000&filterby=(name eq '{name}' or name eq 'x')&{s}",
        ]),
        case("SELECT id FROM projects WHERE name LIKE 'A%'", &["/projects?page=1&pageSize=1000&filterby=startswith(name,'A')&{s}"]),
        case("SELECT id FROM projects WHERE name LIKE '%e'", &["/projects?page=1&pageSize=1000&filterby=endswith(name,'e')&{s}"]),
        case("SELECT id FROM projects WHERE name LIKE '%er%'", &["/projects?page=1&pageSize=1000&filterby=substringof('er',name)&{s}"]),
        case("SELECT id FROM projects WHERE starts_with(name, 'A')", &["/projects?page=1&pageSize=1000&filterby=startswith(name,'A')&{s}"]),
        case("SELECT id FROM projects WHERE name ^@ 'A'", &["/projects?page=1&pageSize=1000&filterby=startswith(name,'A')&{s}"]),
        case("SELECT id FROM projects WHERE project_status_type = 'closed'", &[
            "/projects?page=1&pageSize=1000&filterby=projectStatus/type eq 'closed'&{s}",
        ]),
        case(
            "SET plan_cache_mode = force_generic_plan; PREPARE q(text) AS SELECT id FROM projects WHERE name = $1;
             EXECUTE q('{name}'); EXECUTE q(NULL)",
            &["/projects?page=1&pageSize=1000&filterby=name eq '{name}'&{s}"],
        ),
        // awork may find fewer of these than PostgreSQL.
        case("SELECT id FROM projects WHERE name <> '{name}'", &["/projects?page=1&pageSize=1000&{s}"]),
        case("SELECT id FROM projects WHERE name > 'M'", &["/projects?page=1&pageSize=1000&{s}"]),
        case("SELECT id FROM projects WHERE name NOT LIKE 'A%'", &["/projects?page=1&pageSize=1000&{s}"]),
        case("SELECT id FROM projects WHERE name NOT IN ('{name}', 'x')", &["/projects?page=1&pageSize=1000&{s}"]),
        case("SELECT id FROM projects WHERE name ILIKE 'a%'", &["/projects?page=1&pageSize=1000&{s}"]),
        case("SELECT id FROM projects WHERE name ~ '^A'", &["/projects?page=1&pageSize=1000&{s}"]),
        case("SELECT id FROM projects WHERE lower(name) = 'a'", &["/projects?page=1&pageSize=1000&{s}"]),
        case(r"SELECT id FROM projects WHERE name = 'a\b'", &["/projects?page=1&pageSize=1000&{s}"]),
        case("SELECT id FROM projects WHERE name = repeat('x', 5000)", &["/projects?page=1&pageSize=1000&{s}"]),
    ]);
}

#[test]
fn single_rows_and_keys() {
    let Some(mut w) = checked("pushdown_keys") else { return };
    check(&mut w, &[
        case("SELECT * FROM time_entries WHERE id = '{entry}'", &["/timeentries/{entry}"]),
        case("SELECT * FROM time_entries WHERE '{entry}' = id AND is_billable IS NOT NULL", &["/timeentries/{entry}"]),
        case("SELECT * FROM time_entries WHERE id = '00000000-0000-0000-0000-000000000009'", &[
            "/timeentries/00000000-0000-0000-0000-000000000009",
        ]),
        case(
            "SET plan_cache_mode = force_generic_plan; PREPARE q(uuid) AS SELECT * FROM time_entries WHERE id = $1;
             EXECUTE q('{entry}'); EXECUTE q(NULL)",
            &["/timeentries/{entry}"],
        ),
        case("SELECT id FROM time_entries WHERE id IN ('{few}', '{few2}', '{few3}')", &["/timeentries?page=1&pageSize=1000&filterby={in id few}&{s}"]),
        // The path for a single user also finds archived ones.
        case("SELECT id FROM users WHERE id = '{user}'", &["/users?page=1&pageSize=1000&filterby=id eq guid'{user}'&{s}"]),
        unlike("SELECT id FROM users WHERE show_archived", &["/users?showArchived=true&page=1&pageSize=1000&{s}"]),
        case("SELECT * FROM project_members WHERE project_id = '{project}'", &["/projects/{project}/members"]),
        case("SELECT user_id FROM project_members WHERE project_id IN ('{project}', '{project2}', '{project}')", &["/projects/{*two}/members"]),
        case("SELECT user_id FROM project_members WHERE project_id IN ('{project}', '{project2}') AND project_id = '{project}'", &["/projects/{project}/members"]),
        case("SELECT user_id FROM project_members WHERE project_id = '{project}' AND is_responsible", &["/projects/{project}/members"]),
        case("SELECT id FROM task_comments WHERE task_id = '{task}'", &["/tasks/{task}/comments?page=1&pageSize=1000&{s}"]),
        case("SELECT count(*) FROM task_comments WHERE task_id = '{task}'", &["/tasks/{task}/comments?page=1&pageSize=1"]),
        case("SELECT id FROM task_comments WHERE task_id = '{task}' ORDER BY created_on DESC LIMIT 1", &[
            "/tasks/{task}/comments?page=1&pageSize=1&orderby=createdOn desc,id asc",
        ]),
    ]);
}

#[test]
fn a_long_list_is_asked_for_in_pieces() {
    let Some(mut w) = checked("pushdown_long") else { return };
    let ids = rows(
        &mut w.workspace.client,
        "SELECT id FROM pushdown_long_copy.time_entries ORDER BY id LIMIT 300",
    )
    .unwrap();
    let list: Vec<String> = ids.iter().map(|id| format!("'{id}'")).collect();
    let (found, sent) = w
        .run(&format!("SELECT id FROM time_entries WHERE id IN ({}) ORDER BY id", list.join(", ")));
    assert_eq!(found.unwrap(), ids);
    assert!((2..=8).contains(&sent.len()), "{} requests", sent.len());
    for entry in w.workspace.sandbox.log() {
        // As sent: the blanks and quotes of a filter take three bytes each.
        let filter = entry.parameter("filterby").expect("each has a filter");
        let encoded = filter.len() + 2 * filter.matches([' ', '\'']).count();
        assert!(encoded < 4096, "{encoded} bytes");
    }
    for id in &ids {
        assert_eq!(sent.iter().filter(|request| request.contains(id)).count(), 1, "{id}");
    }

    // The number of them is the sum of the pieces.
    let (found, counts) =
        w.run(&format!("SELECT count(*) FROM time_entries WHERE id IN ({})", list.join(", ")));
    assert_eq!(found.unwrap(), ["300"]);
    assert_eq!(counts.len(), sent.len());
    assert!(counts.iter().all(|request| request.contains("page=1&pageSize=1&")));

    // Of a long list that awork would have to be asked for too often, everything is cheaper.
    let (found, sent) = w.run(&format!(
        "SELECT count(id) FROM projects WHERE id = ANY (ARRAY(SELECT gen_random_uuid() FROM generate_series(1, 5000)) || '{}'::uuid)",
        w.values("project")[0]
    ));
    assert_eq!(found.unwrap(), ["1"]);
    assert_eq!(sent, w.filled("/projects?page=1&pageSize=1000&{s}"));
}

#[test]
fn joins() {
    let Some(mut w) = checked("pushdown_joins") else { return };
    check(&mut w, &[
        // No more requests than the company has projects, and one.
        case("SET enable_hashjoin = off; SET enable_mergejoin = off;
              SELECT p.id, m.user_id FROM projects p JOIN project_members m ON m.project_id = p.id WHERE p.company_id = '{company}'", &[
            "/projects?page=1&pageSize=1000&filterby=companyId eq guid'{company}'&{s}",
            "/projects/{*projects}/members",
        ]),
        case("SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_memoize = off;
              SELECT t.id FROM projects p JOIN time_entries t ON t.project_id = p.id WHERE p.company_id = '{company}'", &[
            "/projects?page=1&pageSize=1000&filterby=companyId eq guid'{company}'&{s}",
            "/timeentries?page=1&pageSize=1000&filterby=projectId eq guid'{*projects}'&{s}",
        ]),
        case("SET enable_hashjoin = off; SET enable_mergejoin = off;
              SELECT e.id, p.name FROM time_entries e JOIN projects p ON p.id = e.project_id WHERE e.id = '{entry}'", &[
            "/timeentries/{entry}",
            "/projects/{entry project}",
        ]),
        // The same look-up is not repeated.
        case("SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_memoize = off; SET enable_material = off;
              SELECT v.n, p.name FROM (VALUES (1, '{project}'::uuid), (2, '{project}'), (3, '{project2}'), (4, '{project}')) v(n, id)
              LEFT JOIN projects p ON p.id = v.id", &["/projects/{*two}"]),
        case("SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_memoize = off; SET enable_material = off;
              SELECT v.n, m.user_id FROM (VALUES (1, '{project}'::uuid), (2, '{project}'), (3, NULL)) v(n, id)
              LEFT JOIN project_members m ON m.project_id = v.id", &["/projects/{project}/members"]),
        // A subquery for each row.
        case("SELECT v.n, (SELECT count(*) FROM time_entries t WHERE t.project_id = v.id)
              FROM (VALUES (1, '{project}'::uuid), (2, '{project2}'), (3, '{project}')) v(n, id)", &[
            "/timeentries?page=1&pageSize=1&filterby=projectId eq guid'{*two}'",
        ]),
        case("SELECT v.n, l.created_on FROM (VALUES (1, '{project}'::uuid), (2, '{project2}')) v(n, id),
              LATERAL (SELECT created_on FROM time_entries t WHERE t.project_id = v.id ORDER BY created_on DESC LIMIT 2) l", &[
            "/timeentries?page=1&pageSize=2&filterby=projectId eq guid'{*two}'&orderby=createdOn desc,id asc",
        ]),
    ]);
}

#[test]
fn limited_lookups_are_not_repeated() {
    let Some(mut w) = checked("pushdown_repeated") else { return };
    check(
        &mut w,
        &[
            case(
                "SELECT v.n, l.created_on FROM (VALUES (1, '{project}'::uuid), (2, '{project}')) v(n, id),
                 LATERAL (SELECT created_on FROM time_entries t WHERE t.project_id = v.id
                     ORDER BY created_on DESC LIMIT 2) l ORDER BY 1, 2",
                &[
                    "/timeentries?page=1&pageSize=2&filterby=projectId eq guid'{project}'&orderby=createdOn desc,id asc",
                ],
            ),
            case(
                "SELECT v.n, l.created_on FROM (VALUES (1, '{project}'::uuid), (2, '{project}')) v(n, id),
                 LATERAL (SELECT created_on FROM time_entries t WHERE t.project_id = v.id
                     ORDER BY created_on DESC LIMIT 2 OFFSET 2) l ORDER BY 1, 2",
                &[
                    "/timeentries?page=2&pageSize=2&filterby=projectId eq guid'{project}'&orderby=createdOn desc,id asc",
                ],
            ),
        ],
    );
}

#[test]
fn lists_of_all_parents() {
    let Some(mut w) = checked("pushdown_fan_out") else { return };
    check(
        &mut w,
        &[
            // Projects bring their members along.
            case("SELECT * FROM project_members", &["/projects?page=1&pageSize=1000&{s}"]),
            case("SELECT count(*) FROM project_members", &["/projects?page=1&pageSize=1000&{s}"]),
            case(
                "SELECT user_id, count(*) FROM project_members WHERE is_responsible GROUP BY 1",
                &["/projects?page=1&pageSize=1000&{s}"],
            ),
            // Tasks say whether they have comments, projects whether they have retainers.
            case(
                "SELECT id, task_id FROM task_comments",
                &[
                    "/me/allavailabletasks?page=1&pageSize=1000&{s}",
                    "/tasks/{*commented}/comments?page=1&pageSize=1000&{s}",
                ],
            ),
            case(
                "SELECT id, project_id FROM retainers",
                &[
                    "/projects?page=1&pageSize=1000&{s}",
                    "/projects/{*retained}/retainers?page=1&pageSize=1000&{s}",
                ],
            ),
            case(
                "SELECT id FROM retainers WHERE project_id IS NULL",
                &[
                    "/projects?page=1&pageSize=1000&{s}",
                    "/projects/{*retained}/retainers?page=1&pageSize=1000&{s}",
                ],
            ),
        ],
    );

    check(
        &mut w,
        &[case(
            "SELECT count(*) FROM task_comments WHERE task_id IN ('{some}', '{some2}', NULL)",
            &["/tasks/{*some}/comments?page=1&pageSize=1"],
        )],
    );

    // Most parents stay unread where a row is enough.
    let commented = w.values("commented").len();
    assert!(commented > 20, "{commented} tasks have comments");
    let (found, sent) = w.run("SELECT id FROM task_comments LIMIT 1");
    assert_eq!(found.unwrap().len(), 1);
    assert!(sent.len() <= 1 + 4, "{sent:#?}");

    w.workspace
        .client
        .batch_execute(
            "ALTER FOREIGN TABLE pushdown_fan_out.task_comments OPTIONS (ADD fan_out 'off')",
        )
        .unwrap();
    let failure = w.workspace.failure("SELECT id FROM task_comments");
    assert_eq!(failure.code, "HV00L");
    assert!(failure.text.contains("\"task_id\""), "{}", failure.text);
    assert!(w.workspace.sandbox.log().len() == sent.len(), "the failure has sent something");
    let task = w.values("task")[0].clone();
    let (found, sent) = w.run(&format!("SELECT id FROM task_comments WHERE task_id = '{task}'"));
    assert!(!found.unwrap().is_empty());
    assert_eq!(sent, w.filled("/tasks/{task}/comments?page=1&pageSize=1000&{s}"));
}

#[test]
fn a_refused_filter_costs_requests_and_no_rows() {
    let config =
        Config { scale: SCALE, refused: Refused::features([Feature::Guid]), ..Config::default() };
    let Some(mut w) = Checked::new("pushdown_refused", config) else { return };
    let filter = "projectId eq guid'{project}'";
    let asked = format!("/timeentries?page=1&pageSize=1&filterby={filter}");
    let sql =
        w.filled("SELECT count(*) FROM time_entries WHERE project_id = '{project}'").remove(0);
    let truth = rows(
        &mut w.workspace.client,
        &sql.replace("time_entries", "pushdown_refused_copy.time_entries"),
    )
    .unwrap();

    let (found, sent) = w.run(&sql);
    assert_eq!(found.unwrap(), truth);
    let mut expected = w.filled(&asked);
    expected.extend(w.filled("/timeentries?page={1..3}&pageSize=1000&{s}"));
    expected.sort();
    assert_eq!(sent, expected);

    // It is not asked again, and the plan knows.
    let (found, sent) = w.run(&sql);
    assert_eq!(found.unwrap(), truth);
    assert_eq!(sent, w.filled("/timeentries?page={1..3}&pageSize=1000&{s}"));
    let (found, sent) = w.run(&format!("EXPLAIN (VERBOSE) {sql}"));
    assert!(sent.is_empty());
    let plan = found.unwrap().join("\n");
    assert!(plan.contains("awork has refused the condition before"), "{plan}");

    // A condition that is fine is asked for on.
    let with_other = format!("{sql} AND is_billable");
    let truth = rows(
        &mut w.workspace.client,
        &with_other.replace("time_entries", "pushdown_refused_copy.time_entries"),
    )
    .unwrap();
    let (found, sent) = w.run(&with_other);
    assert_eq!(found.unwrap(), truth);
    assert_eq!(
        sent,
        w.filled("/timeentries?page={1..2}&pageSize=1000&filterby=isBillable eq true&{s}")
    );
}

#[test]
fn explain_says_what_was_refused() {
    let refused = Refused::features([Feature::Null, Feature::OrderDesc]);
    let config = Config { scale: SCALE, refused, ..Config::default() };
    let Some(mut w) = Checked::new("pushdown_explain", config) else { return };
    let (found, sent) = w.run("EXPLAIN (VERBOSE) SELECT id FROM time_entries WHERE task_id IS NULL ORDER BY created_on DESC");
    let plan = found.unwrap().join("\n");
    assert!(sent.is_empty() && plan.contains("Remote Filter: taskId eq null"), "{plan}");

    let (found, _) =
        w.run("EXPLAIN (ANALYZE, VERBOSE) SELECT id FROM time_entries WHERE task_id IS NULL");
    let plan = found.unwrap().join("\n");
    assert!(plan.contains("Refused by awork: taskId null"), "{plan}");

    // An order that is refused is made here.
    check(
        &mut w,
        &[
            case(
                "SELECT created_on FROM time_entries ORDER BY created_on DESC LIMIT 20",
                &[
                    "/timeentries?page=1&pageSize=20&orderby=createdOn desc,id asc",
                    "/timeentries?page=1&pageSize=20&orderby=createdOn desc",
                    "/timeentries?page={1..3}&pageSize=1000&{s}",
                ],
            ),
            case(
                "SELECT created_on FROM time_entries ORDER BY created_on DESC LIMIT 5 OFFSET 3",
                &["/timeentries?page={1..3}&pageSize=1000&{s}"],
            ),
            case(
                "SELECT max(created_on) FROM time_entries",
                &["/timeentries?page={1..3}&pageSize=1000&{s}"],
            ),
            case(
                "SELECT created_on FROM time_entries ORDER BY created_on LIMIT 5",
                &["/timeentries?page=1&pageSize=5&{s}"],
            ),
        ],
    );
    let (found, _) = w.run("EXPLAIN (ANALYZE, VERBOSE) SELECT created_on FROM time_entries ORDER BY created_on DESC LIMIT 3");
    let plan = found.unwrap().join("\n");
    assert!(plan.contains("createdOn desc: awork has refused the order before"), "{plan}");
}
