//! Roles that ask with keys of their own, and who asked in the end.

use std::collections::BTreeSet;

use awork_sandbox::{Config, Identity, Sandbox};
use postgres::Client;

use crate::{Notices, Workspace, connect_as};

/// A small workspace where each of these keys is an identity of the same name that sees all.
pub fn known(keys: &[&str]) -> Config {
    let identities = keys.iter().map(|key| admin(key)).collect();
    Config { scale: 100, identities, ..Config::default() }
}

/// An identity that sees all, with its name as its key.
pub fn admin(name: &str) -> Identity {
    Identity { name: name.into(), ..Identity::admin(name) }
}

/// Makes a role anew, without rights.
pub fn make_role(client: &mut Client, role: &str) {
    client
        .batch_execute(&format!(
            "DO $$ BEGIN IF to_regrole('{role}') IS NOT NULL THEN
                 DROP OWNED BY {role} CASCADE; DROP ROLE {role};
             END IF; END $$;
             CREATE ROLE {role} LOGIN"
        ))
        .expect("a role can be made");
}

/// Who sent the requests since this was asked for the last time: names of identities, `?` for a
/// key that nobody has, `nobody` where there was none.
pub fn askers(sandbox: &Sandbox) -> Vec<String> {
    let asker = |entry: awork_sandbox::LogEntry| {
        let unknown = if entry.authorization { "?" } else { "nobody" };
        entry.identity.unwrap_or_else(|| unknown.to_owned())
    };
    let askers: BTreeSet<String> = sandbox.log().into_iter().map(asker).collect();
    sandbox.clear_log();
    askers.into_iter().collect()
}

/// Writes a file in the data folder, which is the server's own, and says where it is.
pub fn server_file(client: &mut Client, name: &str, text: &str, mode: &str) -> String {
    let folder: String = client.query_one("SHOW data_directory", &[]).expect("a folder").get(0);
    let path = format!("{folder}/{name}");
    client
        .batch_execute(&format!(
            "COPY (SELECT unnest(string_to_array('{text}', E'\\n')))
                 TO PROGRAM 'rm -rf \"{path}\" && umask 077 && cat >\"{path}\" && chmod {mode} \"{path}\"'"
        ))
        .expect("the server can write a file");
    path
}

impl Workspace {
    /// Runs statements that must not fail.
    #[track_caller]
    pub fn run(&mut self, sql: &str) {
        if let Err(error) = self.client.batch_execute(sql) {
            panic!("{sql}: {error:?}");
        }
    }

    /// Makes a role anew that may read the tables, without a user mapping, and logs it in.
    pub fn role(&mut self, role: &str) -> Client {
        make_role(&mut self.client, role);
        let name = self.name.clone();
        self.run(&format!(
            "GRANT USAGE ON SCHEMA {name} TO {role}; GRANT USAGE ON FOREIGN SERVER {name} TO {role};
             GRANT SELECT ON ALL TABLES IN SCHEMA {name} TO {role};
             ALTER ROLE {role} SET search_path = {name}, public;
             ALTER ROLE {role} SET client_min_messages = error"
        ));
        connect_as(role.trim_matches('"'), Notices::default()).expect("there is a cluster")
    }

    /// Who asks when a session reads a table.
    #[track_caller]
    pub fn asks(&self, client: &mut Client) -> Vec<String> {
        askers(&self.sandbox);
        if let Err(error) = client.query("SELECT id FROM projects", &[]) {
            panic!("{error:?}");
        }
        askers(&self.sandbox)
    }

    /// Who asks when the superuser reads a table.
    #[track_caller]
    pub fn asks_for_superuser(&mut self) -> Vec<String> {
        askers(&self.sandbox);
        self.run("SELECT id FROM projects");
        askers(&self.sandbox)
    }
}
