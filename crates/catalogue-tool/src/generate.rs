//! Joins the specification with the hand-written half into a catalogue.

use std::collections::{BTreeMap, BTreeSet};

use awork_api::catalogue::columns::snake_case;
use awork_api::catalogue::{
    Catalogue, Embedded, Exclusion, Location, Lookup, Model, Parent, Resource, Shape, Support, Type,
};

use crate::naming;
use crate::overrides::{Descriptions, Evidence, Overrides, ParentOf, specific};
use crate::specification::{Get, Specification};

pub(crate) fn catalogue(
    specifications: &[Specification],
    overrides: &Overrides,
    descriptions: &Descriptions,
) -> Result<Catalogue, String> {
    let mut catalogue = Catalogue::default();
    for specification in specifications {
        let (lists, objects): (Vec<Get>, Vec<Get>) =
            specification.gets()?.into_iter().partition(|get| get.shape == Shape::List);
        let mut resources = Vec::new();
        for get in lists {
            if !exclude(&mut catalogue, overrides, specification.version, &get) {
                resources.push(resource(specification.version, get));
            }
        }
        for get in objects {
            if exclude(&mut catalogue, overrides, specification.version, &get) {
                continue;
            }
            match list_of(&mut resources, overrides, &get) {
                Some((list, property)) => {
                    list.lookups.push(Lookup { path: get.path, property, wider: false });
                }
                None => resources.push(resource(specification.version, get)),
            }
        }
        catalogue.resources.append(&mut resources);
        catalogue.models.append(&mut reachable(specification, &catalogue.resources));
    }
    name(&mut catalogue.resources, overrides)?;
    for resource in &mut catalogue.resources {
        describe(resource, overrides, descriptions)?;
    }
    for model in &mut catalogue.models {
        annotate(model, overrides, descriptions);
    }
    relate(&mut catalogue, overrides)?;
    refer(&mut catalogue, overrides)?;
    catalogue.resources.sort_by(|a, b| a.name.cmp(&b.name));
    catalogue.models.sort_by(|a, b| a.name.cmp(&b.name));
    catalogue.excluded.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(catalogue)
}

/// A path with its version, as `overrides.toml` has them.
pub(crate) fn versioned(version: u8, path: &str) -> String {
    if version == 1 { path.to_owned() } else { format!("v{version}:{path}") }
}

fn exclude(catalogue: &mut Catalogue, overrides: &Overrides, version: u8, get: &Get) -> bool {
    let path = versioned(version, &get.path);
    match overrides.excluded.get(&path) {
        Some(reason) => {
            catalogue.excluded.push(Exclusion { path, reason: reason.clone() });
            true
        }
        None => false,
    }
}

fn resource(version: u8, get: Get) -> Resource {
    Resource {
        name: String::new(),
        group: String::new(),
        version,
        path: get.path,
        shape: get.shape,
        item: get.item,
        paged: get.paged,
        parameters: get.parameters,
        headers: get.headers,
        lookups: Vec::new(),
        embedded: None,
        rows: 0,
        description: String::new(),
    }
}

/// The list that a single object is a row of, and the property by which the path finds it: the
/// list whose path is the object's without its last parameter, with the same model.
fn list_of<'r>(
    resources: &'r mut [Resource],
    overrides: &Overrides,
    get: &Get,
) -> Option<(&'r mut Resource, String)> {
    let (list_path, property) = match overrides.lookups.get(&get.path) {
        Some((list, property)) => (list.as_str(), property.clone()),
        None => {
            let (parent, last) = get.path.rsplit_once('/')?;
            last.strip_prefix('{')?;
            (parent, "id".to_owned())
        }
    };
    let list = resources.iter_mut().find(|r| r.path == list_path && r.shape == Shape::List)?;
    (list.item == get.item).then_some((list, property))
}

/// Every model that the resources of this version answer with or nest.
pub(crate) fn reachable(specification: &Specification, resources: &[Resource]) -> Vec<Model> {
    let mut models: BTreeMap<String, Model> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut open: Vec<Type> = resources.iter().map(|r| r.item.clone()).collect();
    while let Some(ty) = open.pop() {
        match ty {
            Type::List(item) => open.push(*item),
            Type::Model(name) if seen.insert(name.clone()) => {
                if let Some(model) = specification.model(&name) {
                    open.extend(model.properties.iter().map(|p| p.ty.clone()));
                    models.insert(name, model);
                }
            }
            _ => {}
        }
    }
    models.into_values().collect()
}

/// Gives every resource its table name. Where two have the same, the one that needs no key
/// keeps it and the nested one says its parent twice.
fn name(resources: &mut [Resource], overrides: &Overrides) -> Result<(), String> {
    let mut order: Vec<usize> = (0..resources.len()).collect();
    let keys = |r: &Resource| r.parameters.iter().filter(|p| p.location == Location::Path).count();
    order.sort_by_key(|&i| (resources[i].version, keys(&resources[i]), resources[i].path.clone()));
    let fixed: BTreeSet<&String> = overrides.tables.values().collect();
    let mut taken = BTreeSet::new();
    for i in order {
        let resource = &mut resources[i];
        let suffix = if resource.version == 1 { "" } else { "_v2" };
        let candidates = match overrides.tables.get(&versioned(resource.version, &resource.path)) {
            Some(name) => vec![name.clone()],
            None => [false, true]
                .into_iter()
                .map(|doubled| naming::table(&resource.path, overrides, doubled))
                .map(|name| name.map(|name| name + suffix))
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .filter(|name| !fixed.contains(name))
                .collect(),
        };
        resource.name = candidates
            .into_iter()
            .find(|name| taken.insert(name.clone()))
            .ok_or_else(|| format!("{} needs a name in overrides.toml", resource.path))?;
    }
    Ok(())
}

fn describe(
    resource: &mut Resource,
    overrides: &Overrides,
    descriptions: &Descriptions,
) -> Result<(), String> {
    let first = resource.path.split('/').nth(1).unwrap_or_default();
    resource.group = overrides
        .groups
        .get(&resource.path)
        .or_else(|| overrides.groups.get(first))
        .ok_or_else(|| format!("overrides.toml has no group for \"{first}\""))?
        .clone();
    resource.description = descriptions.tables.get(&resource.name).cloned().unwrap_or_default();
    resource.parameters.retain(|p| !overrides.excluded_parameters.contains_key(&p.name));
    for parameter in &mut resource.parameters {
        parameter.column =
            specific(&overrides.parameter_columns, &resource.name, &parameter.name).cloned();
        parameter.required |= overrides
            .required_parameters
            .contains_key(&format!("{}.{}", resource.name, parameter.name));
        parameter.description =
            specific(&descriptions.parameters, &resource.name, &parameter.name).cloned();
    }
    Ok(())
}

fn annotate(model: &mut Model, overrides: &Overrides, descriptions: &Descriptions) {
    for property in &mut model.properties {
        property.description =
            specific(&descriptions.properties, &model.name, &property.name).cloned();
        let structured = matches!(property.ty, Type::Json | Type::Model(_) | Type::List(_));
        let support = |evidence: &Evidence| {
            let names = [format!("{}.{}", model.name, property.name), property.name.clone()];
            match names.iter().find_map(|name| {
                let yes = evidence.yes.contains(name).then_some(Support::Yes);
                yes.or(evidence.no.contains(name).then_some(Support::No))
            }) {
                Some(support) => support,
                None if structured => Support::No,
                None => Support::Unknown,
            }
        };
        property.filter = support(&overrides.filter);
        property.order = support(&overrides.order);
        let name = format!("{}.{}", model.name, property.name);
        property.whole_seconds = overrides.whole_seconds.properties.contains(&name);
    }
}

/// Adds what a resource has to do with others, and how large it is taken to be.
fn relate(catalogue: &mut Catalogue, overrides: &Overrides) -> Result<(), String> {
    let known = catalogue.clone();
    for resource in &mut catalogue.resources {
        let keyed = resource.is_keyed();
        let (name, path) = (resource.name.clone(), resource.path.clone());
        for parameter in resource.parameters.iter_mut().filter(|p| p.location == Location::Path) {
            parameter.parent = match specific(&overrides.parents, &name, &parameter.name) {
                Some(given) => given_parent(given)?,
                None => parent_by_path(&known, resource.version, &path, &parameter.name),
            };
        }
        resource.embedded = match overrides.embedded.get(&name) {
            Some(place) => {
                let (resource, property) = split(place)?;
                Some(Embedded { resource, property })
            }
            None => None,
        };
        let wider = overrides.wider_lookups.contains_key(&name) || leaves_out(&known, resource);
        for lookup in &mut resource.lookups {
            lookup.wider = wider;
        }
        let default = &overrides.default_rows;
        resource.rows = match (overrides.rows.get(&name), resource.shape) {
            (Some(rows), _) => *rows,
            (None, Shape::Object) => default.object,
            (None, Shape::List) if keyed => default.keyed,
            (None, Shape::List) => default.list,
        };
    }
    every_name_is_known(&known, overrides)
}

/// Finds the lists that properties refer to. `typeOfWorkId` is the id of a row of the list whose
/// path segment has the words "type_of_work", and the object `typeOfWork` is such a row.
fn refer(catalogue: &mut Catalogue, overrides: &Overrides) -> Result<(), String> {
    let known = catalogue.clone();
    let has_id = |resource: &&Resource| {
        let model = model(&known, resource);
        let id = model.and_then(|model| model.property("id"));
        resource.shape == Shape::List && id.is_some_and(|id| id.ty == Type::Uuid)
    };
    let targets: BTreeMap<&str, &str> = overrides
        .words
        .values()
        .filter_map(|[singular, plural]| {
            let list = known.resources.iter().find(|r| r.name == *plural && !r.is_keyed())?;
            Some((singular.as_str(), has_id(&list).then_some(list.name.as_str())?))
        })
        .collect();
    for (place, table) in &overrides.references {
        let is_known = known.resources.iter().any(|r| r.name == *table && has_id(&r));
        if !table.is_empty() && !is_known {
            return Err(format!("overrides.toml: {place} refers to no list with ids: {table}"));
        }
        let (owner, name) = match place.split_once('.') {
            Some((owner, name)) => (Some(owner), name),
            None => (None, place.as_str()),
        };
        let mut models = known.models.iter().filter(|m| owner.is_none_or(|owner| m.name == owner));
        if !models.any(|m| m.property(name).is_some()) {
            return Err(format!("overrides.toml: there is no property {place}"));
        }
    }
    for model in &mut catalogue.models {
        for property in &mut model.properties {
            let words = snake_case(&property.name);
            let found = match &property.ty {
                Type::Uuid => words.strip_suffix("_id").and_then(|words| targets.get(words)),
                Type::Model(_) => targets.get(words.as_str()),
                _ => continue,
            };
            let given = specific(&overrides.references, &model.name, &property.name);
            let table = given.map(String::as_str).or(found.copied());
            property.refers_to = table.filter(|table| !table.is_empty()).map(str::to_owned);
        }
    }
    Ok(())
}

fn given_parent(given: &ParentOf) -> Result<Option<Parent>, String> {
    let (of, only_if) = match given {
        ParentOf::Always(of) if of.is_empty() => return Ok(None),
        ParentOf::Always(of) => (of, None),
        ParentOf::If { of, only_if } => (of, Some(only_if.clone())),
    };
    let (resource, property) = split(of)?;
    Ok(Some(Parent { resource, property, only_if }))
}

/// The list whose path is the part before the parameter, if its rows have an id.
fn parent_by_path(known: &Catalogue, version: u8, path: &str, parameter: &str) -> Option<Parent> {
    let (before, _) = path.split_once(&format!("/{{{parameter}}}"))?;
    let list = known
        .resources
        .iter()
        .find(|r| r.version == version && r.path == before && r.shape == Shape::List)?;
    model(known, list)?.property("id")?;
    Some(Parent { resource: list.name.clone(), property: "id".to_owned(), only_if: None })
}

/// Whether a list is known not to have every row: it has to be asked for the archived ones, or
/// its rows can be archived, deleted or in the trash.
fn leaves_out(known: &Catalogue, resource: &Resource) -> bool {
    let asked = ["showArchived", "includeTrashedDocuments"];
    let marked = ["isArchived", "deletedOn", "movedToTrashOn"];
    resource.parameters.iter().any(|p| asked.contains(&p.name.as_str()))
        || model(known, resource)
            .is_some_and(|model| marked.iter().any(|name| model.property(name).is_some()))
}

/// The model of a resource's rows in a catalogue that is not sorted yet.
fn model<'c>(known: &'c Catalogue, resource: &Resource) -> Option<&'c Model> {
    match &resource.item {
        Type::Model(name) => known.models.iter().find(|m| m.name == *name),
        _ => None,
    }
}

/// `table.property`, in two.
fn split(place: &str) -> Result<(String, String), String> {
    place
        .split_once('.')
        .map(|(table, property)| (table.to_owned(), property.to_owned()))
        .ok_or_else(|| format!("overrides.toml: \"{place}\" is not a table and a property"))
}

/// Refuses an entry about a table or property that there is none of, which would do nothing.
fn every_name_is_known(known: &Catalogue, overrides: &Overrides) -> Result<(), String> {
    let parents = overrides.parents.keys().filter_map(|key| key.split_once('.')).map(|(t, _)| t);
    let tables = parents
        .chain(overrides.embedded.keys().map(String::as_str))
        .chain(overrides.wider_lookups.keys().map(String::as_str))
        .chain(overrides.rows.keys().map(String::as_str));
    for table in tables {
        if !known.resources.iter().any(|r| r.name == table) {
            return Err(format!("overrides.toml: there is no table \"{table}\""));
        }
    }
    for place in &overrides.whole_seconds.properties {
        let (name, property) = split(place)?;
        let model = known.models.iter().find(|m| m.name == name);
        if model.and_then(|m| m.property(&property)).is_none() {
            return Err(format!("overrides.toml: there is no property \"{place}\""));
        }
    }
    Ok(())
}
