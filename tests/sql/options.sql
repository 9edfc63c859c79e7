--
-- Options: what is accepted where, and what a wrong one says.
--

-- an unrecognised option names the valid ones
CREATE SERVER s FOREIGN DATA WRAPPER awork_fdw OPTIONS (tokn 'x'); -- should fail
CREATE SERVER s FOREIGN DATA WRAPPER awork_fdw OPTIONS (resource 'projects'); -- should fail
ALTER FOREIGN DATA WRAPPER awork_fdw OPTIONS (ADD api_url 'https://api.awork.com/api/v1'); -- should fail

-- values are checked when they are set
CREATE SERVER s FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url 'http://api.awork.com/api/v1'); -- should fail
CREATE SERVER s FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url 'nonsense'); -- should fail
CREATE SERVER s FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url 'https://me:secret@api.awork.com'); -- should fail
CREATE SERVER s FOREIGN DATA WRAPPER awork_fdw OPTIONS (page_size '1001'); -- should fail
CREATE SERVER s FOREIGN DATA WRAPPER awork_fdw OPTIONS (page_size 'many'); -- should fail
CREATE SERVER s FOREIGN DATA WRAPPER awork_fdw OPTIONS (max_concurrency '0'); -- should fail
CREATE SERVER s FOREIGN DATA WRAPPER awork_fdw OPTIONS (request_timeout '-1'); -- should fail
CREATE SERVER s FOREIGN DATA WRAPPER awork_fdw OPTIONS (max_retries '11'); -- should fail
CREATE SERVER s FOREIGN DATA WRAPPER awork_fdw OPTIONS (rate_limit 'fast'); -- should fail
CREATE SERVER s FOREIGN DATA WRAPPER awork_fdw OPTIONS (cache_ttl '1 day'); -- should fail

-- without options it is awork's own address
CREATE SERVER s FOREIGN DATA WRAPPER awork_fdw;
ALTER SERVER s OPTIONS (ADD page_size '500', ADD max_concurrency '2', ADD connect_timeout '2.5');
ALTER SERVER s OPTIONS (SET page_size '0'); -- should fail
ALTER SERVER s OPTIONS (DROP page_size);

-- one warning where a key is put where every role can read it
ALTER SERVER s OPTIONS (ADD api_key 'abc');
ALTER SERVER s OPTIONS (DROP api_key);

-- user mappings hold keys and nothing else; a key that cannot be sent is not shown
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (api_url 'https://example.com'); -- should fail
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (api_key 'with space'); -- should fail
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (api_key 'abc');

-- tables name their resource, columns their field
CREATE FOREIGN TABLE t (id uuid) SERVER s OPTIONS (resource 'nonsense'); -- should fail
CREATE FOREIGN TABLE t (id uuid) SERVER s OPTIONS (table 'projects'); -- should fail
CREATE FOREIGN TABLE t (id uuid OPTIONS (column 'id')) SERVER s OPTIONS (resource 'projects'); -- should fail
CREATE FOREIGN TABLE t (id uuid OPTIONS (field 'a//b')) SERVER s OPTIONS (resource 'projects'); -- should fail
CREATE FOREIGN TABLE t (id uuid) SERVER s;
SELECT * FROM t; -- should fail
ALTER FOREIGN TABLE t OPTIONS (ADD resource 'projects', ADD page_size '10');
ALTER FOREIGN TABLE t ADD COLUMN nonsense text;
SELECT nonsense FROM t; -- should fail
EXPLAIN (COSTS OFF) SELECT id FROM t;

-- a server or a mapping names one source of its credential
CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (api_key 'abc', api_key_setting 'app.key'); -- should fail
CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (api_key 'abc', client_id 'x'); -- should fail
ALTER USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (ADD refresh_token 'x'); -- should fail
CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (api_key_setting 'data_directory'); -- should fail
CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (api_key_file 'key'); -- should fail
ALTER SERVER s OPTIONS (ADD redirect_uri 'callback'); -- should fail
ALTER SERVER s OPTIONS (ADD ssl_ca_file 'ca.pem'); -- should fail
ALTER SERVER s OPTIONS (ADD client_secret 'x');
ALTER SERVER s OPTIONS (DROP client_secret);

-- hosts are those that a superuser allows, who can name others for when they are
CREATE SERVER elsewhere FOREIGN DATA WRAPPER awork_fdw
    OPTIONS (api_url 'https://example.com/api/v1', client_id 'x', redirect_uri 'http://localhost:1/');
SELECT awork_fdw_login_url('elsewhere'); -- should fail
CREATE ROLE elsewhere_role;
GRANT USAGE ON FOREIGN DATA WRAPPER awork_fdw TO elsewhere_role;
SET ROLE elsewhere_role;
CREATE SERVER elsewhere2 FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url 'https://example.com/api/v1'); -- should fail
SET awork_fdw.allowed_hosts = '*'; -- should fail
RESET ROLE;
DROP OWNED BY elsewhere_role;
DROP ROLE elsewhere_role;
DROP SERVER elsewhere;
SET awork_fdw.allowed_hosts = 'example.com';
SELECT id FROM t; -- should fail
RESET awork_fdw.allowed_hosts;

-- no key at all
DROP USER MAPPING FOR CURRENT_USER SERVER s;
SELECT id FROM t; -- should fail
SELECT * FROM awork_fdw_check('s'); -- should fail
SELECT * FROM awork_fdw_check('nowhere'); -- should fail

DROP SERVER s CASCADE;
