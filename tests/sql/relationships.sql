--
-- Metadata that tools read: what refers to what, and what is never null.
--
\set url `echo "$AWORK_SANDBOX_URL"`
SET client_min_messages = error;
CREATE SERVER related FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url :'url');
CREATE USER MAPPING FOR CURRENT_USER SERVER related OPTIONS (api_key 'awork-sandbox-key');
CREATE SCHEMA related;
IMPORT FOREIGN SCHEMA awork FROM SERVER related INTO related;

\d awork_fdw_relationships

-- those of core tables
SELECT source_column, target_table, target_column, cardinality, is_optional FROM awork_fdw_relationships
WHERE source_schema = 'related' AND source_table = 'time_entries' ORDER BY 1;
SELECT source_column, target_table, target_column, cardinality, is_optional FROM awork_fdw_relationships
WHERE source_schema = 'related' AND source_table = 'tasks' ORDER BY 1;
SELECT source_column, target_table, target_column, cardinality, is_optional FROM awork_fdw_relationships
WHERE source_schema = 'related' AND source_table IN ('projects', 'user_capacities') ORDER BY 1;
-- all of them are what the catalogue says
SELECT count(*) > 500 AS many, count(*) = count(DISTINCT (source_table, source_column)) AS once FROM awork_fdw_relationships
WHERE source_schema = 'related';
SELECT source_table, source_column FROM awork_fdw_relationships
JOIN awork_fdw_catalog ON table_name = source_table AND column_name = source_column
WHERE source_schema = 'related' AND refers_to IS DISTINCT FROM target_table || '.' || target_column;

-- ids are found where they refer to; the system's own identity is no user
CREATE TEMP VIEW core AS
    SELECT * FROM awork_fdw_relationships
    WHERE source_schema = 'related'
      AND source_table IN ('projects', 'tasks', 'time_entries', 'users', 'companies', 'absences', 'workspace_absences',
           'project_members', 'project_milestones', 'time_bookings', 'project_time_bookings', 'task_schedules',
           'documents', 'project_statuses', 'retainers', 'user_capacities', 'project_task_dependencies');
CREATE FUNCTION dangling(OUT source text, OUT target text, OUT missing bigint) RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
    r record;
    checked bigint := 0;
BEGIN
    FOR r IN SELECT DISTINCT target_table, target_column FROM core LOOP
        EXECUTE format('CREATE TEMP TABLE %1$I AS SELECT DISTINCT %2$I AS value FROM related.%1$I %3$s', r.target_table, r.target_column,
                       CASE WHEN EXISTS (SELECT FROM awork_fdw_catalog WHERE table_name = r.target_table AND column_name = 'show_archived')
                            THEN 'WHERE show_archived IN (true, false)' ELSE '' END);
    END LOOP;
    FOR r IN SELECT DISTINCT source_table FROM core LOOP
        EXECUTE format('CREATE TEMP TABLE %I AS SELECT * FROM related.%I', 'of_' || r.source_table, r.source_table);
    END LOOP;
    FOR r IN SELECT * FROM core ORDER BY source_table, source_column LOOP
        source := r.source_table || '.' || r.source_column;
        target := r.target_table || '.' || r.target_column;
        EXECUTE format('SELECT count(*) FROM pg_temp.%1$I s WHERE %2$I IS NOT NULL AND NOT EXISTS (SELECT FROM pg_temp.%3$I t WHERE t.value = s.%2$I)
                        AND s.%2$I::text <> ''01010001-0000-0000-0000-111111111111''',
                       'of_' || r.source_table, r.source_column, r.target_table)
            INTO missing;
        checked := checked + 1;
        IF missing > 0 THEN
            RETURN NEXT;
        END IF;
    END LOOP;
    IF checked < 60 THEN
        RAISE 'only % references were checked', checked;
    END IF;
END $$;
SELECT * FROM dangling();

-- tables of one's own count by what they show, and the nearest table is referred to
CREATE SCHEMA own;
CREATE FOREIGN TABLE own.hours (
    entry uuid OPTIONS (field 'id'), who uuid OPTIONS (field 'userId'), project_id uuid, who_id text OPTIONS (field 'note')
) SERVER related OPTIONS (resource 'time_entries');
CREATE FOREIGN TABLE own.people (person uuid OPTIONS (field 'id') NOT NULL) SERVER related OPTIONS (resource 'users');
CREATE FOREIGN TABLE own.entries (id uuid OPTIONS (field 'id'), user_id uuid) SERVER related OPTIONS (resource 'absences');
SELECT source_table, source_column, target_schema, target_table, target_column FROM awork_fdw_relationships
WHERE source_schema = 'own' ORDER BY 1, 2;

-- only what one may read
CREATE ROLE reader;
SET ROLE reader;
SELECT count(*) FROM public.awork_fdw_relationships;
RESET ROLE;
GRANT SELECT ON own.hours, own.people TO reader;
SET ROLE reader;
SELECT source_table, source_column, target_table FROM public.awork_fdw_relationships;
RESET ROLE;

-- what is never null
SELECT table_name, column_name FROM awork_fdw_catalog
JOIN information_schema.columns c USING (table_name, column_name)
WHERE c.table_schema = 'related' AND (is_nullable = 'NO') <> not_null;
SELECT column_name FROM information_schema.columns
WHERE table_schema = 'related' AND table_name IN ('projects', 'project_task_lists') AND is_nullable = 'NO' ORDER BY table_name, ordinal_position;
-- where people say so of what may be null, null is an error and not a wrong answer
ALTER FOREIGN TABLE own.hours ALTER COLUMN who_id SET NOT NULL;
SELECT count(entry) > 0 AS some FROM own.hours;
SELECT count(who_id) FROM (SELECT who_id FROM own.hours OFFSET 0) AS x; -- should fail

DROP SCHEMA related, own CASCADE;
DROP SERVER related CASCADE;
DROP ROLE reader;
