--
-- Hand-written tables: fewer, renamed, reordered and dropped columns, other types.
--
\set url `echo "$AWORK_SANDBOX_URL"`
SET client_min_messages = error;
CREATE SERVER tables FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url :'url');
CREATE USER MAPPING FOR CURRENT_USER SERVER tables OPTIONS (api_key 'awork-sandbox-key');
IMPORT FOREIGN SCHEMA awork LIMIT TO (projects, users, project_members) FROM SERVER tables INTO public;

-- names of one's own, a path, a property that the catalogue does not have
CREATE FOREIGN TABLE small (
    client text OPTIONS (field 'company/name'),
    title text OPTIONS (field 'name'),
    "Project Id" uuid OPTIONS (field 'id'),
    company_name text,
    not_yet jsonb OPTIONS (field 'fieldOfTomorrow/deep')
) SERVER tables OPTIONS (resource 'projects', page_size '7');
SELECT count(*) AS differences FROM small s FULL JOIN projects p ON p.id = s."Project Id"
WHERE (s.client, s.title, s.company_name) IS DISTINCT FROM (p.company_name, p.name, p.company_name)
   OR s.not_yet IS NOT NULL;

-- dropped and added columns
ALTER FOREIGN TABLE small DROP COLUMN title;
ALTER FOREIGN TABLE small ADD COLUMN budget bigint OPTIONS (field 'timeBudget');
ALTER FOREIGN TABLE small RENAME COLUMN client TO customer;
SELECT count(*) AS differences FROM small s JOIN projects p ON p.id = s."Project Id"
WHERE (s.customer, s.budget) IS DISTINCT FROM (p.company_name, p.time_budget::bigint);

-- renaming an imported column keeps its meaning
ALTER FOREIGN TABLE projects RENAME COLUMN name TO project_title;
SELECT count(*) > 0 AS named FROM projects WHERE project_title IS NOT NULL;
ALTER FOREIGN TABLE project_members RENAME COLUMN project_id TO of_project;
SELECT count(*) > 0 AS members FROM project_members
WHERE of_project = (SELECT id FROM projects WHERE jsonb_array_length(members) > 0 LIMIT 1);

-- other types than the import chooses
CREATE DOMAIN label AS text CHECK (VALUE <> 'never');
CREATE FOREIGN TABLE types (
    id text,
    name varchar(5),
    label label OPTIONS (field 'name'),
    created date OPTIONS (field 'createdOn'),
    created_text text OPTIONS (field 'createdOn'),
    created_second timestamptz(0) OPTIONS (field 'createdOn'),
    budget numeric OPTIONS (field 'timeBudget'),
    budget_text text OPTIONS (field 'timeBudget'),
    budget_float real OPTIONS (field 'timeBudget'),
    company json,
    is_private text OPTIONS (field 'isPrivate'),
    attrs json
) SERVER tables OPTIONS (resource 'projects');
SELECT count(*) > 0 AS some FROM types t JOIN projects p ON p.id::text = t.id;
SELECT count(*) AS differences FROM types t JOIN projects p ON p.id::text = t.id
WHERE t.label <> p.project_title OR t.created <> (p.created_on AT TIME ZONE 'UTC')::date
   OR t.created_text::timestamptz <> p.created_on
   OR t.created_second <> p.created_on::timestamptz(0)
   OR (t.budget, t.budget_text::integer, t.budget_float::numeric) IS DISTINCT FROM
      (p.time_budget::numeric, p.time_budget, p.time_budget::real::numeric)
   OR t.company::jsonb IS DISTINCT FROM p.company OR t.is_private::boolean <> p.is_private
   OR t.attrs::jsonb <> p.attrs;

-- a value that does not fit is an error that names the column, and the session goes on
\set VERBOSITY sqlstate
SELECT name FROM types; -- should fail
SELECT id FROM types WHERE created IS NULL;
CREATE FOREIGN TABLE wrong (id uuid, name integer) SERVER tables OPTIONS (resource 'projects');
SELECT name FROM wrong; -- should fail
\set VERBOSITY default
SELECT count(*) > 0 AS fine FROM wrong;

-- a value that is worked out has the type of the import, and every other column is free
CREATE FOREIGN TABLE worked_out (started_at text, is_running boolean, started date OPTIONS (field 'started_at'))
    SERVER tables OPTIONS (resource 'time_entries');
SELECT started_at FROM worked_out; -- should fail
SELECT started FROM worked_out; -- should fail
SELECT bool_or(is_running) AS some_run FROM worked_out;
IMPORT FOREIGN SCHEMA awork LIMIT TO (time_entries) FROM SERVER tables INTO public;
ALTER FOREIGN TABLE time_entries RENAME COLUMN attrs TO raw;
ALTER FOREIGN TABLE time_entries RENAME COLUMN started_at TO started;
SELECT count(raw) = count(*) AS raw, count(started) > 0 AS started FROM time_entries;

-- a parameter has one column
CREATE FOREIGN TABLE twice (a uuid OPTIONS (field 'projectId'), b text OPTIONS (field 'projectId'))
    SERVER tables OPTIONS (resource 'project_members');
SELECT b FROM twice WHERE a = '00000000-0000-4000-8000-000000000000'; -- should fail

-- an instant without a zone is UTC, whatever the type and the session's zone
CREATE DOMAIN moment AS timestamptz;
CREATE FOREIGN TABLE zones (id uuid, created_on timestamptz, milli timestamptz(3) OPTIONS (field 'createdOn'),
    moment moment OPTIONS (field 'createdOn')) SERVER tables OPTIONS (resource 'webhooks');
SET timezone = 'America/New_York';
SELECT count(*) > 0 AS some FROM zones;
SELECT count(*) AS differences FROM zones WHERE milli <> created_on::timestamptz(3) OR moment <> created_on;
RESET timezone;

-- partitions
CREATE TABLE all_users (id uuid, first_name text, workspace text) PARTITION BY LIST (workspace);
DROP FOREIGN TABLE users;
CREATE FOREIGN TABLE users_here PARTITION OF all_users FOR VALUES IN (NULL)
    SERVER tables OPTIONS (resource 'users');
SELECT count(*) > 0 AS some FROM all_users WHERE first_name IS NOT NULL;
SELECT workspace FROM all_users; -- should fail

DROP TABLE all_users;
DROP FOREIGN TABLE small, types, wrong, projects, project_members, worked_out, time_entries, twice, zones;
DROP DOMAIN label, moment;
DROP SERVER tables CASCADE;
