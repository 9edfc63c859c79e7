--
-- Scans: what every SELECT must get right, whatever the data.
--
\set url `echo "$AWORK_SANDBOX_URL"`
SET client_min_messages = error;
CREATE SERVER scan FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url :'url', page_size '400');
CREATE USER MAPPING FOR CURRENT_USER SERVER scan OPTIONS (api_key 'awork-sandbox-key');
CREATE SCHEMA scan;
IMPORT FOREIGN SCHEMA awork FROM SERVER scan INTO scan;
SET search_path = scan, public;

-- many pages, each row once, and a copy that says the same
SELECT count(*), count(DISTINCT id) = count(*) AS each_once FROM time_entries;
CREATE TEMP TABLE copy AS SELECT * FROM time_entries;
SELECT count(*) FROM (TABLE time_entries EXCEPT ALL TABLE copy) AS difference;
SELECT (SELECT sum(duration) FROM time_entries) = (SELECT sum(duration) FROM copy) AS same_sum,
       (SELECT count(*) FROM time_entries WHERE note LIKE '%e%')
       = (SELECT count(*) FROM copy WHERE note LIKE '%e%') AS same_filter;

-- columns are what attrs says
SELECT count(*) AS differences FROM copy
WHERE (attrs ->> 'id')::uuid IS DISTINCT FROM id
   OR (attrs ->> 'duration')::integer IS DISTINCT FROM duration
   OR (attrs ->> 'createdOn')::timestamptz IS DISTINCT FROM created_on
   OR (attrs ->> 'startDateLocal')::timestamp IS DISTINCT FROM start_date_local
   OR (attrs ->> 'startTimeUtc')::time IS DISTINCT FROM start_time_utc
   OR (attrs ->> 'resourceVersion')::bigint IS DISTINCT FROM resource_version
   OR (attrs ->> 'isBillable')::boolean IS DISTINCT FROM is_billable
   OR attrs ->> 'note' IS DISTINCT FROM note
   OR attrs #>> '{project,name}' IS DISTINCT FROM project_name
   OR nullif(attrs -> 'project', 'null') IS DISTINCT FROM project;

-- worked out from a date and a time of day
SELECT count(*) AS differences FROM copy
WHERE started_at IS DISTINCT FROM ((start_date_utc AT TIME ZONE 'UTC')::date + start_time_utc) AT TIME ZONE 'UTC'
   OR is_running IS DISTINCT FROM (start_time_utc IS NOT NULL AND end_time_utc IS NULL);
SELECT bool_or(is_running) AS some_run, bool_or(started_at IS NULL) AS some_have_no_time FROM copy;

-- no column, all columns, system columns, whole rows
SELECT count(*) > 0 AS some FROM users;
SELECT tableoid::regclass, u.id = (u).id AS same FROM users u ORDER BY u.id LIMIT 1;
SELECT count(u) = count(*) AS rows, bool_and(to_jsonb(u) ->> 'id' = u.id::text) AS same FROM users u;

-- LIMIT, OFFSET, LIMIT 0, early end
SELECT count(*) FROM (SELECT id FROM time_entries LIMIT 3) AS few;
SELECT count(*) FROM (SELECT id FROM time_entries LIMIT 0) AS none;
SELECT count(*) FROM (SELECT id FROM time_entries OFFSET 4990) AS tail;
SELECT EXISTS (SELECT FROM time_entries) AS exist;

-- joins, self-joins, rescans, LATERAL, UNION ALL
SELECT count(*) = (SELECT count(*) FROM copy WHERE project_id IS NOT NULL) AS joined
FROM time_entries t JOIN projects p ON p.id = t.project_id;
SELECT count(*) = (SELECT count(*) FROM copy) AS self_joined
FROM time_entries a JOIN time_entries b USING (id);
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off;
SELECT count(*) = (SELECT count(*) FROM types_of_work) ^ 2 AS rescanned
FROM types_of_work a CROSS JOIN types_of_work b;
RESET enable_hashjoin; RESET enable_mergejoin; RESET enable_material;
SELECT bool_and(n.total = (SELECT count(*) FROM types_of_work)) AS lateral
FROM types_of_work a CROSS JOIN LATERAL (SELECT count(*) AS total FROM types_of_work b WHERE b.id <> a.id OR b.id = a.id) n;
SELECT count(*) = 2 * (SELECT count(*) FROM companies) AS twice
FROM (SELECT id FROM companies UNION ALL SELECT id FROM companies) AS both_times;

-- prepared statements, under either kind of plan
PREPARE of_duration (integer) AS SELECT count(*) FROM time_entries WHERE duration > $1;
SET plan_cache_mode = force_generic_plan;
EXECUTE of_duration (0) \gset first_
EXECUTE of_duration (0) \gset second_
SELECT :first_count = :second_count AND :first_count = (SELECT count(*) FROM copy WHERE duration > 0) AS same;
EXECUTE of_duration (100000000);
SET plan_cache_mode = force_custom_plan;
EXECUTE of_duration (100000000);
RESET plan_cache_mode;

-- a function that runs often enough to get a cached plan
CREATE FUNCTION pg_temp.count_entries() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE n integer; total integer := 0;
BEGIN
    FOR i IN 1 .. 8 LOOP
        SELECT count(*) INTO n FROM types_of_work WHERE name <> i::text;
        total := total + n;
    END LOOP;
    RETURN total;
END $$;
SELECT pg_temp.count_entries() = 8 * (SELECT count(*) FROM types_of_work) AS cached;

-- cursors: forwards, abandoned, over a failure in a subtransaction
BEGIN;
DECLARE c CURSOR FOR SELECT row_number() OVER () AS n FROM time_entries;
FETCH 2 FROM c;
MOVE 2000 IN c;
FETCH 1 FROM c;
SAVEPOINT s;
SELECT 1 / (SELECT count(*) - count(*) FROM companies); -- should fail
ROLLBACK TO s;
FETCH 1 FROM c;
CLOSE c;
DECLARE d CURSOR WITH HOLD FOR SELECT 1 FROM companies LIMIT 1;
COMMIT;
FETCH ALL FROM d;
CLOSE d;

-- read-only transactions
BEGIN READ ONLY;
SELECT count(*) > 0 AS some FROM companies;
COMMIT;

-- writing is refused
INSERT INTO companies (id) VALUES (gen_random_uuid()); -- should fail
DELETE FROM companies; -- should fail

DROP SCHEMA scan CASCADE;
DROP SERVER scan CASCADE;
