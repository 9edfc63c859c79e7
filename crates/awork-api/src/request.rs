//! The address of a request: path, parameters and paging. Pure, so that EXPLAIN can show
//! what would be sent without sending it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::catalogue::{Location, Lookup, Resource, Type};

/// What stays as it is in a path segment or a query value (RFC 3986, unreserved characters).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Characters that need no escape in a query value and are easier to read without.
const ESCAPED_IN_QUERY: &AsciiSet = &ESCAPED.remove(b',').remove(b':').remove(b'\'');

/// The values of a resource's parameters, by their index; none where one is not bound.
pub type Bindings = Vec<Option<String>>;

/// The path below the version's base with its parameters filled in, and the query without
/// paging. `None` where a value cannot address anything: an empty path segment, or one of
/// dots, which would name another path.
pub fn target(resource: &Resource, bindings: &Bindings) -> Option<String> {
    let mut path = resource.path.clone();
    let mut query = Vec::new();
    for (parameter, value) in resource.parameters.iter().zip(bindings) {
        let Some(value) = value else { continue };
        match parameter.location {
            Location::Path if matches!(value.as_str(), "" | "." | "..") => return None,
            Location::Path => {
                let value = utf8_percent_encode(value, ESCAPED).to_string();
                path = path.replace(&format!("{{{}}}", parameter.name), &value);
            }
            Location::Query => query.push(pair(&parameter.name, value)),
        }
    }
    Some(join(&path, &query))
}

/// The path of a single object: the resource's parameters by their names, and `value` for the
/// one that the resource does not have. None as for [`target`].
pub fn lookup(
    resource: &Resource,
    lookup: &Lookup,
    bindings: &Bindings,
    value: &str,
) -> Option<String> {
    let mut segments = Vec::new();
    for segment in lookup.path.split('/') {
        let name = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
        let Some(name) = name else {
            segments.push(segment.to_owned());
            continue;
        };
        let known = resource.parameters.iter().position(|p| p.name == name);
        let value = match known {
            Some(at) => bindings.get(at)?.as_deref()?,
            None => value,
        };
        if matches!(value, "" | "." | "..") {
            return None;
        }
        segments.push(utf8_percent_encode(value, ESCAPED).to_string());
    }
    Some(segments.join("/"))
}

/// Adds paging, order and filter to a target. The empty filter is none.
pub fn page(
    target: &str,
    page: u64,
    page_size: u32,
    orderby: Option<&str>,
    filter: &str,
) -> String {
    let mut query = vec![pair("page", &page.to_string()), pair("pageSize", &page_size.to_string())];
    if !filter.is_empty() {
        query.push(pair("filterby", filter));
    }
    if let Some(orderby) = orderby {
        query.push(pair("orderby", orderby));
    }
    join(target, &query)
}

/// A request as people read it: the target, after its version where that is not 1.
pub fn shown(version: u8, target: &str) -> String {
    match version {
        1 => format!("GET {target}"),
        version => format!("GET /v{version}{target}"),
    }
}

/// An order under which rows that are added while pages are read come last, and no two rows
/// tie: by creation, then by id. None where the rows have neither, or the API knows no order.
pub fn stable_order(resource: &Resource, properties: &[&str]) -> Option<String> {
    if !resource.paged || !matches!(resource.item, Type::Model(_)) {
        return None;
    }
    let keys: Vec<String> = ["createdOn", "id"]
        .into_iter()
        .filter(|key| properties.contains(key))
        .map(|key| format!("{key} asc"))
        .collect();
    (!keys.is_empty()).then(|| keys.join(","))
}

/// Whether rows keep their places among each other under an order, whatever is changed in them.
pub fn is_stable(orderby: &str) -> bool {
    let property = |key: &str| key.split(' ').next().unwrap_or_default().to_owned();
    orderby.split(',').all(|key| ["createdOn", "id"].contains(&property(key).as_str()))
}

/// An order with another one for rows that tie under it; keys that it has already are left out.
pub fn then_by(orderby: &str, tie_breaker: &str) -> String {
    let property = |key: &str| key.split(' ').next().unwrap_or_default().to_owned();
    let has = |key: &&str| orderby.split(',').any(|known| property(known) == property(key));
    let rest = tie_breaker.split(',').filter(|key| !has(key));
    std::iter::once(orderby).chain(rest).collect::<Vec<_>>().join(",")
}

fn pair(name: &str, value: &str) -> String {
    format!("{name}={}", encoded(value))
}

/// A value as it is written in a query string.
pub fn encoded(value: &str) -> String {
    utf8_percent_encode(value, ESCAPED_IN_QUERY).to_string()
}

fn join(path: &str, query: &[String]) -> String {
    if query.is_empty() {
        return path.to_owned();
    }
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}{}", query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    fn resource(name: &str) -> &'static Resource {
        Catalogue::bundled().resource(name).unwrap()
    }

    #[test]
    fn parameters_go_into_path_and_query() {
        let members = resource("project_members");
        assert_eq!(
            target(members, &vec![Some("a b/c".into())]).unwrap(),
            "/projects/a%20b%2Fc/members"
        );
        let users = resource("users");
        assert_eq!(target(users, &vec![Some("true".into())]).unwrap(), "/users?showArchived=true");
        assert_eq!(target(users, &vec![None]).unwrap(), "/users");
    }

    #[test]
    fn a_value_cannot_name_another_path() {
        let members = resource("project_members");
        for value in ["", ".", ".."] {
            assert_eq!(target(members, &vec![Some(value.into())]), None);
        }
        assert_eq!(
            target(members, &vec![Some("../me?x#y".into())]).unwrap(),
            "/projects/..%2Fme%3Fx%23y/members"
        );
    }

    #[test]
    fn paging_joins_what_is_there() {
        assert_eq!(
            page("/users?showArchived=true", 2, 1000, Some("createdOn asc,id asc"), ""),
            "/users?showArchived=true&page=2&pageSize=1000&orderby=createdOn%20asc,id%20asc"
        );
        assert_eq!(page("/users", 1, 10, None, ""), "/users?page=1&pageSize=10");
        assert_eq!(
            page("/users", 1, 10, None, "name eq 'a&b'"),
            "/users?page=1&pageSize=10&filterby=name%20eq%20'a%26b'"
        );
    }

    #[test]
    fn a_tie_breaker_adds_what_is_not_there() {
        assert_eq!(
            then_by("updatedOn desc", "createdOn asc,id asc"),
            "updatedOn desc,createdOn asc,id asc"
        );
        assert_eq!(then_by("createdOn desc", "createdOn asc,id asc"), "createdOn desc,id asc");
    }

    #[test]
    fn order_is_by_creation_then_id() {
        let users = resource("users");
        assert_eq!(
            stable_order(users, &["name", "id", "createdOn"]).unwrap(),
            "createdOn asc,id asc"
        );
        assert_eq!(stable_order(users, &["createdOn"]).unwrap(), "createdOn asc");
        assert_eq!(stable_order(users, &["name"]), None);
        assert_eq!(stable_order(resource("project_members"), &["id", "createdOn"]), None);
    }
}
