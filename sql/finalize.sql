CREATE FOREIGN DATA WRAPPER awork_fdw
    HANDLER awork_fdw_handler
    VALIDATOR awork_fdw_validator;

CREATE VIEW awork_fdw_catalog AS
    SELECT * FROM awork_fdw_catalog_rows();

COMMENT ON VIEW awork_fdw_catalog IS
    'What IMPORT FOREIGN SCHEMA offers: one row per column of each table.';

GRANT SELECT ON awork_fdw_catalog TO PUBLIC;

COMMENT ON FUNCTION awork_fdw_check(text) IS
    'Reaches awork through a foreign server and says which workspace and identity answer.';

COMMENT ON FUNCTION awork_fdw_drift(text) IS
    'Compares what awork sends now with the catalogue and the foreign tables of a server that the '
    'user may read, and lists what is new, gone or changed. Sends a request or a few per table.';

COMMENT ON FUNCTION awork_fdw_version() IS
    'Version of the awork_fdw library.';

CREATE VIEW awork_fdw_stats AS
    SELECT server.srvname AS server,
           figures.all_sessions,
           figures.requests, figures.request_ms, figures.latency_p50_ms, figures.latency_p95_ms,
           figures.pages, figures.rows_received, figures.bytes_received, figures.decode_ms,
           figures.retries, figures.retry_wait_ms,
           figures.rate_limited, figures.rate_limit_wait_ms,
           own.requests_per_second, own.requests_per_minute,
           figures.refused_filters,
           figures.failures, figures.last_error, figures.last_error_at,
           figures.cache_hits, figures.cache_misses, figures.oldest_hit_ms,
           own.cached_answers, own.cached_bytes,
           figures.stats_since
    FROM pg_catalog.pg_foreign_server AS server
    JOIN pg_catalog.pg_foreign_data_wrapper AS wrapper ON wrapper.oid = server.srvfdw
    -- The functions get no server that would be an error, in whatever order conditions are checked.
    CROSS JOIN LATERAL (
        SELECT CASE WHEN wrapper.fdwname = 'awork_fdw'
                     AND pg_catalog.has_server_privilege(server.oid, 'USAGE')
                    THEN server.srvname::text END AS name) AS usable
    CROSS JOIN LATERAL awork_fdw_server_stats(usable.name) AS own
    CROSS JOIN LATERAL awork_fdw_figures(usable.name) AS figures
    WHERE figures.relation IS NULL;

COMMENT ON VIEW awork_fdw_stats IS
    'Requests sent to the workspace of each server that the user may use, and its share of the '
    'cache: of all sessions where the library is preloaded, else of this session.';

GRANT SELECT ON awork_fdw_stats TO PUBLIC;

CREATE VIEW awork_fdw_table_stats AS
    SELECT server.srvname AS server,
           namespace.nspname AS table_schema,
           relation.relname AS table_name,
           (SELECT option.option_value
            FROM pg_catalog.pg_options_to_table(foreign_table.ftoptions) AS option
            WHERE option.option_name = 'resource') AS resource,
           figures.all_sessions,
           figures.requests, figures.request_ms, figures.latency_p50_ms, figures.latency_p95_ms,
           figures.pages, figures.rows_received, figures.bytes_received, figures.decode_ms,
           figures.retries, figures.retry_wait_ms,
           figures.rate_limited, figures.rate_limit_wait_ms,
           figures.refused_filters,
           figures.failures, figures.last_error, figures.last_error_at,
           figures.cache_hits, figures.cache_misses, figures.oldest_hit_ms,
           figures.stats_since
    FROM pg_catalog.pg_foreign_server AS server
    JOIN pg_catalog.pg_foreign_data_wrapper AS wrapper ON wrapper.oid = server.srvfdw
    -- As in awork_fdw_stats.
    CROSS JOIN LATERAL (
        SELECT CASE WHEN wrapper.fdwname = 'awork_fdw'
                     AND pg_catalog.has_server_privilege(server.oid, 'USAGE')
                    THEN server.srvname::text END AS name) AS usable
    CROSS JOIN LATERAL awork_fdw_figures(usable.name) AS figures
    JOIN pg_catalog.pg_foreign_table AS foreign_table
        ON foreign_table.ftrelid = figures.relation AND foreign_table.ftserver = server.oid
    JOIN pg_catalog.pg_class AS relation ON relation.oid = foreign_table.ftrelid
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace;

COMMENT ON VIEW awork_fdw_table_stats IS
    'Requests sent for each foreign table that has been asked, of the servers that the user may '
    'use; lists of parents, which its scans read, included.';

GRANT SELECT ON awork_fdw_table_stats TO PUBLIC;

COMMENT ON FUNCTION awork_fdw_figures(text) IS
    'Requests sent for a server and for each of its tables; see awork_fdw_stats and '
    'awork_fdw_table_stats.';

COMMENT ON FUNCTION awork_fdw_server_stats(text) IS
    'Rate limits of a server, and its share of the cache; see awork_fdw_stats.';

CREATE FUNCTION awork_fdw_stats_reset() RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC
        SELECT awork_fdw_stats_reset(server) FROM awork_fdw_stats;
    END;

COMMENT ON FUNCTION awork_fdw_stats_reset() IS
    'Has the figures of all servers that the user may use count from now on.';

COMMENT ON FUNCTION awork_fdw_stats_reset(text) IS
    'Has the figures of a server and of its tables count from now on.';

-- As those of PostgreSQL: for whom a superuser allows it.
REVOKE ALL ON FUNCTION awork_fdw_stats_reset(), awork_fdw_stats_reset(text) FROM PUBLIC;

CREATE FUNCTION awork_fdw_cache_clear() RETURNS bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC
        SELECT coalesce(sum(awork_fdw_cache_clear(server)), 0)::bigint FROM awork_fdw_stats;
    END;

COMMENT ON FUNCTION awork_fdw_cache_clear() IS
    'Drops the answers of all servers that the user may use from the cache; says how many they were.';

COMMENT ON FUNCTION awork_fdw_cache_clear(text) IS
    'Drops the answers of a server from the cache; says how many they were.';

-- Logins of users. The library reads and writes both tables below SQL, by the order of their
-- columns; nobody else has to. Row level security without policies keeps out the roles that may
-- read or write all tables. Their rows are no part of a dump.
CREATE TABLE awork_fdw_tokens (
    server oid NOT NULL,
    role oid NOT NULL,
    login uuid NOT NULL,
    api_url text NOT NULL,
    client_id text NOT NULL,
    access_token text NOT NULL,
    access_issued_at timestamptz NOT NULL,
    access_expires_at timestamptz,
    refresh_token text,
    logged_in_at timestamptz NOT NULL,
    refresh_began_at timestamptz,
    seed text,
    PRIMARY KEY (server, role)
);

COMMENT ON TABLE awork_fdw_tokens IS
    'Tokens of the logins to awork; awork_fdw_logins shows what is not secret of them.';

CREATE TABLE awork_fdw_login_requests (
    server oid NOT NULL,
    role oid NOT NULL,
    api_url text NOT NULL,
    client_id text NOT NULL,
    state text NOT NULL,
    verifier text NOT NULL,
    redirect_uri text NOT NULL,
    requested_at timestamptz NOT NULL,
    PRIMARY KEY (server, role)
);

COMMENT ON TABLE awork_fdw_login_requests IS
    'Logins to awork that have been begun by awork_fdw_login_url.';

-- Neither statistics nor a TOAST table, which have no row level security, get to see a secret.
ALTER TABLE awork_fdw_tokens
    ALTER access_token SET STORAGE PLAIN, ALTER access_token SET STATISTICS 0,
    ALTER refresh_token SET STORAGE PLAIN, ALTER refresh_token SET STATISTICS 0,
    ALTER seed SET STORAGE PLAIN, ALTER seed SET STATISTICS 0;
ALTER TABLE awork_fdw_login_requests
    ALTER state SET STORAGE PLAIN, ALTER state SET STATISTICS 0,
    ALTER verifier SET STORAGE PLAIN, ALTER verifier SET STATISTICS 0;

ALTER TABLE awork_fdw_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE awork_fdw_login_requests ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON awork_fdw_tokens, awork_fdw_login_requests FROM PUBLIC;

CREATE VIEW awork_fdw_logins WITH (security_barrier) AS
    SELECT server.srvname AS server,
           role.rolname AS role,
           token.client_id,
           token.logged_in_at,
           token.access_issued_at AS refreshed_at,
           token.access_expires_at,
           awork_fdw_needs_login(token.server, token.role) AS needs_login
    FROM awork_fdw_tokens AS token
    JOIN pg_catalog.pg_foreign_server AS server ON server.oid = token.server
    JOIN pg_catalog.pg_roles AS role ON role.oid = token.role
    WHERE pg_catalog.pg_has_role(token.role, 'USAGE');

COMMENT ON VIEW awork_fdw_logins IS
    'Logins to awork of the roles that the user is or is a member of.';

GRANT SELECT ON awork_fdw_logins TO PUBLIC;

COMMENT ON FUNCTION awork_fdw_login_url(text) IS
    'The address at which the current user logs in to awork for a server; good for ten minutes.';

COMMENT ON FUNCTION awork_fdw_login(text, text) IS
    'Completes a login with the code or the address that the browser was sent to.';

COMMENT ON FUNCTION awork_fdw_needs_login(oid, oid) IS
    'Whether a role must log in to a server again; see awork_fdw_logins.';

COMMENT ON FUNCTION awork_fdw_logout(text, text) IS
    'Forgets the login of a role to a server, by default that of the current user.';

COMMENT ON FUNCTION awork_fdw_imported_comments() IS
    'Comments for the custom fields of the import at hand; for awork_fdw_comment_imported.';

COMMENT ON FUNCTION awork_fdw_custom_field_changes(text, text, text[], text[], text[]) IS
    'What awork_fdw_sync_columns is to do.';

CREATE FUNCTION awork_fdw_sync_columns(foreign_table regclass, removed text DEFAULT 'keep')
    RETURNS TABLE (column_name text, awork_name text, custom_field uuid, change text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT
    SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    shown record;
    difference record;
BEGIN
    IF removed NOT IN ('keep', 'drop') THEN
        RAISE EXCEPTION 'value "%" of argument "removed" must be keep or drop', removed
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT server.srvname::text AS server, resource.option_value AS resource, relation.relowner
        INTO shown
        FROM pg_foreign_table AS source
        JOIN pg_class AS relation ON relation.oid = source.ftrelid
        JOIN pg_foreign_server AS server ON server.oid = source.ftserver
        JOIN pg_foreign_data_wrapper AS wrapper ON wrapper.oid = server.srvfdw
        CROSS JOIN pg_options_to_table(source.ftoptions) AS resource
        WHERE source.ftrelid = foreign_table
          AND wrapper.fdwname = 'awork_fdw' AND resource.option_name = 'resource';
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is no foreign table of awork_fdw with a resource', foreign_table
            USING ERRCODE = 'wrong_object_type';
    END IF;
    IF NOT pg_has_role(shown.relowner, 'USAGE') THEN
        RAISE EXCEPTION 'must be owner of foreign table %', foreign_table
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    FOR difference IN
        SELECT changes.*
        FROM (
            -- A table may have no columns.
            SELECT coalesce(array_agg(attribute.attname::text ORDER BY attribute.attnum), '{}') AS names,
                   coalesce(array_agg(field.id ORDER BY attribute.attnum), '{}') AS fields,
                   coalesce(array_agg(col_description(attribute.attrelid, attribute.attnum)
                                      ORDER BY attribute.attnum), '{}') AS comments
            FROM pg_attribute AS attribute
            LEFT JOIN LATERAL (
                SELECT option_value AS id FROM pg_options_to_table(attribute.attfdwoptions)
                WHERE option_name = 'custom_field') AS field ON true
            WHERE attribute.attrelid = foreign_table
              AND attribute.attnum > 0 AND NOT attribute.attisdropped
        ) AS columns
        CROSS JOIN @extschema@.awork_fdw_custom_field_changes(
            shown.server, shown.resource, columns.names, columns.fields, columns.comments) AS changes
    LOOP
        column_name := difference.column_name;
        awork_name := difference.awork_name;
        custom_field := difference.custom_field;
        change := difference.change;
        IF change = 'added' THEN
            EXECUTE format('ALTER FOREIGN TABLE %s ADD COLUMN %s', foreign_table, difference.definition);
        ELSIF change = 'removed' AND removed = 'drop' THEN
            EXECUTE format('ALTER FOREIGN TABLE %s DROP COLUMN %I', foreign_table, column_name);
            change := 'dropped';
        END IF;
        IF difference.comment IS NOT NULL THEN
            EXECUTE format('COMMENT ON COLUMN %s.%I IS %L',
                           foreign_table, column_name, difference.comment);
        END IF;
        RETURN NEXT;
    END LOOP;
END
$function$;

COMMENT ON FUNCTION awork_fdw_sync_columns(regclass, text) IS
    'Compares a foreign table of projects or tasks with the custom fields that there are now: adds '
    'columns for new ones, renews comments of renamed and changed ones, and keeps or drops '
    '(removed => ''drop'') those that are gone. Says what it found.';

CREATE VIEW awork_fdw_relationships AS
    WITH columns AS (
        -- What each column of a foreign table stands for; its option field tells, or else its name.
        SELECT DISTINCT ON (relation.oid, attribute.attnum)
               server.oid AS server_oid, server.srvname AS server,
               relation.oid AS relation, namespace.nspname AS table_schema,
               relation.relname AS table_name, attribute.attnum, attribute.attname AS column_name,
               attribute.attnotnull AS not_null, entry.is_unique, entry.refers_to,
               entry.table_name || '.' || entry.column_name AS entry
        FROM pg_catalog.pg_foreign_table AS source
        JOIN pg_catalog.pg_foreign_server AS server ON server.oid = source.ftserver
        JOIN pg_catalog.pg_foreign_data_wrapper AS wrapper ON wrapper.oid = server.srvfdw
        JOIN pg_catalog.pg_class AS relation ON relation.oid = source.ftrelid
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
        CROSS JOIN LATERAL (
            SELECT option_value AS name FROM pg_catalog.pg_options_to_table(source.ftoptions)
            WHERE option_name = 'resource') AS resource
        JOIN pg_catalog.pg_attribute AS attribute
            ON attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
        CROSS JOIN LATERAL (
            SELECT max(option_value) FILTER (WHERE option_name = 'field') AS field,
                   count(*) FILTER (WHERE option_name = 'custom_field') AS custom_fields
            FROM pg_catalog.pg_options_to_table(attribute.attfdwoptions)) AS option
        JOIN awork_fdw_catalog AS entry
            ON entry.table_name = resource.name
           AND (entry.field = option.field
                OR entry.column_name = coalesce(option.field, attribute.attname::text))
        WHERE wrapper.fdwname = 'awork_fdw'
          AND option.custom_fields = 0
          AND pg_catalog.has_any_column_privilege(relation.oid, 'SELECT')
        ORDER BY relation.oid, attribute.attnum, entry.field IS NOT DISTINCT FROM option.field DESC,
                 entry.ordinal_position
    ),
    -- By themselves, since they are few: a planner that knows nothing of the number of columns may
    -- compare each with each.
    targets AS MATERIALIZED (
        SELECT * FROM columns
        WHERE entry IN (SELECT refers_to FROM awork_fdw_catalog)
    )
    -- Where several tables have what is referred to, the one beside it, or else the first.
    SELECT DISTINCT ON (source.table_schema, source.table_name, source.attnum)
           source.server,
           source.table_schema AS source_schema, source.table_name AS source_table,
           source.column_name AS source_column,
           target.table_schema AS target_schema, target.table_name AS target_table,
           target.column_name AS target_column,
           CASE WHEN source.is_unique THEN 'one-to-one' ELSE 'many-to-one' END AS cardinality,
           NOT source.not_null AS is_optional
    FROM columns AS source
    JOIN targets AS target
        ON target.server_oid = source.server_oid AND target.entry = source.refers_to
    ORDER BY source.table_schema, source.table_name, source.attnum,
             target.table_schema = source.table_schema DESC,
             target.table_schema, target.table_name, target.attnum;

COMMENT ON VIEW awork_fdw_relationships IS
    'Which columns of foreign tables have values of which columns of others: one row per reference '
    'whose both tables the user may read. awork does not enforce them: what is referred to may be '
    'deleted, archived, or not shown to the identity.';

GRANT SELECT ON awork_fdw_relationships TO PUBLIC;

-- IMPORT FOREIGN SCHEMA can create tables but not comment on them, so the comments follow it.
CREATE FUNCTION awork_fdw_comment_imported() RETURNS event_trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    imported record;
    -- By the ids of their definitions.
    comments jsonb := (SELECT jsonb_object_agg(custom_field, comment)
                       FROM @extschema@.awork_fdw_imported_comments());
BEGIN
    FOR imported IN
        WITH tables AS (
            SELECT command.objid::regclass::text AS relation, resource.option_value AS resource
            FROM pg_event_trigger_ddl_commands() AS command
            JOIN pg_foreign_table AS foreign_table ON foreign_table.ftrelid = command.objid
            JOIN pg_foreign_server AS server ON server.oid = foreign_table.ftserver
            JOIN pg_foreign_data_wrapper AS wrapper ON wrapper.oid = server.srvfdw
            CROSS JOIN pg_options_to_table(foreign_table.ftoptions) AS resource
            -- A column's options count as commands of their own.
            WHERE command.command_tag = 'CREATE FOREIGN TABLE'
              AND wrapper.fdwname = 'awork_fdw'
              AND resource.option_name = 'resource'
        )
        SELECT tables.relation, entry.column_name, entry.column_comment,
               entry.table_comment, entry.ordinal_position
        FROM tables
        JOIN @extschema@.awork_fdw_catalog_rows() AS entry ON entry.table_name = tables.resource
    LOOP
        IF imported.ordinal_position = 1 THEN
            EXECUTE format('COMMENT ON FOREIGN TABLE %s IS %L',
                           imported.relation, imported.table_comment);
        END IF;
        IF imported.column_comment IS NOT NULL THEN
            EXECUTE format('COMMENT ON COLUMN %s.%I IS %L',
                           imported.relation, imported.column_name, imported.column_comment);
        END IF;
    END LOOP;
    IF comments IS NULL THEN
        RETURN;
    END IF;
    FOR imported IN
        SELECT command.objid::regclass::text AS relation, attribute.attname AS column_name,
               comments ->> option.option_value AS column_comment
        FROM pg_event_trigger_ddl_commands() AS command
        JOIN pg_attribute AS attribute ON attribute.attrelid = command.objid
        CROSS JOIN pg_options_to_table(attribute.attfdwoptions) AS option
        WHERE command.command_tag = 'CREATE FOREIGN TABLE'
          AND option.option_name = 'custom_field'
          AND comments ? option.option_value
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L',
                       imported.relation, imported.column_name, imported.column_comment);
    END LOOP;
END
$function$;

CREATE EVENT TRIGGER awork_fdw_comment_imported
    ON ddl_command_end
    WHEN TAG IN ('IMPORT FOREIGN SCHEMA')
    EXECUTE FUNCTION awork_fdw_comment_imported();
