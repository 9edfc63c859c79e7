//! Answers to requests for data: finds the route and the rows, or the one row. Knows nothing of
//! connections, and leaves pages to `list`.

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use awork_api::catalogue::{Catalogue, Shape as CatalogueShape, Type};
use serde_json::Value;

use crate::answer::Answer;
use crate::config::{Config, Error, Identity};
use crate::data::clock::{self, DAY};
use crate::data::entry_json::Shape;
use crate::data::guid;
use crate::data::world::World;
use crate::fault::Action;
use crate::filter::{Habits, Refused};
use crate::identities::Identities;
use crate::list::{row, stored};
use crate::prepared::Prepared;
use crate::request::Query;
use crate::routes::{Route, Routes};
use crate::source::{self, Asked, Found, Kind, Listing};

/// The data and how it is asked for.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) config: Config,
    pub(crate) identities: Identities,
    pub(crate) world: RwLock<World>,
    pub(crate) routes: Routes,
    pub(crate) lists: Mutex<Vec<(String, Arc<Listing>)>>,
    /// Pages of the lists as they are sent.
    pub(crate) prepared: Prepared,
    /// Starts as the configuration says and may change.
    refused: RwLock<Refused>,
}

/// A request for data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) version: u8,
    /// The path below the version.
    pub(crate) path: &'a str,
    pub(crate) query: &'a Query,
    pub(crate) identity: &'a Identity,
    pub(crate) faults: &'a [Action],
    /// Whether the client takes compressed answers, and gets them.
    pub(crate) gzip: bool,
    /// Whether the header is there that some internal paths require.
    pub(crate) internal: bool,
}

impl Engine {
    pub(crate) fn new(config: Config) -> Result<Engine, Error> {
        let now = clock::parse(&config.now).ok_or_else(|| Error::Now(config.now.clone()))?;
        let world = RwLock::new(World::invent(config.seed, now, config.scale));
        let routes = Routes::of(Catalogue::bundled());
        let refused = RwLock::new(config.refused.clone());
        let prepared = Prepared::new(config.prepared_bytes);
        let identities = Identities::new(config.identities.clone());
        Ok(Engine { config, identities, world, routes, lists: Mutex::default(), prepared, refused })
    }

    pub(crate) fn world(&self) -> RwLockReadGuard<'_, World> {
        self.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all lists and their pages, since the data has changed.
    pub(crate) fn forget(&self) {
        self.prepared.clear();
        self.lists.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn habits(&self) -> Habits {
        Habits {
            case_sensitive: self.config.case_sensitive,
            nulls_last: self.config.nulls_last,
            top_level_in: self.config.top_level_in,
            ne_excludes_null: self.config.ne_excludes_null,
        }
    }

    /// What is refused in filters and orders.
    pub(crate) fn refused(&self) -> RwLockReadGuard<'_, Refused> {
        self.refused.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses this from now on, and nothing else.
    pub(crate) fn refuse(&self, refused: Refused) {
        // Without a request under way, which would remember a list that is now refused.
        let world = self.world.write().unwrap_or_else(PoisonError::into_inner);
        *self.refused.write().unwrap_or_else(PoisonError::into_inner) = refused;
        self.forget();
        drop(world);
    }

    /// Answers a request.
    pub(crate) fn answer(&self, request: Request<'_>) -> Answer {
        // "/users/me" is an old name of "/me".
        let path = if request.path == "/users/me" { "/me" } else { request.path };
        let routes = self.routes.find(request.version, path);
        if routes.is_empty() {
            return Answer::no_route();
        }
        if request.identity.refused.iter().any(|prefix| path.starts_with(prefix.as_str())) {
            return Answer::error(401, "unauthorized", "The key has no rights to this.");
        }
        let world = self.world();
        let mut answer = Answer::error(404, "not-found", "There is no such row.");
        for (route, arguments) in routes {
            if !route.resource.headers.is_empty() && !request.internal {
                return Answer::error(400, "invalid-request", "A required header is missing.");
            }
            answer = match route.lookup {
                Some(property) => self.look_up(&world, request, route, &arguments, property),
                None => self.ask(&world, request, route, &arguments),
            };
            // A list of the same form takes a word, as in `/me/filters/tasks`: no guid.
            let by_guid = route.lookup == Some("id")
                && arguments.last().is_some_and(|value| guid::parse(value).is_some());
            if answer.status != 404 || by_guid {
                break;
            }
        }
        answer
    }

    fn asked<'a>(request: Request<'a>, route: &'a Route, arguments: &'a [String]) -> Asked<'a> {
        let model = match &route.resource.item {
            Type::Model(name) => name.as_str(),
            _ => "",
        };
        Asked {
            template: &route.template,
            model,
            arguments,
            query: request.query,
            me: request.identity.user,
            admin: request.identity.admin,
            all: route.lookup.is_some(),
        }
    }

    /// The row of a list that an argument names.
    fn look_up(
        &self,
        world: &World,
        request: Request<'_>,
        route: &Route,
        arguments: &[String],
        property: &str,
    ) -> Answer {
        let missing = || Answer::error(404, "not-found", "There is no such row.");
        let Some((wanted, parents)) = arguments.split_last() else { return missing() };
        // The big tables know their ids; looking through all their rows would be slow.
        let quick = match (route.template.as_str(), property) {
            ("1/timeentries", "id") => Some(Shape::Full),
            ("2/timeentries", "id") => Some(Shape::FullV2),
            _ => None,
        };
        if let Some(shape) = quick {
            let place = guid::parse(wanted).and_then(|id| world.entries.place(id));
            let row = place.map(|place| world.entry_in(&world.entries.rows[place], shape));
            return row.map_or_else(missing, |row| Answer::row(&row, request.faults));
        }
        if route.template == "1/me/allavailabletasks" {
            let place = match property {
                "id" => guid::parse(wanted).and_then(|id| world.tasks.place(id)),
                _ => world.tasks.rows.iter().position(|task| {
                    world.task_identifier(task).is_some_and(|key| key.eq_ignore_ascii_case(wanted))
                }),
            };
            return place.map_or_else(missing, |p| Answer::row(&world.task_row(p), request.faults));
        }
        let asked = Self::asked(request, route, parents);
        let Found::List(listing) = source::find(world, asked) else { return missing() };
        let id = guid::parse(wanted);
        let found = listing.places.iter().find_map(|place| {
            if let (Kind::Tasks, "id") = (&listing.kind, property) {
                let task = world.tasks.rows.get(*place as usize)?;
                return (Some(task.id) == id).then(|| world.task_row(*place as usize));
            }
            let matches = |row: &Value| {
                row.get(property)
                    .and_then(Value::as_str)
                    .is_some_and(|value| value.eq_ignore_ascii_case(wanted))
            };
            stored(world, &listing.kind, *place).filter(|row| matches(row)).cloned()
        });
        found.map_or_else(missing, |row| Answer::row(&row, request.faults))
    }

    fn ask(
        &self,
        world: &World,
        request: Request<'_>,
        route: &Route,
        arguments: &[String],
    ) -> Answer {
        let asked = Self::asked(request, route, arguments);
        if route.resource.shape == CatalogueShape::List {
            return self.list(world, request, route, asked);
        }
        match source::find(world, asked) {
            Found::One(row) => Answer::row(&row, request.faults),
            Found::Empty => Answer::empty(),
            Found::Lacks(name) => Answer::lacks(name),
            _ => Answer::error(404, "not-found", "There is no such row."),
        }
    }

    /// Every row of a resource, in the order of the unfiltered list.
    pub(crate) fn rows(&self, resource: &str, parameters: &[(&str, &str)]) -> Vec<Value> {
        let mut rows = Vec::new();
        self.visit(resource, parameters, |row| rows.push(row));
        rows
    }

    /// The rows of [`Engine::rows`], one at a time.
    pub(crate) fn visit(
        &self,
        resource: &str,
        parameters: &[(&str, &str)],
        mut visitor: impl FnMut(Value),
    ) {
        let world = self.world();
        match self.found(&world, resource, parameters) {
            Some(Found::List(listing)) => {
                let places = listing.places.iter();
                places.filter_map(|place| row(&world, &listing.kind, *place)).for_each(visitor);
            }
            Some(Found::One(row)) => visitor(row),
            _ => {}
        }
    }

    /// The unfiltered list of a resource, for the first identity.
    pub(crate) fn found(
        &self,
        world: &World,
        resource: &str,
        parameters: &[(&str, &str)],
    ) -> Option<Found> {
        let route = self.routes.named(resource)?;
        let value = |name: &str| parameters.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        let path = route.resource.path.split('/').filter_map(|part| part.strip_prefix('{'));
        let arguments: Option<Vec<String>> =
            path.map(|part| value(part.trim_end_matches('}')).map(str::to_owned)).collect();
        let query = Query::of(parameters);
        let identity = self.identities.first()?;
        let asked = Asked {
            template: &route.template,
            model: match &route.resource.item {
                Type::Model(name) => name,
                _ => "",
            },
            arguments: &arguments?,
            query: &query,
            me: identity.user,
            admin: identity.admin,
            all: false,
        };
        Some(source::find(world, asked))
    }

    /// Parameters of a resource under which it has rows: of its path, and required ones.
    pub(crate) fn parameters(&self, resource: &str) -> Option<Vec<(String, String)>> {
        let world = self.world();
        let route = self.routes.named(resource)?;
        let mut fixed = Vec::new();
        for parameter in route.resource.parameters.iter().filter(|p| p.required) {
            let day = |offset: i64| clock::instant(world.today() + offset * DAY);
            let value = match parameter.name.as_str() {
                "userIds" => {
                    let users = (2..6).map(|i| world.id_text("users", i));
                    users.collect::<Vec<_>>().join(",")
                }
                "intervalStart" => day(-30)[..10].to_owned(),
                "intervalEnd" => day(30)[..10].to_owned(),
                "roughPlanningFrom" => "14".to_owned(),
                _ => continue,
            };
            fixed.push((parameter.name.clone(), value));
        }
        self.parents(&world, route, &mut fixed, 0).then_some(fixed)
    }

    /// Finds values for the path's parameters from the `at`-th on, such that there are rows.
    fn parents(
        &self,
        world: &World,
        route: &Route,
        chosen: &mut Vec<(String, String)>,
        at: usize,
    ) -> bool {
        let parts: Vec<&str> = route.resource.path.split('/').skip(1).collect();
        let holes: Vec<usize> = (0..parts.len()).filter(|i| parts[*i].starts_with('{')).collect();
        let Some(hole) = holes.get(at) else {
            let borrowed: Vec<(&str, &str)> =
                chosen.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            return match self.found(world, &route.resource.name, &borrowed) {
                Some(Found::List(listing)) => !listing.places.is_empty(),
                Some(Found::One(_)) => true,
                _ => false,
            };
        };
        let name = parts[*hole].trim_matches(['{', '}']).to_owned();
        for value in crate::parents::candidates(self, world, &parts[..*hole], &name, chosen) {
            chosen.push((name.clone(), value));
            if self.parents(world, route, chosen, at + 1) {
                return true;
            }
            chosen.pop();
        }
        false
    }
}
