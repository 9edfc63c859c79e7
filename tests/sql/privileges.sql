--
-- Whose key is used, and who may see it.
--
\set url `echo "$AWORK_SANDBOX_URL"`
SET client_min_messages = error;
CREATE SERVER shared FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url :'url', max_retries '0');
CREATE FOREIGN TABLE entries (id uuid) SERVER shared OPTIONS (resource 'time_entries');
CREATE ROLE owner_role;
CREATE ROLE reader_role;
CREATE USER MAPPING FOR owner_role SERVER shared OPTIONS (api_key 'awork-sandbox-key');
CREATE USER MAPPING FOR reader_role SERVER shared OPTIONS (api_key 'wrong-key');
GRANT SELECT ON entries TO owner_role, reader_role;
GRANT CREATE ON SCHEMA public TO owner_role;
GRANT USAGE ON FOREIGN SERVER shared TO owner_role;

-- each role has its own key
SET ROLE owner_role;
SELECT count(*) > 0 AS some FROM entries;
CREATE VIEW seen_by_owner AS SELECT count(*) > 0 AS some FROM entries;
CREATE FUNCTION count_as_owner() RETURNS boolean LANGUAGE sql SECURITY DEFINER
    AS 'SELECT count(*) > 0 FROM public.entries';
GRANT SELECT ON seen_by_owner TO reader_role;
SET ROLE reader_role;
\set VERBOSITY sqlstate
SELECT count(*) FROM entries; -- should fail
\set VERBOSITY default

-- a view and a security definer function act for their owner
SELECT * FROM seen_by_owner;
SELECT count_as_owner();

-- the check speaks for the current role, who must be allowed to use the server
SELECT * FROM awork_fdw_check('shared'); -- should fail
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER shared TO reader_role;
SET ROLE reader_role;
SELECT ok, message FROM awork_fdw_check('shared');
SET ROLE owner_role;
SELECT ok, workspace IS NOT NULL AS workspace, identity IS NOT NULL AS identity, is_admin,
       latency_ms > 0 AS latency, message FROM awork_fdw_check('shared');
RESET ROLE;

-- a mapping for PUBLIC, a key on the server, and which one wins
DROP USER MAPPING FOR reader_role SERVER shared;
SET ROLE reader_role;
SELECT count(*) FROM entries; -- should fail
RESET ROLE;
CREATE USER MAPPING FOR PUBLIC SERVER shared OPTIONS (api_key 'awork-sandbox-key');
SET ROLE reader_role;
SELECT count(*) > 0 AS some FROM entries;
RESET ROLE;
ALTER SERVER shared OPTIONS (ADD api_key 'wrong-key');
SET ROLE reader_role;
SELECT count(*) > 0 AS some FROM entries;
RESET ROLE;
DROP USER MAPPING FOR PUBLIC SERVER shared;
ALTER SERVER shared OPTIONS (SET api_key 'awork-sandbox-key');
SET ROLE reader_role;
SELECT count(*) > 0 AS some FROM entries;
RESET ROLE;

-- a key that changes is used by the next statement, prepared or not
PREPARE q AS SELECT count(*) > 0 AS some FROM entries;
EXECUTE q;
ALTER SERVER shared OPTIONS (SET api_key 'wrong-key');
\set VERBOSITY sqlstate
EXECUTE q; -- should fail
\set VERBOSITY default
ALTER SERVER shared OPTIONS (SET api_key 'awork-sandbox-key');
EXECUTE q;

-- a key with fewer rights
ALTER SERVER shared OPTIONS (SET api_key 'awork-sandbox-limited');
EXECUTE q; -- should fail
SELECT ok, is_admin FROM awork_fdw_check('shared');

DROP VIEW seen_by_owner;
DROP FUNCTION count_as_owner();
DROP SERVER shared CASCADE;
DROP OWNED BY owner_role, reader_role;
DROP ROLE owner_role, reader_role;
