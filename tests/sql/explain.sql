--
-- EXPLAIN says what would be asked for, and asks for nothing: nobody listens on port 9.
--
SET client_min_messages = error;
CREATE SERVER explained FOREIGN DATA WRAPPER awork_fdw
    OPTIONS (api_url 'http://127.0.0.1:9/api/v1', api_key 'secret', page_size '250');
CREATE SCHEMA explained;
IMPORT FOREIGN SCHEMA awork LIMIT TO (projects, project_members, users, custom_field_definitions, time_entries_v2)
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
        CONTINUE WHEN line ~ 'Memory|Buckets|Buffers';
        line := regexp_replace(line, 'rows=(\d+)\.00', 'rows=\1');
        RETURN NEXT regexp_replace(line, 'Bytes Received: \d+', 'Bytes Received: N');
    END LOOP;
END $$;
SELECT pg_temp.explain('SELECT count(*) FROM public.entries');
SELECT pg_temp.explain('SELECT id FROM public.entries LIMIT 1');
DROP SERVER explained CASCADE;
