//! Lists: filters and orders the places of the rows, remembers them for the next page, cuts
//! the page out and renders it.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, PoisonError};

use serde_json::Value;

use crate::answer::{self, Answer};
use crate::config::LargePages;
use crate::data::entry_json::Shape;
use crate::data::world::World;
use crate::engine::{Engine, Request};
use crate::fault::Action;
use crate::filter::{self, Node, Order};
use crate::prepared::Page;
use crate::routes::Route;
use crate::source::{self, Asked, Found, Kind, Listing};

/// How many lists are remembered in their filtered order.
const REMEMBERED: usize = 256;
/// How many places they may hold together, of four bytes each: a dozen lists of a million.
const REMEMBERED_PLACES: usize = 12_000_000;
/// What a row counts that a list holds itself, since it takes a few kilobytes.
const MADE_ROW: usize = 1_000;
/// The largest page that the service gives.
const LARGEST_PAGE: usize = 1000;

impl Engine {
    /// Answers with a page of a list, or with all of a list that has no pages.
    pub(crate) fn list(
        &self,
        world: &World,
        request: Request<'_>,
        route: &Route,
        asked: Asked<'_>,
    ) -> Answer {
        let paged = route.resource.paged;
        let honours = paged || self.config.filter_undeclared;
        let parameter = |name| request.query.get(name).filter(|text| honours && !text.is_empty());
        let (filter, order) = (parameter("filterby"), parameter("orderby"));
        let refuses = |fault: &Action| {
            (*fault == Action::RefuseFilter && filter.is_some())
                || (*fault == Action::RefuseOrder && order.is_some())
        };
        if request.faults.iter().any(refuses) {
            return Answer::refused("refused on request");
        }
        let page = match self.page(request, paged) {
            Ok(page) => page,
            Err(answer) => return answer,
        };
        let selection = request.query.selection();
        let name = (asked.me, asked.admin, request.version, request.path, &selection);
        let key = format!("{name:?}");
        let listing = match self.remembered(&key) {
            Some(listing) => listing,
            None => {
                let mut listing = match source::find(world, asked) {
                    Found::List(listing) => listing,
                    Found::Lacks(name) => return Answer::lacks(name),
                    _ => return Answer::error(404, "not-found", "There is no such row."),
                };
                if let Err(refusal) = self.arrange(world, asked, filter, order, &mut listing) {
                    return Answer::refused(refusal.0);
                }
                self.remember(key.clone(), listing)
            }
        };
        let Some(page) = page else {
            return self.cut(world, request, &key, &listing, 0..listing.places.len());
        };
        let rows = &listing.places;
        let from = (page.served - 1).saturating_mul(page.size).min(rows.len());
        let to = from.saturating_add(page.size).min(rows.len());
        let dropped = request.faults.iter().map(|fault| match fault {
            Action::DropRows { rows } => *rows,
            _ => 0,
        });
        let to = to.saturating_sub(dropped.sum()).max(from);
        let mut answer = self.cut(world, request, &key, &listing, from..to);
        let mut total = Some(rows.len() as i64);
        for fault in request.faults {
            if let Action::Totals { total: instead } = fault {
                total = *instead;
            }
        }
        if let Some(total) = total {
            answer.headers.extend([
                ("aw-page", page.asked.to_string()),
                ("aw-pagesize", page.size.to_string()),
                ("aw-items", (to - from).to_string()),
                ("aw-totalitems", total.to_string()),
            ]);
        }
        answer
    }

    fn page(&self, request: Request<'_>, paged: bool) -> Result<Option<Asking>, Answer> {
        if !paged {
            return Ok(None);
        }
        let read = |name: &'static str, default: usize| match request.query.get(name) {
            None | Some("") => Ok(default),
            Some(text) => match text.parse::<usize>() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(Answer::error(400, "invalid-request", "The page is no number.")),
            },
        };
        let asked = read("page", 1)?;
        let mut size = read("pagesize", self.config.default_page_size)?;
        if size > LARGEST_PAGE {
            if self.config.large_pages == LargePages::Refuse {
                return Err(Answer::error(400, "invalid-request", "The page is too large."));
            }
            size = LARGEST_PAGE;
        }
        let mut served = asked;
        for fault in request.faults {
            match fault {
                Action::RepeatPage { page } => served = (*page).max(1),
                Action::PageSize { rows } => size = (*rows).max(1),
                _ => {}
            }
        }
        Ok(Some(Asking { asked, served, size }))
    }

    fn remembered(&self, key: &str) -> Option<Arc<Listing>> {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let place = lists.iter().position(|(k, _)| k == key)?;
        let found = lists.remove(place);
        let listing = Arc::clone(&found.1);
        lists.push(found);
        Some(listing)
    }

    fn remember(&self, key: String, listing: Listing) -> Arc<Listing> {
        let listing = Arc::new(listing);
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        // Another request may have made the same list meanwhile.
        lists.retain(|(other, _)| *other != key);
        let mut held: usize = lists.iter().map(|(_, listing)| weight(listing)).sum();
        while !lists.is_empty()
            && (lists.len() >= REMEMBERED || held + weight(&listing) > REMEMBERED_PLACES)
        {
            held -= weight(&lists.remove(0).1);
        }
        lists.push((key, Arc::clone(&listing)));
        listing
    }

    /// Filters and orders.
    fn arrange(
        &self,
        world: &World,
        asked: Asked<'_>,
        filter: Option<&str>,
        order: Option<&str>,
        listing: &mut Listing,
    ) -> Result<(), filter::Refusal> {
        let habits = self.habits();
        let refused = self.refused();
        let Listing { kind, places } = listing;
        if let Some(text) = filter {
            let moment = filter::moment(world.now, world.id("users", asked.me));
            let expression = filter::parse(text, moment)?;
            refused.allow_filter(&expression)?;
            let model = asked.model;
            let predicate = filter::check(world.catalogue, model, &expression, habits, &refused)?;
            places.retain(|place| {
                node(world, kind, *place)
                    .is_some_and(|node| filter::holds(world, &node, &predicate, habits))
            });
            places.shrink_to_fit();
        }
        if let Some(text) = order {
            let order = Order::parse(world.catalogue, asked.model, text, &refused)?;
            let mut keyed: Vec<(u32, Vec<_>)> = places
                .iter()
                .filter_map(|place| {
                    let node = node(world, kind, *place)?;
                    let cells = order.0.iter().map(|(path, _)| node.cell(world, path));
                    let cells = cells.map(|cell| filter::key(cell, habits));
                    Some((*place, cells.collect()))
                })
                .collect();
            keyed.sort_by(|(_, a), (_, b)| filter::compare(&order, a, b, habits));
            *places = keyed.into_iter().map(|(place, _)| place).collect();
        }
        Ok(())
    }

    /// The answer with some rows of a list; `key` tells it from other lists.
    fn cut(
        &self,
        world: &World,
        request: Request<'_>,
        key: &str,
        listing: &Listing,
        rows: Range<usize>,
    ) -> Answer {
        let places = &listing.places[rows.clone()];
        let changes = |fault: &Action| {
            matches!(fault, Action::SetProperties { .. } | Action::WithoutProperties { .. })
        };
        if request.faults.iter().any(changes) {
            let rows = places.iter().enumerate().filter_map(|(i, place)| {
                let mut row = row(world, &listing.kind, *place)?;
                answer::tamper(&mut row, i, request.faults);
                Some(row)
            });
            let body = Value::Array(rows.collect()).to_string().into_bytes();
            return Answer::rows(Page::plain(body), places.len());
        }
        // The world is locked, so that no page of before a change is kept after it.
        let render = || render(world, &listing.kind, places);
        Answer::rows(self.prepared.page(key, rows, request.gzip, render), places.len())
    }
}

/// Rows as a JSON array.
fn render(world: &World, kind: &Kind, places: &[u32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(places.len() * 1900 + 2);
    out.push(b'[');
    for (i, place) in places.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(world, kind, *place, &mut out);
    }
    out.push(b']');
    out
}

/// What a list takes of the memory for lists, in places.
fn weight(listing: &Listing) -> usize {
    match &listing.kind {
        // Filtering leaves the rows themselves where they are.
        Kind::Made(rows) => rows.len() * MADE_ROW,
        _ => listing.places.capacity(),
    }
}

/// Which page is meant.
struct Asking {
    asked: usize,
    served: usize,
    size: usize,
}

/// A row that is kept as JSON.
pub(crate) fn stored<'a>(world: &'a World, kind: &'a Kind, place: u32) -> Option<&'a Value> {
    match kind {
        Kind::Table(table) => world.table(table).rows.get(place as usize),
        Kind::Made(rows) => rows.get(place as usize),
        Kind::Tasks | Kind::Entries(_) => None,
    }
}

/// A row for the filter.
fn node<'a>(world: &'a World, kind: &'a Kind, place: u32) -> Option<Node<'a>> {
    match kind {
        Kind::Entries(shape) => {
            world.entries.rows.get(place as usize).map(|entry| Node::Entry(entry, *shape))
        }
        Kind::Tasks => Some(Node::Task(place as usize)),
        _ => stored(world, kind, place).map(|row| Node::Json(Cow::Borrowed(row))),
    }
}

/// A row as the API shows it.
pub(crate) fn row(world: &World, kind: &Kind, place: u32) -> Option<Value> {
    match kind {
        Kind::Entries(shape) => {
            world.entries.rows.get(place as usize).map(|entry| world.entry_in(entry, *shape))
        }
        Kind::Tasks => {
            (place < world.tasks.rows.len() as u32).then(|| world.task_row(place as usize))
        }
        _ => stored(world, kind, place).cloned(),
    }
}

/// Appends a row as JSON.
fn write(world: &World, kind: &Kind, place: u32, out: &mut Vec<u8>) {
    match kind {
        Kind::Entries(Shape::Full) => match world.entries.rows.get(place as usize) {
            Some(entry) => world.write_entry(entry, out),
            None => out.extend_from_slice(b"null"),
        },
        _ => {
            let row = match stored(world, kind, place) {
                Some(row) => serde_json::to_vec(row),
                None => serde_json::to_vec(&row(world, kind, place)),
            };
            out.extend_from_slice(&row.unwrap_or_default());
        }
    }
}
