//! Which resource of the catalogue a path means. Words beat parameters, the earlier the more.

use awork_api::catalogue::{Catalogue, Resource, Shape};

/// A path of the catalogue.
#[derive(Debug)]
pub(crate) struct Route {
    /// The path, or that of the list whose row a lookup finds, as [`crate::source`] wants it.
    pub(crate) template: String,
    pub(crate) resource: &'static Resource,
    /// The property that the last argument equals, for a lookup.
    pub(crate) lookup: Option<&'static str>,
    version: u8,
    segments: Vec<Option<String>>,
}

/// All paths.
#[derive(Debug)]
pub(crate) struct Routes(Vec<Route>);

fn segments(path: &str) -> Vec<Option<String>> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.map(|part| (!part.starts_with('{')).then(|| part.to_lowercase())).collect()
}

fn template(version: u8, segments: &[Option<String>]) -> String {
    let parts: Vec<&str> = segments.iter().map(|s| s.as_deref().unwrap_or("{}")).collect();
    format!("{version}/{}", parts.join("/"))
}

impl Routes {
    /// The routes of a catalogue.
    pub(crate) fn of(catalogue: &'static Catalogue) -> Routes {
        let mut routes = Vec::new();
        for resource in &catalogue.resources {
            let parts = segments(&resource.path);
            let template = template(resource.version, &parts);
            for lookup in &resource.lookups {
                routes.push(Route {
                    template: template.clone(),
                    resource,
                    lookup: Some(&lookup.property),
                    version: resource.version,
                    segments: segments(&lookup.path),
                });
            }
            let version = resource.version;
            routes.push(Route { template, resource, lookup: None, version, segments: parts });
        }
        Routes(routes)
    }

    /// The routes that a path may mean, the likeliest first, with the path's arguments.
    pub(crate) fn find(&self, version: u8, path: &str) -> Vec<(&Route, Vec<String>)> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let fits = |route: &&Route| {
            route.version == version
                && route.segments.len() == parts.len()
                && route.segments.iter().zip(&parts).all(|(segment, part)| {
                    segment.as_deref().is_none_or(|word| word.eq_ignore_ascii_case(part))
                })
        };
        let mut found: Vec<&Route> = self.0.iter().filter(fits).collect();
        let words =
            |route: &Route| -> Vec<bool> { route.segments.iter().map(Option::is_none).collect() };
        // A lookup goes before a list of the same form, since only the list takes any word.
        found.sort_by_key(|route| (words(route), route.lookup.is_none()));
        let best = found.first().map(|route| words(route));
        found.retain(|route| Some(words(route)) == best);
        found
            .into_iter()
            .map(|route| {
                let arguments = route.segments.iter().zip(&parts).filter(|(s, _)| s.is_none());
                (route, arguments.map(|(_, part)| (*part).to_owned()).collect())
            })
            .collect()
    }

    /// The route of a resource itself.
    pub(crate) fn named(&self, name: &str) -> Option<&Route> {
        self.0.iter().find(|route| route.resource.name == name && route.lookup.is_none())
    }

    /// The route of a path with its parameters, as the catalogue writes it.
    pub(crate) fn list(&self, template: &str) -> Option<&Route> {
        self.0.iter().find(|route| {
            route.template == template
                && route.lookup.is_none()
                && route.resource.shape == Shape::List
        })
    }
}
