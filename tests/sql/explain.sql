--
-- EXPLAIN says what would be asked for, and asks for nothing: nobody listens on port 9.
--
SET client_min_messages = error;
CREATE SERVER explained FOREIGN DATA WRAPPER awork_fdw
    OPTIONS (api_url 'http://127.0.0.1:9/api/v1', api_key 'secret', page_size '250');
CREATE SCHEMA explained;
IMPORT FOREIGN SCHEMA awork LIMIT TO (projects, project_members, project_tasks, users, custom_field_definitions, time_entries, time_entries_v2)
    FROM SERVER explained INTO explained;
SET search_path = explained;

EXPLAIN (COSTS OFF) SELECT id FROM projects WHERE name = 'x';
EXPLAIN (COSTS OFF, VERBOSE) SELECT id FROM projects WHERE name = 'x';
EXPLAIN (COSTS OFF, VERBOSE) SELECT id FROM custom_field_definitions;
EXPLAIN (COSTS OFF, VERBOSE) SELECT id FROM time_entries_v2;
EXPLAIN (COSTS OFF, VERBOSE) SELECT user_id FROM project_members
    WHERE project_id = '11111111-1111-1111-1111-111111111111';
EXPLAIN (COSTS OFF, VERBOSE) SELECT id FROM users WHERE show_archived;
EXPLAIN (COSTS OFF, VERBOSE) SELECT m.user_id FROM (SELECT id FROM projects OFFSET 0) p JOIN project_members m ON m.project_id = p.id;
EXPLAIN (COSTS OFF, VERBOSE, FORMAT JSON) SELECT id FROM users;

-- what is asked, what is checked again, and what PostgreSQL does alone
EXPLAIN (COSTS OFF, VERBOSE) SELECT count(*) FROM time_entries WHERE start_date_utc >= '2026-10-01' AND is_billable;
EXPLAIN (COSTS OFF, VERBOSE) SELECT count(*) FROM time_entries WHERE created_on >= '2026-10-01';
EXPLAIN (COSTS OFF, VERBOSE) SELECT id FROM time_entries ORDER BY created_on DESC LIMIT 20;
EXPLAIN (COSTS OFF, VERBOSE) SELECT id FROM time_entries ORDER BY created_on DESC LIMIT 20 OFFSET 40;
EXPLAIN (COSTS OFF, VERBOSE) SELECT id FROM projects WHERE tracked_duration > 0 AND name <> 'x' AND name LIKE 'a_b%' AND project_status_type = 'closed' AND company_id = '00000000-0000-0000-0000-000000000001';
EXPLAIN (COSTS OFF, VERBOSE) SELECT id FROM projects WHERE id = '00000000-0000-0000-0000-000000000001';
EXPLAIN (COSTS OFF, VERBOSE) SELECT id FROM time_entries WHERE started_at BETWEEN '2026-10-01 08:00+00' AND '2026-10-01 18:00+00' OR is_running;
EXPLAIN (COSTS OFF, VERBOSE) SELECT id FROM project_tasks WHERE is_prio;
SET plan_cache_mode = force_generic_plan;
PREPARE since(date, bigint) AS SELECT id FROM time_entries WHERE start_date_utc >= $1 ORDER BY start_date_utc LIMIT $2;
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE since('2026-10-01', 5);
RESET plan_cache_mode;
EXPLAIN (COSTS OFF, VERBOSE, FORMAT JSON) SELECT id FROM projects WHERE is_external AND name <> 'x';
EXPLAIN (COSTS OFF, VERBOSE, FORMAT YAML) SELECT id FROM projects WHERE is_external AND name <> 'x';
EXPLAIN (COSTS OFF, VERBOSE, FORMAT XML) SELECT count(*) FROM time_entries WHERE is_billable;

-- a plan is made anew when the server or the table changes
PREPARE q AS SELECT id FROM projects;
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE q;
ALTER SERVER explained OPTIONS (SET page_size '10');
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE q;
ALTER FOREIGN TABLE projects OPTIONS (ADD page_size '20');
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE q;

RESET search_path;
DROP SCHEMA explained CASCADE;
DROP SERVER explained CASCADE;

-- ANALYZE adds what was done
\set url `echo "$AWORK_SANDBOX_URL"`
CREATE SERVER explained FOREIGN DATA WRAPPER awork_fdw
    OPTIONS (api_url :'url', api_key 'awork-sandbox-key', page_size '1000');
CREATE FOREIGN TABLE entries (id uuid, duration integer) SERVER explained OPTIONS (resource 'time_entries');
CREATE FUNCTION pg_temp.explain(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
        CONTINUE WHEN line ~ 'Memory|Buckets|Buffers|Held Back';
        line := regexp_replace(line, 'rows=(\d+)\.00', 'rows=\1');
        RETURN NEXT regexp_replace(line, 'Bytes Received: \d+', 'Bytes Received: N');
    END LOOP;
END $$;
SELECT pg_temp.explain('SELECT count(*) FROM public.entries');
SELECT pg_temp.explain('SELECT id FROM public.entries LIMIT 1');
DROP SERVER explained CASCADE;
