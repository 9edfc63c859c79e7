//! One page of each of several resources, with no order and no filter. Where a path has keys, they
//! come from the first rows of the parents' lists, which are then asked for as well.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::catalogue::{Catalogue, Location, Parameter, Resource, Shape};
use crate::client::Client;
use crate::drift::{self, Finding, MOST_ROWS, Sample, Shown};
use crate::error::{Error, ErrorKind};
use crate::request::{self, Bindings};

/// How many keys are tried until one has rows.
const MOST_KEYS: usize = 3;

/// The tables of a resource, each by its columns.
pub type Tables = Vec<Vec<Shown>>;

/// The findings of each table of each resource, in the order of the tables.
pub type Findings = BTreeMap<&'static str, Vec<Vec<Finding>>>;

/// Asks for a page of each of these resources and compares it with the tables. Up to
/// `max_concurrency` requests are in flight. What one resource answers is a finding; what would
/// come of every one of them, a refused credential for example, is an error.
pub async fn drift(
    client: Arc<Client>,
    wanted: Vec<(&'static Resource, Tables)>,
) -> Result<Findings, Error> {
    let permits = Arc::new(Semaphore::new(client.settings().max_concurrency));
    let mut tables: HashMap<&str, Tables> = HashMap::new();
    let mut levels: BTreeMap<usize, BTreeMap<&str, &'static Resource>> = BTreeMap::new();
    let mut findings = Findings::new();
    for (resource, of_resource) in wanted {
        match with_parents(resource) {
            Ok(all) => {
                for (resource, level) in all {
                    levels.entry(level).or_default().insert(&resource.name, resource);
                }
                tables.insert(&resource.name, of_resource);
            }
            Err(why) => {
                let finding = drift::unaskable(why);
                findings.insert(&resource.name, vec![vec![finding]; of_resource.len()]);
            }
        }
    }
    let mut kept = Kept::new();
    for resources in levels.into_values() {
        let mut tasks = JoinSet::new();
        for resource in resources.into_values() {
            let of_resource = tables.remove(resource.name.as_str()).unwrap_or_default();
            let bindings = bindings(resource, &kept);
            let (client, permits) = (client.clone(), permits.clone());
            tasks.spawn(async move {
                let _permit = permits.acquire().await;
                let (found, rows) = ask(&client, resource, bindings, &of_resource).await?;
                Ok::<_, Error>((resource, found, rows))
            });
        }
        while let Some(outcome) = tasks.join_next().await {
            let stopped = |_| Error::new(ErrorKind::Internal, "a thread stopped unexpectedly");
            let (resource, found, rows) = outcome.map_err(stopped)??;
            kept.insert(&resource.name, rows);
            findings.insert(&resource.name, found);
        }
    }
    Ok(findings)
}

/// The first rows of the lists that have been read, with the parameters that they answer.
type Kept = HashMap<&'static str, Vec<(Bindings, Value)>>;

/// A resource and all whose rows have its keys, each with the number of lists that must be read
/// before it. An error where a key comes from nowhere.
fn with_parents(resource: &'static Resource) -> Result<Vec<(&'static Resource, usize)>, String> {
    if let Some(parameter) = required(resource, Location::Query).next() {
        return Err(cannot_ask(resource, parameter));
    }
    let mut all = Vec::new();
    let mut level = 0;
    let mut missing: Vec<&Parameter> = required(resource, Location::Path).collect();
    while let Some(last) = missing.pop() {
        let parent = last.parent.as_ref().and_then(|p| Catalogue::bundled().resource(&p.resource));
        let parent = parent.ok_or_else(|| cannot_ask(resource, last))?;
        let of_parent = with_parents(parent)?;
        level = of_parent.iter().map(|(_, level)| level + 1).max().unwrap_or(0).max(level);
        all.extend(of_parent);
        missing.retain(|p| !parent.parameters.iter().any(|known| known.name == p.name));
    }
    all.push((resource, level));
    Ok(all)
}

fn required(resource: &Resource, location: Location) -> impl Iterator<Item = &Parameter> {
    let is_required = |p: &&Parameter| p.required || p.location == Location::Path;
    resource.parameters.iter().filter(move |p| p.location == location).filter(is_required)
}

fn cannot_ask(resource: &Resource, parameter: &Parameter) -> String {
    format!(
        "resource \"{}\" cannot be asked for without a value for \"{}\", of which there is no list",
        resource.name, parameter.name
    )
}

/// Some of the parameters for which there may be rows; none where the parents have no rows.
fn bindings(resource: &Resource, kept: &Kept) -> Vec<Bindings> {
    let mut all: Vec<Bindings> = vec![vec![None; resource.parameters.len()]];
    for (i, parameter) in resource.parameters.iter().enumerate().rev() {
        if parameter.location != Location::Path {
            continue;
        }
        let mut bound = Vec::new();
        for bindings in all {
            if bindings[i].is_some() {
                bound.push(bindings);
                continue;
            }
            let Some(parent) = &parameter.parent else { continue };
            let Some(of_parent) = Catalogue::bundled().resource(&parent.resource) else { continue };
            for (known, row) in kept.get(parent.resource.as_str()).into_iter().flatten() {
                let has_none = |property: &String| {
                    matches!(row.get(property), Some(Value::Bool(false)))
                        || row.get(property).and_then(Value::as_f64) == Some(0.0)
                };
                if parent.only_if.as_ref().is_some_and(has_none) {
                    continue;
                }
                let Some(value) = row.get(&parent.property).and_then(text) else { continue };
                let mut bindings = bindings.clone();
                bindings[i] = Some(value);
                for (j, other) in resource.parameters.iter().enumerate() {
                    let of_parent = of_parent.parameters.iter().position(|p| p.name == other.name);
                    if let Some(at) = of_parent
                        && bindings[j].is_none()
                        && other.location == Location::Path
                    {
                        bindings[j] = known[at].clone();
                    }
                }
                bound.push(bindings);
            }
        }
        bound.truncate(MOST_KEYS);
        all = bound;
    }
    all
}

/// A key as it goes into a path.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Asks for one page, with one set of parameters after another until there are rows. Returns what
/// it says of each table, and the first rows.
async fn ask(
    client: &Client,
    resource: &'static Resource,
    keys: Vec<Bindings>,
    tables: &Tables,
) -> Result<(Vec<Vec<Finding>>, Vec<(Bindings, Value)>), Error> {
    let each = |finding: Finding| vec![vec![finding]; tables.len()];
    if keys.is_empty() {
        let why = "the lists that have its keys have no rows that could be read";
        return Ok((each(drift::unaskable(why.to_owned())), Vec::new()));
    }
    let mut finding = None;
    let mut sample = Sample::default();
    let mut of_sample = None;
    let tried = if resource.is_keyed() { keys.len() } else { 0 };
    for bindings in keys {
        let Some(target) = request::target(resource, &bindings) else { continue };
        let target = match resource.paged && resource.shape == Shape::List {
            true => request::page(&target, 1, MOST_ROWS as u32, None, ""),
            false => target,
        };
        let answer = match client.get(resource.version, &target, &resource.headers).await {
            Err(error) if is_of_all(error.kind) => return Err(error),
            Err(error) => {
                finding = Some(drift::refused(resource, &error, tried));
                // Another key may name something; nothing else is better with another one.
                if error.kind == ErrorKind::NoSuchObject { continue } else { break }
            }
            Ok(answer) => answer,
        };
        finding = None;
        match answer.body.map(|body| Sample::new(resource, &body)) {
            None => {}
            Some(Err(other)) => finding = Some(other),
            Some(Ok(found)) => sample = found,
        }
        if !sample.rows().is_empty() || finding.is_some() {
            of_sample = Some(bindings);
            break;
        }
    }
    if let Some(finding) = finding {
        return Ok((each(finding), Vec::new()));
    }
    let findings = tables.iter().map(|table| drift::compare(resource, &sample, table)).collect();
    let rows = sample.rows().iter().take(MOST_KEYS).cloned();
    let rows = rows.map(|row| (of_sample.clone().unwrap_or_default(), row)).collect();
    Ok((findings, rows))
}

/// Whether an error is about the server, so that every other request would have it too.
fn is_of_all(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NoCredential
            | ErrorKind::HostNotAllowed
            | ErrorKind::ReadOnly
            | ErrorKind::NotReady
            | ErrorKind::NoResources
            | ErrorKind::Unreachable
            | ErrorKind::Unauthorized
            | ErrorKind::RateLimited
            | ErrorKind::Internal
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resource(name: &str) -> &'static Resource {
        Catalogue::bundled().resource(name).unwrap()
    }

    #[test]
    fn parents_come_before_their_children() {
        let levels = |name: &str| {
            let all = with_parents(resource(name)).unwrap();
            all.into_iter().map(|(r, level)| (r.name.as_str(), level)).collect::<Vec<_>>()
        };
        assert_eq!(levels("projects"), [("projects", 0)]);
        assert_eq!(levels("project_members"), [("projects", 0), ("project_members", 1)]);
        for resource in &Catalogue::bundled().resources {
            let Ok(all) = with_parents(resource) else { continue };
            for (needed, level) in &all {
                let keyed = needed.is_keyed();
                assert_eq!(keyed, *level > 0, "{} for {}", needed.name, resource.name);
            }
        }
    }

    #[test]
    fn what_has_no_list_of_keys_cannot_be_asked_for() {
        for (name, parameter) in [("autopilots", "autopilotId"), ("user_workloads", "userIds")] {
            let why = with_parents(resource(name)).unwrap_err();
            assert!(why.contains(&format!("\"{parameter}\"")), "{why}");
        }
    }

    #[test]
    fn keys_come_from_rows_of_parents() {
        let row = |id: &str| (Vec::new(), json!({"id": id}));
        let mut kept = Kept::new();
        let members = resource("project_members");
        assert!(bindings(members, &kept).is_empty());
        kept.insert("projects", ["a", "b", "c", "d"].map(row).into());
        let of = |ids: &[&str]| ids.iter().map(|id| vec![Some((*id).into())]).collect::<Vec<_>>();
        assert_eq!(bindings(members, &kept), of(&["a", "b", "c"]));
        // A row without the key is passed over.
        kept.insert("projects", vec![(Vec::new(), json!({})), row("b")]);
        assert_eq!(bindings(members, &kept), of(&["b"]));
        // What needs no key is asked for once.
        assert_eq!(bindings(resource("types_of_work"), &kept).len(), 1);
    }

    #[test]
    fn all_keys_of_a_path_are_bound() {
        // Every list that has all its keys from others gets them all, whatever their values.
        for child in &Catalogue::bundled().resources {
            let Ok(all) = with_parents(child) else { continue };
            let mut kept = Kept::new();
            for (needed, _) in all {
                let found = bindings(needed, &kept);
                assert!(!found.is_empty(), "{} for {}", needed.name, child.name);
                for bindings in &found {
                    assert!(request::target(needed, bindings).unwrap().find('{').is_none());
                    let of_path = |(p, v): (&Parameter, &Option<String>)| {
                        p.location == Location::Query || v.is_some()
                    };
                    assert!(needed.parameters.iter().zip(bindings).all(of_path));
                }
                let mut row = serde_json::Map::new();
                for property in needed.properties() {
                    row.insert(property.to_owned(), json!("x"));
                }
                kept.insert(&needed.name, vec![(found[0].clone(), Value::Object(row))]);
            }
        }
    }
}
