--
-- IMPORT FOREIGN SCHEMA: which tables, which columns, which comments. Nothing is sent.
--
CREATE SERVER import FOREIGN DATA WRAPPER awork_fdw;

CREATE SCHEMA everything;
IMPORT FOREIGN SCHEMA awork FROM SERVER import INTO everything;

-- every table of the catalogue, with all columns in the catalogue's order and types
SELECT count(*) = (SELECT count(DISTINCT table_name) FROM awork_fdw_catalog) AS all_tables
FROM information_schema.foreign_tables WHERE foreign_table_schema = 'everything';
SELECT c.table_name, c.column_name, c.data_type, i.data_type
FROM awork_fdw_catalog c
FULL JOIN (SELECT * FROM information_schema.columns WHERE table_schema = 'everything') i
    USING (table_name, column_name, ordinal_position)
WHERE c.data_type IS DISTINCT FROM i.data_type;

-- no name needs quotes
SELECT table_name, column_name FROM awork_fdw_catalog
WHERE quote_ident(table_name) <> table_name OR quote_ident(column_name) <> column_name;
SELECT DISTINCT column_name FROM awork_fdw_catalog WHERE column_name LIKE '%\_' ORDER BY 1;

-- the tables that documents and reports rely on
SELECT name FROM unnest(ARRAY['projects', 'tasks', 'time_entries', 'users', 'companies', 'teams',
    'absences', 'workspace_absences', 'types_of_work', 'project_types', 'project_statuses',
    'project_members', 'project_milestones', 'project_task_lists', 'project_task_statuses',
    'project_tasks', 'task_comments', 'project_comments', 'time_bookings',
    'project_time_bookings', 'task_schedules', 'custom_field_definitions', 'workflows', 'roles',
    'retainers']) AS name
WHERE to_regclass('everything.' || name) IS NULL;

-- every table and every column that needs one has a comment
SELECT count(*) AS tables_without_comment FROM pg_class
WHERE relnamespace = 'everything'::regnamespace AND obj_description(oid) IS NULL;
SELECT count(*) AS lost_comments FROM awork_fdw_catalog
WHERE column_comment IS DISTINCT FROM
    col_description(('everything.' || table_name)::regclass, ordinal_position);
SELECT column_name, col_description('everything.time_entries'::regclass, ordinal_position)
FROM awork_fdw_catalog
WHERE table_name = 'time_entries' AND column_name IN ('duration', 'started_at', 'attrs')
ORDER BY column_name;

-- selections
CREATE SCHEMA chosen;
IMPORT FOREIGN SCHEMA awork LIMIT TO (projects, users) FROM SERVER import INTO chosen;
SELECT foreign_table_name FROM information_schema.foreign_tables
WHERE foreign_table_schema = 'chosen' ORDER BY 1;
IMPORT FOREIGN SCHEMA absences EXCEPT (absence_regions, absence_region_details) FROM SERVER import INTO chosen;
SELECT foreign_table_name FROM information_schema.foreign_tables
WHERE foreign_table_schema = 'chosen' ORDER BY 1;

-- what does not exist
IMPORT FOREIGN SCHEMA nonsense FROM SERVER import INTO chosen; -- should fail
IMPORT FOREIGN SCHEMA awork LIMIT TO (roles) FROM SERVER import INTO chosen OPTIONS (colour 'red'); -- should fail

-- a name that needs quotes
CREATE SERVER "Quoted ""Server""" FOREIGN DATA WRAPPER awork_fdw;
CREATE SCHEMA "Quoted Schema";
IMPORT FOREIGN SCHEMA awork LIMIT TO (time_entries) FROM SERVER "Quoted ""Server""" INTO "Quoted Schema";
SELECT obj_description('"Quoted Schema".time_entries'::regclass) IS NOT NULL AS commented;

SET client_min_messages = error;
DROP SCHEMA everything, chosen, "Quoted Schema" CASCADE;
DROP SERVER import, "Quoted ""Server""" CASCADE;
