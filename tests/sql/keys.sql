--
-- Keys: path and query parameters bound by conditions.
--
\set url `echo "$AWORK_SANDBOX_URL"`
SET client_min_messages = error;
CREATE SERVER keys FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url :'url');
CREATE USER MAPPING FOR CURRENT_USER SERVER keys OPTIONS (api_key 'awork-sandbox-key');
CREATE SCHEMA keys;
IMPORT FOREIGN SCHEMA awork FROM SERVER keys INTO keys;
SET search_path = keys, public;
CREATE TEMP TABLE p AS SELECT id, members, row_number() OVER (ORDER BY id) AS n FROM projects;
CREATE FUNCTION pg_temp.nth(i bigint) RETURNS uuid LANGUAGE sql STABLE AS 'SELECT id FROM p WHERE n = i';
CREATE FUNCTION pg_temp.members_of(uuid[]) RETURNS bigint LANGUAGE sql STABLE AS
    'SELECT coalesce(sum(jsonb_array_length(members)), 0) FROM p WHERE id = ANY ($1)';

-- =, on either side; the column shows the value that was asked for
SELECT count(*) = pg_temp.members_of(ARRAY[pg_temp.nth(1)]) AS right_count,
       bool_and(project_id = pg_temp.nth(1)) AS right_project
FROM project_members WHERE project_id = pg_temp.nth(1);
SELECT count(*) = pg_temp.members_of(ARRAY[pg_temp.nth(2)]) AS right_count
FROM project_members WHERE pg_temp.nth(2) = project_id;

-- IN, ANY, with duplicates and nulls; with a subquery; with no value at all
SELECT count(*) = pg_temp.members_of(ARRAY[pg_temp.nth(1), pg_temp.nth(2)]) AS right_count
FROM project_members WHERE project_id IN (pg_temp.nth(1), pg_temp.nth(2), pg_temp.nth(1), NULL);
SELECT count(*) = pg_temp.members_of(ARRAY(SELECT id FROM p WHERE n <= 12)) AS right_count
FROM project_members WHERE project_id = ANY (ARRAY(SELECT id FROM p WHERE n <= 12));
SELECT count(*) FROM project_members WHERE project_id = NULL;
SELECT count(*) FROM project_members WHERE project_id = ANY ('{}'::uuid[]);
SELECT count(*) FROM project_members WHERE project_id = pg_temp.nth(1) AND project_id = pg_temp.nth(2);

-- an id that does not exist has no rows
SELECT count(*) FROM project_members WHERE project_id = '00000000-0000-4000-8000-000000000000';

-- a join brings the values
SELECT count(*) = (SELECT sum(jsonb_array_length(members)) FROM p WHERE n <= 10) AS right_count
FROM p JOIN project_members m ON m.project_id = p.id WHERE p.n <= 10;
SELECT count(*) = (SELECT sum(jsonb_array_length(members)) FROM p WHERE n <= 3) AS right_count
FROM p CROSS JOIN LATERAL (SELECT * FROM project_members m WHERE m.project_id = p.id OFFSET 0) m
WHERE p.n <= 3;
SELECT count(DISTINCT p.id) FROM p LEFT JOIN project_members m ON m.project_id = p.id WHERE p.n <= 4;
SELECT count(*) = (SELECT count(*) FROM users) AS one_each
FROM users u JOIN user_capacities c ON c.user_id = u.id;

-- prepared, under both kinds of plan
PREPARE members (uuid) AS SELECT count(*) FROM project_members WHERE project_id = $1;
SET plan_cache_mode = force_generic_plan;
SELECT pg_temp.nth(1) AS a, pg_temp.nth(2) AS b \gset
EXECUTE members (:'a') \gset a_
EXECUTE members (:'b') \gset b_
SELECT :a_count = pg_temp.members_of(ARRAY[:'a'::uuid]) AND :b_count = pg_temp.members_of(ARRAY[:'b'::uuid]) AS right_counts;
EXECUTE members (NULL);
PREPARE members_of_many (uuid[]) AS SELECT count(*) FROM project_members WHERE project_id = ANY ($1);
EXECUTE members_of_many (ARRAY[:'a', :'b']::uuid[]) \gset many_
SELECT :many_count = :a_count + :b_count AS right_count;
RESET plan_cache_mode;

-- two keys
SELECT count(*) > 0 AS some, count(DISTINCT (project_id, task_id)) > 1 AS of_several FROM project_task_checklist_items
WHERE project_id = pg_temp.nth(1) AND task_id = ANY (ARRAY(SELECT id FROM project_tasks WHERE project_id = pg_temp.nth(1)));

-- without a value: the lists of all parents
SELECT count(*) = (SELECT sum(jsonb_array_length(members)) FROM projects) AS all_members,
       bool_and(project_id IN (SELECT id FROM projects)) AS of_projects FROM project_members;
SELECT count(*) = (SELECT sum(comment_count) FROM tasks) AS all_comments FROM task_comments;
SELECT count(*) > 0 AS some FROM project_members WHERE project_id <> pg_temp.nth(1);
SELECT count(*) = (SELECT count(*) FROM project_members WHERE project_id = pg_temp.nth(1)) AS of_one
FROM project_members WHERE project_id = pg_temp.nth(1) OR id IS NULL;
SELECT count(*) > 0 AS two_levels, count(DISTINCT project_id) > 1 AS several FROM project_file_versions;
SELECT count(*) AS none FROM retainers r JOIN projects p ON p.id = r.project_id WHERE NOT p.is_retainer;

-- a row of one parent is not taken for that of another, which may share it
CREATE TEMP TABLE statuses AS
    SELECT s.id, s.project_id::text AS project, p.created_on FROM project_task_statuses s JOIN projects p ON p.id = s.project_id;
CREATE TEMP TABLE sharing AS
    SELECT a.project AS a, b.project AS b FROM statuses a JOIN statuses b ON a.id = b.id AND a.created_on < b.created_on
    ORDER BY a.created_on, b.created_on DESC LIMIT 1;
SELECT count(*) AS both FROM (SELECT 1, a FROM sharing UNION ALL SELECT 2, b FROM sharing) v (n, project),
    LATERAL (SELECT FROM project_task_statuses s WHERE s.project_id::text = v.project LIMIT 1) l;

-- without a value that a list has, or may be taken from: which condition to add
ALTER FOREIGN TABLE project_members OPTIONS (ADD fan_out 'off');
SELECT * FROM project_members; -- should fail
SELECT * FROM project_members WHERE project_id <> pg_temp.nth(1); -- should fail
SELECT * FROM project_members WHERE project_id = pg_temp.nth(1) OR id IS NULL; -- should fail
SELECT * FROM project_members WHERE project_id = gen_random_uuid() AND random() > 2; -- should fail
SELECT * FROM user_workloads WHERE interval_start = '2026-10-05'; -- should fail
SELECT * FROM user_autofills; -- should fail
ALTER FOREIGN TABLE project_members OPTIONS (SET fan_out 'maybe'); -- should fail
ALTER FOREIGN TABLE project_members OPTIONS (DROP fan_out);

-- query parameters select rows, and show what the API assumes where there is no condition
SELECT show_archived, count(*) > 0 AS some FROM users GROUP BY 1;
SELECT (SELECT count(*) FROM users WHERE show_archived) > (SELECT count(*) FROM users) AS more;
SELECT show_archived, bool_or(is_archived) AS archived FROM users WHERE show_archived GROUP BY 1;
SELECT show_archived, bool_or(is_archived) AS archived FROM users WHERE NOT show_archived GROUP BY 1;
SELECT show_archived FROM users WHERE show_archived IS TRUE GROUP BY 1;
SELECT show_archived FROM users WHERE show_archived = false GROUP BY 1;
SELECT count(*) FROM users WHERE show_archived IS NULL;
SELECT count(*) > 0 AS some, min(interval_start), max(interval_end) FROM user_time_bookings
WHERE user_ids = (SELECT string_agg(id::text, ',') FROM users)
  AND interval_start = '2026-10-05' AND interval_end = '2026-10-11';
SET timezone = 'America/New_York';
SELECT count(*) > 0 AS some, min(interval_start) FROM user_workloads
WHERE user_ids = (SELECT string_agg(id::text, ',') FROM users)
  AND interval_start = '2026-10-05 00:00+00' AND interval_end = '2026-10-11 00:00+00'
  AND rough_planning_from = 0;
RESET timezone;

-- a single object is not asked for past a parameter that selects rows
SELECT t.user_ids = (SELECT user_ids FROM teams WHERE include_user_ids ORDER BY id LIMIT 1) AS alike
FROM teams t WHERE t.include_user_ids AND t.id = (SELECT id FROM teams ORDER BY id LIMIT 1);

-- a value that names another path asks for nothing
SELECT count(*) FROM absence_region_locations WHERE country_code = '..';
SELECT count(*) FROM absence_region_locations WHERE country_code = '';
SELECT count(*) FROM absence_region_locations WHERE country_code = 'nowhere';
SELECT count(*) FROM absence_region_locations WHERE country_code = '../../me?y#z'; -- should fail

-- joins in any order, an optional parameter too
SELECT count(DISTINCT m.user_id) > 0 AS some
FROM project_members m JOIN project_task_statuses s ON s.project_id = m.project_id
JOIN p ON p.id = m.project_id WHERE p.n <= 2;
CREATE TEMP TABLE flags (x boolean);
INSERT INTO flags VALUES (true), (false);
SELECT f.x, count(*) = (SELECT count(*) FROM users v WHERE v.show_archived = f.x) AS right_count
FROM flags f JOIN users u ON u.show_archived = f.x GROUP BY f.x ORDER BY f.x;
SET enable_nestloop = off;
SELECT count(*) > 0 AS some FROM p JOIN project_members m ON m.project_id = p.id WHERE p.n <= 2;
RESET enable_nestloop;

DROP SCHEMA keys CASCADE;
DROP SERVER keys CASCADE;
