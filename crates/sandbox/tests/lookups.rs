//! Every lookup of the catalogue: a known value gives its row, any other an error object.

mod common;

use awork_api::catalogue::{Catalogue, Lookup, Resource};
use awork_sandbox::Sandbox;
use common::{Response, encode, send, small};
use serde_json::Value;

const NOBODY: &str = "6e3ff5d1-0000-0000-0000-000000000000";

/// Asks a lookup for a value, below the parents of a list.
fn ask(
    sandbox: &Sandbox,
    resource: &Resource,
    lookup: &Lookup,
    parents: &[(String, String)],
    value: &str,
) -> Response {
    let mut path = format!("/api/v{}{}", resource.version, lookup.path);
    for (name, parent) in parents {
        path = path.replace(&format!("{{{name}}}"), parent);
    }
    let hole = path.find('{').unwrap_or_else(|| panic!("{path} has no parameter left"));
    let end = path.find('}').unwrap_or_else(|| panic!("{path}"));
    assert_eq!(end + 1, path.len(), "{path} has a parameter too many");
    path.replace_range(hole.., &encode(value));
    let key = format!("Bearer {}", common::KEY);
    let mut headers = vec![("Authorization", key.as_str())];
    headers.extend(resource.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    send(sandbox.address(), "GET", &path, &headers, "")
}

fn assert_missing(response: &Response, what: &str) {
    assert_eq!(response.status, 404, "{what}");
    let error = response.json();
    assert_eq!(error["code"], "not-found", "{what}");
    for name in ["description", "link", "traceId", "details", "validationErrors"] {
        assert!(error.get(name).is_some(), "{what} has no {name}");
    }
}

#[test]
fn every_lookup_finds_its_rows_and_no_others() {
    let sandbox = small();
    let mut asked = 0;
    for resource in &Catalogue::bundled().resources {
        let parents = sandbox.parameters(&resource.name).unwrap_or_default();
        let borrowed: Vec<(&str, &str)> =
            parents.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let rows = sandbox.rows(&resource.name, &borrowed);
        for lookup in &resource.lookups {
            let value = |row: &&Value| row[&lookup.property].is_string();
            let known: Vec<&Value> = rows.iter().filter(value).collect();
            assert!(!known.is_empty(), "{} has nothing to look up", lookup.path);
            for row in [known[0], known[known.len() - 1]] {
                let value = row[&lookup.property].as_str().unwrap_or_default();
                for spelling in [value.to_owned(), value.to_uppercase()] {
                    let found = ask(&sandbox, resource, lookup, &parents, &spelling);
                    assert_eq!(found.status, 200, "{} {spelling}", lookup.path);
                    let found = found.json();
                    assert!(found.is_object(), "{}", lookup.path);
                    assert_eq!(found[&lookup.property], value, "{}", lookup.path);
                    if lookup.property == "id" {
                        assert_eq!(found["createdOn"], row["createdOn"], "{}", lookup.path);
                    }
                }
            }
            for value in [NOBODY, "no-guid", "0", "6e3ff5d1", "' or 1 eq 1"] {
                let missing = ask(&sandbox, resource, lookup, &parents, value);
                if lookup.path == "/me/filters/{filterId}" && value != NOBODY {
                    // The same path lists the filters for a type of rows, of which there are none.
                    assert_eq!(missing.rows(), [] as [Value; 0]);
                    continue;
                }
                assert_missing(&missing, &format!("{} {value}", lookup.path));
            }
            asked += 1;
        }
    }
    assert!(asked > 60, "{asked}");
}

#[test]
fn parents_that_are_no_guid() {
    let sandbox = small();
    for path in ["/projects/no-guid/members", "/tasks/0/comments", "/projects/no-guid/files/0"] {
        assert_missing(&common::get(&sandbox, &format!("/api/v1{path}")), path);
    }
}
