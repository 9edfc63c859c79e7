--
-- The functions and views for people.
--
SELECT awork_fdw_version() = extversion AS same_version FROM pg_extension WHERE extname = 'awork_fdw';

\d awork_fdw_catalog
SELECT table_name, column_name, data_type, api_path, field, parameter, required, parent_table
FROM awork_fdw_catalog
WHERE table_name IN ('project_members', 'user_workloads') AND (parameter IS NOT NULL OR field = 'projectRoleName')
ORDER BY table_name, ordinal_position;

-- what is known of filters and orders
SELECT filters, orders, count(*) > 0 AS some FROM awork_fdw_catalog GROUP BY 1, 2 ORDER BY 1, 2;

-- figures of servers and tables, whose names are promises as well
\d awork_fdw_stats
\d awork_fdw_table_stats

-- every role may look
CREATE ROLE anybody;
SET ROLE anybody;
SELECT count(*) > 3000 AS all_columns FROM awork_fdw_catalog;
SELECT count(*) FROM awork_fdw_stats;
SELECT count(*) FROM awork_fdw_table_stats;
SELECT awork_fdw_stats_reset(); -- should fail
RESET ROLE;
DROP ROLE anybody;
