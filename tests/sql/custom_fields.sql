--
-- Custom fields as columns: which there are, what they are called, and what they show.
--
\set url `echo "$AWORK_SANDBOX_URL"`
SET client_min_messages = error;
CREATE SERVER custom FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url :'url', page_size '400');
CREATE USER MAPPING FOR CURRENT_USER SERVER custom OPTIONS (api_key 'awork-sandbox-key');
CREATE SCHEMA custom;
SET search_path = custom, public;
IMPORT FOREIGN SCHEMA awork FROM SERVER custom INTO custom OPTIONS (custom_fields 'columns');

-- each list of projects and of tasks has the same columns for them, before attrs; others have none
CREATE VIEW shown AS
    SELECT t.relname AS table_name, a.attnum, a.attname AS column_name, a.attrelid,
           format_type(a.atttypid, a.atttypmod) AS data_type, o.option_value::uuid AS custom_field,
           col_description(a.attrelid, a.attnum) AS comment
    FROM pg_class t
    JOIN pg_attribute a ON a.attrelid = t.oid AND NOT a.attisdropped
    CROSS JOIN pg_options_to_table(a.attfdwoptions) AS o
    WHERE t.relnamespace = 'custom'::regnamespace AND o.option_name = 'custom_field';
SELECT columns, string_agg(table_name, ', ' ORDER BY table_name) AS tables
FROM (SELECT table_name, count(*) AS columns, array_agg(column_name ORDER BY attnum) AS names FROM shown GROUP BY 1) AS each
GROUP BY columns, names ORDER BY columns;
SELECT count(*) AS after_attrs FROM shown s
JOIN pg_attribute a ON a.attrelid = s.attrelid AND a.attname = 'attrs' AND a.attnum < s.attnum;

-- names, types and comments
SELECT column_name, data_type, comment FROM shown WHERE table_name = 'projects' ORDER BY column_name;
SELECT regexp_replace(column_name, '_[0-9a-f]{4,8}$', '_<id>') AS column_name, data_type, comment
FROM shown WHERE table_name = 'tasks' ORDER BY 1, comment;
SELECT table_name, column_name FROM shown WHERE quote_ident(column_name) <> column_name;
SELECT custom_field FROM shown s LEFT JOIN custom_field_definitions d ON d.id = custom_field WHERE d.id IS NULL;

-- what they show is what attrs has
CREATE FUNCTION in_attrs(attrs jsonb, field uuid) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(v #>> '{selectionOption,value}', v ->> 'textValue', v ->> 'numberValue', v ->> 'dateValue',
                    v ->> 'booleanValue', v ->> 'userIdValue', v ->> 'clientIdValue')
    FROM jsonb_array_elements(attrs -> 'customFields') AS v
    WHERE v ->> 'customFieldDefinitionId' = field::text
$$;
CREATE FUNCTION differences(of regclass, OUT column_name text, OUT filled bigint, OUT differences bigint)
RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
    sought record;
BEGIN
    EXECUTE format('CREATE TEMP TABLE copy AS SELECT * FROM %s', of);
    FOR sought IN SELECT * FROM shown WHERE attrelid = of ORDER BY attnum LOOP
        column_name := sought.column_name;
        EXECUTE format(
            'SELECT count(%1$I), count(*) FILTER (WHERE %1$I IS DISTINCT FROM
                 CASE %2$L WHEN ''date'' THEN left(in_attrs(attrs, %3$L), 10) ELSE in_attrs(attrs, %3$L) END::%2$s)
             FROM copy', sought.column_name, sought.data_type, sought.custom_field)
        INTO filled, differences;
        RETURN NEXT;
    END LOOP;
    DROP TABLE copy;
END $$;
SELECT count(*) AS columns, count(*) FILTER (WHERE filled = 0) AS empty, sum(differences) AS differences
FROM differences('projects');
SELECT count(*) AS columns, count(*) FILTER (WHERE filled = 0) AS empty, sum(differences) AS differences
FROM differences('tasks');
SELECT count(*) AS columns, count(*) FILTER (WHERE filled = 0) AS empty, sum(differences) AS differences
FROM differences('project_tasks');

-- conditions, orders, limits and counts are for PostgreSQL
SELECT custom_field AS rate FROM shown WHERE table_name = 'projects' AND column_name = 'stundensatz' \gset
EXPLAIN (VERBOSE, COSTS OFF)
SELECT name, stundensatz FROM projects WHERE stundensatz > 100 AND created_on >= '2020-01-01' ORDER BY festpreis LIMIT 3;
CREATE FOREIGN TABLE few (id uuid, rate numeric OPTIONS (custom_field :'rate')) SERVER custom OPTIONS (resource 'projects');
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM few WHERE rate IS NULL;
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(rate) FROM few;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM few WHERE rate > 100 LIMIT 3;
CREATE TEMP TABLE copy AS SELECT * FROM projects;
SELECT (SELECT count(*) FROM projects WHERE stundensatz > 100) = (SELECT count(*) FROM copy WHERE stundensatz > 100) AS same_condition,
       (SELECT count(stundensatz) FROM projects) = (SELECT count(stundensatz) FROM copy) AS same_count,
       (SELECT array_agg(id) FROM (SELECT id FROM projects ORDER BY festpreis DESC NULLS LAST, id LIMIT 5) AS x)
       = (SELECT array_agg(id) FROM (SELECT id FROM copy ORDER BY festpreis DESC NULLS LAST, id LIMIT 5) AS x) AS same_order,
       (SELECT sum(p.stundensatz * t.duration) FROM time_entries t JOIN projects p ON p.id = t.project_id)
       = (SELECT sum(p.stundensatz * t.duration) FROM time_entries t JOIN copy p ON p.id = t.project_id) AS same_join;

-- one by its id
SELECT id AS one, stundensatz AS rate FROM copy WHERE stundensatz IS NOT NULL LIMIT 1 \gset
SELECT stundensatz = :rate AS same FROM projects WHERE id = :'one';

-- columns by hand have the names and types that people like
SELECT custom_field AS number FROM shown WHERE table_name = 'projects' AND column_name = 'auftragsnummer' \gset
CREATE DOMAIN rate AS numeric(8, 2) CHECK (VALUE > 0);
CREATE FOREIGN TABLE rates (
    id uuid,
    "Rate" rate OPTIONS (custom_field :'rate'),
    as_text text OPTIONS (custom_field :'rate'),
    as_float float8 OPTIONS (custom_field :'rate'),
    as_json jsonb OPTIONS (custom_field :'rate')
) SERVER custom OPTIONS (resource 'projects');
SELECT count(*) AS differences FROM rates r JOIN copy USING (id)
WHERE "Rate" IS DISTINCT FROM round(stundensatz, 2) OR as_text::numeric IS DISTINCT FROM stundensatz
   OR as_float IS DISTINCT FROM stundensatz::float8 OR as_json::numeric IS DISTINCT FROM stundensatz;

-- what does not fit
\set VERBOSITY terse
CREATE FUNCTION failure(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'none';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ': ' || SQLERRM;
END $$;
ALTER FOREIGN TABLE rates ADD COLUMN wrong integer OPTIONS (custom_field :'number');
SELECT left(failure('SELECT count(wrong) FROM rates'), 60);
ALTER FOREIGN TABLE rates OPTIONS (ADD on_type_mismatch 'null');
SELECT count(wrong), count(as_text) > 0 AS others FROM rates;
\set VERBOSITY default

-- options that make no sense
CREATE FOREIGN TABLE bad (x text OPTIONS (custom_field 'rate')) SERVER custom OPTIONS (resource 'projects'); -- should fail
CREATE FOREIGN TABLE bad (x text OPTIONS (custom_field :'rate', field 'name')) SERVER custom OPTIONS (resource 'projects'); -- should fail
ALTER FOREIGN TABLE rates ALTER COLUMN as_text OPTIONS (ADD field 'name'); -- should fail
CREATE FOREIGN TABLE no_fields (id uuid, x text OPTIONS (custom_field :'rate')) SERVER custom OPTIONS (resource 'users');
SELECT count(id) > 0 AS some FROM no_fields;
SELECT x FROM no_fields; -- should fail
IMPORT FOREIGN SCHEMA awork LIMIT TO (projects) FROM SERVER custom INTO custom OPTIONS (custom_fields 'rows'); -- should fail

-- selections, groups, and the default
CREATE SCHEMA chosen;
IMPORT FOREIGN SCHEMA awork LIMIT TO (tasks, users) FROM SERVER custom INTO chosen OPTIONS (custom_fields 'columns');
SELECT attrelid::regclass, count(*) FROM pg_attribute CROSS JOIN pg_options_to_table(attfdwoptions)
WHERE attrelid IN ('chosen.tasks'::regclass, 'chosen.users'::regclass) AND option_name = 'custom_field' GROUP BY 1;
CREATE SCHEMA without;
IMPORT FOREIGN SCHEMA awork LIMIT TO (tasks) FROM SERVER custom INTO without OPTIONS (custom_fields 'none');
SELECT count(*) FROM pg_attribute CROSS JOIN pg_options_to_table(attfdwoptions)
WHERE attrelid = 'without.tasks'::regclass AND option_name = 'custom_field';

-- later: columns for what is new, and only for that
SELECT count(*), count(DISTINCT column_name), min(change), max(change) FROM awork_fdw_sync_columns('without.tasks');
SELECT * FROM awork_fdw_sync_columns('without.tasks');
SELECT count(*) FROM (
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attfdwoptions, col_description(a.attrelid, a.attnum)
    FROM pg_attribute a WHERE attrelid = 'without.tasks'::regclass AND attnum > 0
    EXCEPT
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attfdwoptions, col_description(a.attrelid, a.attnum)
    FROM pg_attribute a WHERE attrelid = 'tasks'::regclass AND attnum > 0) AS differences;
-- a name that is taken by then
ALTER FOREIGN TABLE without.tasks DROP COLUMN abnahme;
ALTER FOREIGN TABLE without.tasks ADD COLUMN abnahme text OPTIONS (field 'name');
SELECT regexp_replace(column_name, '_[0-9a-f]{4}$', '_<id>') AS column_name, awork_name, change
FROM awork_fdw_sync_columns('without.tasks');
-- a field that is gone is kept, and dropped where that is asked for and nothing needs it
ALTER FOREIGN TABLE without.tasks ADD COLUMN gone text OPTIONS (custom_field 'ffffffff-0000-0000-0000-000000000000');
COMMENT ON COLUMN without.tasks.gone IS 'Custom field "Weg" (text).';
SELECT * FROM awork_fdw_sync_columns('without.tasks');
CREATE VIEW without.needs AS SELECT gone FROM without.tasks;
SELECT * FROM awork_fdw_sync_columns('without.tasks', removed => 'drop'); -- should fail
DROP VIEW without.needs;
BEGIN;
SELECT * FROM awork_fdw_sync_columns('without.tasks', removed => 'drop');
ROLLBACK;
SELECT * FROM awork_fdw_sync_columns('without.tasks', removed => 'drop');
SELECT count(*) FROM pg_attribute WHERE attrelid = 'without.tasks'::regclass AND attname = 'gone';

-- a table without columns gets them too
CREATE FOREIGN TABLE none () SERVER custom OPTIONS (resource 'projects');
SELECT count(*) FROM awork_fdw_sync_columns('none');
ANALYZE none;
SELECT count(*) > 0 AS known FROM pg_stats WHERE schemaname = 'custom' AND tablename = 'none' AND attname = 'stundensatz';

-- for owners only, and only of what has custom fields
SELECT awork_fdw_sync_columns('without.tasks', 'forget'); -- should fail
SELECT awork_fdw_sync_columns('users'); -- should fail
SELECT awork_fdw_sync_columns('pg_class'); -- should fail
CREATE ROLE no_owner;
GRANT USAGE ON SCHEMA without TO no_owner;
GRANT USAGE ON FOREIGN SERVER custom TO no_owner;
SET ROLE no_owner;
SELECT public.awork_fdw_sync_columns('without.tasks'); -- should fail
RESET ROLE;

DROP SCHEMA custom, chosen, without CASCADE;
DROP SERVER custom CASCADE;
DROP ROLE no_owner;
