--
-- Every way into the library once, for scripts/memcheck: few rows, since all is slow there. Stops at
-- the first statement that fails, or whose answer is not that of a copy.
--
\set ON_ERROR_STOP on
\o /dev/null
\set url `echo "$AWORK_SANDBOX_URL"`
SET client_min_messages = error;
CREATE SERVER smoke FOREIGN DATA WRAPPER awork_fdw
    OPTIONS (api_url :'url', page_size '50', max_retries '0', cache_ttl '1');
CREATE USER MAPPING FOR CURRENT_USER SERVER smoke OPTIONS (api_key 'awork-sandbox-key');
CREATE SCHEMA smoke;
SET search_path = smoke, public;
-- Holds that a statement fails with a SQLSTATE.
CREATE FUNCTION fails(query text, expected text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    RAISE EXCEPTION 'did not fail: %', query;
EXCEPTION
    WHEN query_canceled THEN ASSERT expected = '57014', query;
    WHEN OTHERS THEN ASSERT SQLSTATE = expected, format('%s, %s: %s', SQLSTATE, SQLERRM, query);
END $$;
-- Holds that two queries have the same rows.
CREATE FUNCTION agree(one text, other text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE differences bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM ((%1$s EXCEPT ALL %2$s) UNION ALL (%2$s EXCEPT ALL %1$s)) d',
        '(' || one || ')', '(' || other || ')') INTO differences;
    ASSERT differences = 0, format('%s rows differ: %s', differences, one);
END $$;

-- import
IMPORT FOREIGN SCHEMA awork LIMIT TO (projects, companies, users, teams, types_of_work, time_entries, tasks,
    project_members, absences, webhooks) FROM SERVER smoke INTO smoke;
SELECT fails('IMPORT FOREIGN SCHEMA nowhere FROM SERVER smoke INTO smoke', 'HV00Q');
SELECT fails('ALTER SERVER smoke OPTIONS (SET page_size ''0'')', '22023');
SELECT fails('ALTER SERVER smoke OPTIONS (ADD pages ''1'')', 'HV00D');

-- scans: whole rows, few columns, none
CREATE TEMP TABLE entries AS SELECT * FROM time_entries;
CREATE TEMP TABLE members AS SELECT * FROM project_members;
CREATE TEMP TABLE copied_projects AS SELECT * FROM projects;
SELECT agree('SELECT id, duration FROM time_entries', 'SELECT id, duration FROM entries');
SELECT agree('SELECT count(*) FROM time_entries', 'SELECT count(*) FROM entries');
SELECT count(tableoid), count(time_entries) FROM time_entries;

-- conditions, orders, keys
SELECT id AS project FROM copied_projects ORDER BY id LIMIT 1 \gset
SELECT agree(format('SELECT id FROM %s WHERE duration > 3600 AND note LIKE ''%%e%%'' AND created_on > ''2020-01-01''', t),
             'SELECT id FROM entries WHERE duration > 3600 AND note LIKE ''%e%''')
FROM (VALUES ('time_entries')) v(t);
SELECT agree('SELECT id FROM time_entries WHERE project_id IS NULL OR NOT is_billable', 'SELECT id FROM entries WHERE project_id IS NULL OR NOT is_billable');
SELECT agree('SELECT created_on FROM time_entries ORDER BY created_on DESC LIMIT 7 OFFSET 2', 'SELECT created_on FROM entries ORDER BY created_on DESC LIMIT 7 OFFSET 2');
SELECT agree(format('SELECT name FROM projects WHERE id = %L', :'project'), format('SELECT name FROM copied_projects WHERE id = %L', :'project'));
SELECT agree('SELECT name FROM projects WHERE id = ''00000000-0000-4000-8000-000000000000''', 'SELECT name FROM copied_projects LIMIT 0');
SELECT agree(format('SELECT id FROM project_members WHERE project_id IN (%L, %L)', :'project', :'project'), format('SELECT id FROM members WHERE project_id = %L', :'project'));

-- joins: hashed, by lookups, by parameters, after which the scan begins again
SELECT agree('SELECT p.name, sum(t.duration) FROM time_entries t JOIN projects p ON p.id = t.project_id GROUP BY 1',
             'SELECT p.name, sum(t.duration) FROM entries t JOIN copied_projects p ON p.id = t.project_id GROUP BY 1');
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off;
SELECT agree('SELECT p.id, m.user_id FROM projects p LEFT JOIN project_members m ON m.project_id = p.id',
             'SELECT p.id, m.user_id FROM copied_projects p LEFT JOIN members m ON m.project_id = p.id');
SET awork_fdw.enable_lookup_join = off;
SELECT agree('SELECT p.id, m.user_id FROM projects p JOIN project_members m ON m.project_id = p.id',
             'SELECT p.id, m.user_id FROM copied_projects p JOIN members m ON m.project_id = p.id');
SELECT agree('SELECT c.name, (SELECT count(*) FROM projects p WHERE p.company_id = c.id) FROM companies c',
             'SELECT c.name, (SELECT count(*) FROM copied_projects p WHERE p.company_id = c.id) FROM companies c');
RESET ALL;
SET client_min_messages = error; SET search_path = smoke, public;

-- several scans at a time
SELECT count(*) FROM (SELECT id FROM projects UNION ALL SELECT id FROM users UNION ALL SELECT id FROM companies) a;

-- plans that are kept, with values that are null or no list
SET plan_cache_mode = force_generic_plan;
PREPARE of_project (uuid, int) AS SELECT count(*) FROM time_entries WHERE project_id = $1 AND duration >= $2;
EXECUTE of_project(:'project', 0);
EXECUTE of_project(NULL, 0);
EXECUTE of_project(:'project', NULL);
PREPARE of_projects (uuid[]) AS SELECT count(*) FROM project_members WHERE project_id = ANY ($1);
EXECUTE of_projects(ARRAY[:'project', NULL]::uuid[]);
EXECUTE of_projects(NULL);
DEALLOCATE ALL;
RESET plan_cache_mode;

-- cursors, and the end of what is around them
BEGIN;
DECLARE these SCROLL CURSOR FOR SELECT id, attrs FROM time_entries;
FETCH 60 FROM these;
MOVE BACKWARD 30 FROM these;
SAVEPOINT inner_one;
DECLARE other CURSOR FOR SELECT * FROM tasks;
FETCH 10 FROM other;
ROLLBACK TO inner_one;
FETCH ALL FROM these;
CLOSE these;
DECLARE holds CURSOR WITH HOLD FOR SELECT id FROM companies;
COMMIT;
FETCH 3 FROM holds;
CLOSE holds;

-- errors in the middle of the rows, of awork, and of time
SELECT fails('SELECT 1 / (70 - row_number() OVER ()) FROM time_entries', '22012');
SELECT fails('SELECT * FROM absences', 'HV00M');  -- 503
SELECT fails('SELECT * FROM teams', 'HV00M');     -- HTML
SELECT fails('SELECT created_on FROM types_of_work', 'HV004');
SELECT fails('SELECT * FROM smoke.users WHERE id = ''no uuid''', '22P02');
ALTER FOREIGN TABLE types_of_work OPTIONS (ADD on_type_mismatch 'null');
SELECT count(created_on) FROM types_of_work;
SET statement_timeout = '2s';
SELECT fails('SELECT * FROM webhooks', '57014');  -- hangs
RESET statement_timeout;
DROP FOREIGN TABLE webhooks;
SELECT fails('SELECT * FROM projects FOR UPDATE NOWAIT; SELECT 1 / 0', '22012');

-- what people ask
EXPLAIN (VERBOSE) SELECT * FROM time_entries WHERE duration > 1 AND upper(note) = 'X' ORDER BY created_on LIMIT 3;
EXPLAIN (ANALYZE, VERBOSE, BUFFERS) SELECT p.id FROM projects p JOIN project_members m ON m.project_id = p.id;
EXPLAIN (ANALYZE, FORMAT JSON) SELECT count(*) FROM tasks WHERE created_on > now() - interval '1 year';
ANALYZE time_entries (id, duration), projects (name);
SELECT * FROM awork_fdw_check('smoke');
SELECT * FROM awork_fdw_drift('smoke');
SELECT * FROM awork_fdw_catalog;
SELECT * FROM awork_fdw_stats;
SELECT awork_fdw_cache_clear('smoke'), awork_fdw_version();
SET awork_fdw.log_requests = on;
COPY (SELECT * FROM companies) TO '/dev/null';

-- a login through the browser, a renewal of its token, and its end
CREATE SERVER logins FOREIGN DATA WRAPPER awork_fdw
    OPTIONS (api_url :'url', client_id 'awork-sandbox-public', redirect_uri 'http://127.0.0.1:8765/callback');
CREATE FOREIGN TABLE own_projects (id uuid, name text) SERVER logins OPTIONS (resource 'projects');
SELECT fails('SELECT * FROM own_projects', 'HV002');
SELECT awork_fdw_login_url('logins') AS address \gset
\setenv ADDRESS :address
\set answer `curl -s -o /dev/null -w '%{redirect_url}' "$ADDRESS"`
SELECT awork_fdw_login('logins', :'answer');
SELECT agree('SELECT id FROM own_projects', 'SELECT id FROM copied_projects');
\! curl -s -X POST "${AWORK_SANDBOX_URL%/api/v1}/_sandbox/expire" >/dev/null
SELECT agree('SELECT name FROM own_projects', 'SELECT name FROM copied_projects');
SELECT awork_fdw_logout('logins');
SELECT fails('SELECT * FROM own_projects', 'HV002');

DROP SERVER logins CASCADE;
DROP SERVER smoke CASCADE;
