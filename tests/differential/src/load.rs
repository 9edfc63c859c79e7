//! Makes the two sides: a foreign server over a sandbox of its own, and local tables that hold
//! what a full copy would. The copy is made of the sandbox's rows by PostgreSQL's own casts.

use awork_api::catalogue::columns::Source;
use awork_api::catalogue::{Catalogue, Resource};
use awork_sandbox::{Config, Sandbox};
use postgres::{Client, Config as Connection, Error, NoTls};

use crate::modes::Mode;
use crate::schema::{Column, Kind, Schema, Table};

/// Rows per request: small, so that several pages matter.
const PAGE_SIZE: usize = 100;
/// How many values of a column constants are drawn from.
const VALUES: usize = 80;

/// The two sides of a mode.
#[derive(Debug)]
pub struct Sides {
    /// The server behind the foreign tables.
    pub sandbox: Sandbox,
    /// The tables, with values.
    pub schema: Schema,
    /// The schema of the foreign tables.
    pub remote: String,
    /// The schema of the copy.
    pub local: String,
}

/// A superuser's session in the cluster whose socket is in this folder.
pub fn connect(host: &str) -> Result<Client, Error> {
    let mut connection = Connection::new();
    connection.host_path(host).user("postgres").dbname("postgres").notice_callback(|_| {});
    connection.connect(NoTls)
}

/// Starts a sandbox and makes both sides; modes of one name must not run at the same time.
pub fn load(client: &mut Client, mode: &Mode, config: Config) -> Result<Sides, Error> {
    let sandbox = Sandbox::start(config).expect("the sandbox starts");
    let name = mode.name.replace('-', "_");
    let cache_ttl = if mode.cached { 3600 } else { 0 };
    let (server, remote, local) =
        (format!("diff_{name}"), format!("diff_{name}_remote"), format!("diff_{name}_local"));
    let catalogue = Catalogue::bundled();
    let mut schema = Schema::from_catalogue(catalogue);
    let names: Vec<&str> = schema.tables.iter().map(|t| t.name).collect();
    client.batch_execute(&format!(
        "SET client_min_messages = error;
         SET TimeZone = 'UTC';
         DROP SCHEMA IF EXISTS {remote}, {local} CASCADE;
         DROP SERVER IF EXISTS {server} CASCADE;
         CREATE SCHEMA {remote};
         CREATE SCHEMA {local};
         CREATE SERVER {server} FOREIGN DATA WRAPPER awork_fdw
             OPTIONS (api_url '{}', max_retries '0', page_size '{PAGE_SIZE}',
                      cache_ttl '{cache_ttl}');
         CREATE USER MAPPING FOR CURRENT_USER SERVER {server}
             OPTIONS (api_key 'awork-sandbox-key');
         IMPORT FOREIGN SCHEMA awork LIMIT TO ({}) FROM SERVER {server} INTO {remote};",
        sandbox.api_url(),
        names.join(", "),
    ))?;
    for table in &mut schema.tables {
        let resource = catalogue.resources.iter().find(|r| r.name == table.name);
        copy(client, &local, &sandbox, table, resource.expect("the catalogue has the table"))?;
    }
    Ok(Sides { sandbox, schema, remote, local })
}

/// Removes what [`load`] made.
pub fn unload(client: &mut Client, sides: &Sides) -> Result<(), Error> {
    let server = sides.remote.trim_end_matches("_remote");
    client.batch_execute(&format!(
        "DROP SCHEMA {}, {} CASCADE; DROP SERVER {server} CASCADE;",
        sides.remote, sides.local
    ))
}

/// Creates the local table, fills it, and draws values of each column.
fn copy(
    client: &mut Client,
    schema: &str,
    sandbox: &Sandbox,
    table: &mut Table,
    resource: &Resource,
) -> Result<(), Error> {
    let name = format!("{schema}.{}", table.name);
    let definitions: Vec<String> =
        table.columns.iter().map(|c| format!("\"{}\" {}", c.name, c.kind.sql())).collect();
    client.batch_execute(&format!("CREATE TABLE {name} ({})", definitions.join(", ")))?;
    let values: Vec<String> = table.columns.iter().map(|c| value(c, resource)).collect();
    // OFFSET 0 has each row parsed once, rather than once per column.
    let insert = client.prepare(&format!(
        "INSERT INTO {name} SELECT {}
         FROM (SELECT row::jsonb AS attrs FROM unnest($1::text[]) AS row OFFSET 0) AS rows,
              (SELECT $2::text AS parent) AS parent",
        values.join(", ")
    ))?;
    match &table.parent {
        None => {
            let rows = texts(sandbox, table.name, &[]);
            client.execute(&insert, &[&rows, &None::<String>])?;
        }
        Some(parent) => {
            for row in sandbox.rows(parent.table, &[]) {
                let Some(id) = row["id"].as_str() else { continue };
                let rows = texts(sandbox, table.name, &[(&parent.parameter, id)]);
                client.execute(&insert, &[&rows, &Some(id)])?;
            }
        }
    }
    client.batch_execute(&format!(
        "CREATE UNIQUE INDEX ON {name} ({}); ANALYZE {name}",
        table.unique.join(", ")
    ))?;
    for column in table.columns.iter_mut().filter(|c| c.kind != Kind::Json) {
        let values = client.query(
            &format!(
                "SELECT v FROM (SELECT DISTINCT \"{}\"::text AS v FROM {name}) AS d
                 WHERE v IS NOT NULL ORDER BY md5(v) LIMIT {VALUES}",
                column.name
            ),
            &[],
        )?;
        column.values = values.iter().map(|row| row.get(0)).collect();
        if column.kind == Kind::Text {
            let twins = client.query(
                &format!(
                    "SELECT unnest(array_agg(DISTINCT \"{0}\")) FROM {name}
                     GROUP BY lower(btrim(\"{0}\")) HAVING count(DISTINCT \"{0}\") > 1
                     ORDER BY 1",
                    column.name
                ),
                &[],
            )?;
            column.twins = twins.iter().map(|row| row.get(0)).collect();
        }
    }
    Ok(())
}

fn texts(sandbox: &Sandbox, name: &str, parameters: &[(&str, &str)]) -> Vec<String> {
    sandbox.rows(name, parameters).iter().map(ToString::to_string).collect()
}

/// What PostgreSQL makes of the property that the column shows.
fn value(column: &Column, resource: &Resource) -> String {
    let ty = column.kind.sql();
    match &column.source {
        Source::Field(path) if path.is_empty() => "attrs".to_owned(),
        Source::Field(path) => {
            let path = path.join(",");
            match column.kind {
                Kind::Json => format!("nullif(attrs #> '{{{path}}}', 'null')"),
                _ => format!("(attrs #>> '{{{path}}}')::{ty}"),
            }
        }
        Source::Parameter(i) => match &resource.parameters[*i].default {
            Some(default) => format!("'{default}'::{ty}"),
            None => format!("parent::{ty}"),
        },
        Source::InstantOf { date, time } => format!(
            "(((attrs ->> '{date}')::timestamptz AT TIME ZONE 'UTC')::date
              + (attrs ->> '{time}')::time) AT TIME ZONE 'UTC'"
        ),
        Source::SetWithout { set, unset } => {
            format!("attrs ->> '{set}' IS NOT NULL AND attrs ->> '{unset}' IS NULL")
        }
        Source::CustomField(_) => unreachable!("the catalogue has no custom fields"),
    }
}
