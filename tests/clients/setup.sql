-- The database that each client gets: the foreign tables as a role that reports finds them, and a
-- copy made of the sandbox's rows by PostgreSQL's own casts.
SET client_min_messages = error;
CREATE EXTENSION awork_fdw;
CREATE SERVER awork FOREIGN DATA WRAPPER awork_fdw
    OPTIONS (api_url :'url', page_size '100', max_retries '0');
SELECT 'CREATE ROLE reports LOGIN'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'reports') \gexec
CREATE USER MAPPING FOR reports SERVER awork OPTIONS (api_key 'awork-sandbox-key');
CREATE SCHEMA awork;
CREATE SCHEMA copy;
IMPORT FOREIGN SCHEMA awork FROM SERVER awork INTO awork;

CREATE TEMP TABLE lists (name text, list jsonb);
COPY lists FROM STDIN;
:ROWS
\.
SELECT format('CREATE TABLE copy.%I AS SELECT %s FROM lists, jsonb_array_elements(list) AS attrs WHERE name = %L',
              table_name,
              string_agg(CASE WHEN column_name = 'attrs' THEN 'attrs'
                              WHEN data_type = 'jsonb' THEN
                                  format('nullif(attrs #> %L, ''null'') AS %I', path, column_name)
                              ELSE format('(attrs #>> %L)::%s AS %I', path, data_type, column_name) END,
                         ', ' ORDER BY ordinal_position),
              table_name)
FROM awork_fdw_catalog, LATERAL (SELECT string_to_array(field, '/')::text AS path) AS field_path
WHERE table_name IN (SELECT name FROM lists) AND parameter IS NULL
  AND (field IS NOT NULL OR column_name = 'attrs')
GROUP BY table_name \gexec

-- What people make of the tables: tools that show no foreign tables show views.
CREATE VIEW awork.hours_by_project AS
    SELECT p.name AS project, date_trunc('month', t.start_date_local)::date AS month,
           round(sum(t.duration) / 3600.0, 2) AS hours
      FROM awork.time_entries AS t
      JOIN awork.projects AS p ON p.id = t.project_id
     GROUP BY p.id, p.name, month;
COMMENT ON VIEW awork.hours_by_project IS 'Tracked hours per project and month.';

GRANT USAGE ON SCHEMA awork, copy TO reports;
GRANT SELECT ON ALL TABLES IN SCHEMA awork, copy TO reports;
