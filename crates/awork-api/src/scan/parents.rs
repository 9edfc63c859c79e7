//! The lists that a scan reads, one per set of parameters. Where a parameter of the path has
//! no value, its values come from the rows of the parents' list, which is read as well: no
//! faster than its rows are used.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::fetch;
use super::job::{Job, Order, Start};
use super::reader::{self, Reader};
use super::{Event, Outlet, Progress};
use crate::catalogue::columns::Source;
use crate::catalogue::{Catalogue, Embedded, Location, Parent, Resource, Shape};
use crate::error::{Error, ErrorKind};
use crate::request::{self, Bindings};
use crate::rows::{Batch, Kind, Projection, Target};

/// Where the lists come from.
pub(super) enum Lists {
    Given(std::vec::IntoIter<Bindings>),
    OfParents(Box<Parents>),
}

/// What is to be read next.
pub(super) enum Next {
    /// The list of these parameters.
    List(Bindings),
    /// Rows that the parent has brought along.
    Rows(Batch, Bindings),
    /// Nothing, since the parent says that it has no children.
    Childless,
    /// Something, once the parents have come.
    NotYet,
    /// Nothing.
    End,
}

/// The parents' list, which is being read.
pub(super) struct Parents {
    /// The parameters that are known, of the child; one set after the other.
    known: std::vec::IntoIter<Bindings>,
    running: Option<Running>,
    /// What the parents that have come say.
    ready: VecDeque<Next>,
}

struct Running {
    known: Bindings,
    link: Link,
    events: mpsc::Receiver<Event>,
    progress: Arc<Progress>,
    _task: AbortOnDropHandle<()>,
}

/// How the rows of a list lead to lists of children.
#[derive(Debug, Clone)]
struct Link {
    /// Index of the child's parameter whose value is in the parent's rows.
    parameter: usize,
    parent: &'static Resource,
    property: &'static str,
    only_if: Option<&'static str>,
    /// The property that holds the children's rows.
    embedded: Option<&'static str>,
}

/// The resources whose lists are read to find the lists of `resource`, the nearest first, where
/// the parameters in `bound` have values; none where a parameter has no parent to come from.
pub fn chain(resource: &'static Resource, bound: &[usize]) -> Option<Vec<&'static Resource>> {
    let bindings: Bindings =
        (0..resource.parameters.len()).map(|i| bound.contains(&i).then(String::new)).collect();
    let mut chain = Vec::new();
    let (mut child, mut known) = (resource, bindings);
    while let Some(missing) = missing(child, &known) {
        let link = link(child, missing, &known)?;
        known = of_parent(child, &known, link.parent);
        child = link.parent;
        chain.push(child);
    }
    Some(chain)
}

/// The last parameter of the path that has no value.
fn missing(resource: &Resource, bindings: &Bindings) -> Option<usize> {
    let parameters = resource.parameters.iter().zip(bindings).enumerate();
    parameters
        .filter(|(_, (p, value))| p.location == Location::Path && value.is_none())
        .map(|(i, _)| i)
        .next_back()
}

fn link(child: &'static Resource, parameter: usize, known: &Bindings) -> Option<Link> {
    let Parent { resource, property, only_if } = child.parameters[parameter].parent.as_ref()?;
    let parent = Catalogue::bundled().resource(resource)?;
    let others = child.parameters.iter().zip(known).enumerate();
    let only_one =
        others.filter(|(_, (p, value))| p.location == Location::Path && value.is_none()).count()
            == 1;
    let embedded = match &child.embedded {
        // A filter would not see the rows that come with the parent.
        Some(Embedded { resource, property }) if only_one && !child.paged => {
            (*resource == parent.name).then_some(property.as_str())
        }
        _ => None,
    };
    Some(Link { parameter, parent, property, only_if: only_if.as_deref(), embedded })
}

/// The parent's parameters, as far as the child's of the same name are known.
fn of_parent(child: &Resource, known: &Bindings, parent: &Resource) -> Bindings {
    let value = |name: &str| {
        let at = child.parameters.iter().position(|p| p.name == name)?;
        known[at].clone()
    };
    parent
        .parameters
        .iter()
        .map(|p| if p.location == Location::Path { value(&p.name) } else { None })
        .collect()
}

impl Lists {
    pub(super) fn new(reader: &Reader) -> Result<Self, Error> {
        let bindings = reader.job.bindings.clone().into_iter();
        Ok(match reader.fans_out {
            false => Lists::Given(bindings),
            true => Lists::OfParents(Box::new(Parents {
                known: bindings,
                running: None,
                ready: VecDeque::new(),
            })),
        })
    }

    /// What is to be read next. Waits for it only if `wait` says so.
    pub(super) async fn next(&mut self, reader: &Reader, wait: bool) -> Result<Next, Error> {
        match self {
            Lists::Given(bindings) => Ok(bindings.next().map_or(Next::End, Next::List)),
            Lists::OfParents(parents) => parents.next(reader, wait).await,
        }
    }

    /// Whether nothing follows for certain.
    pub(super) fn is_exhausted(&self) -> bool {
        match self {
            Lists::Given(bindings) => bindings.as_slice().is_empty(),
            Lists::OfParents(parents) => {
                parents.ready.is_empty()
                    && parents.running.is_none()
                    && parents.known.as_slice().is_empty()
            }
        }
    }
}

impl Parents {
    async fn next(&mut self, reader: &Reader, wait: bool) -> Result<Next, Error> {
        loop {
            if let Some(next) = self.ready.pop_front() {
                return Ok(next);
            }
            let Some(running) = &mut self.running else {
                let Some(known) = self.known.next() else { return Ok(Next::End) };
                self.start(reader, known)?;
                continue;
            };
            let event = if wait {
                running.events.recv().await
            } else {
                match running.events.try_recv() {
                    Ok(event) => Some(event),
                    Err(mpsc::error::TryRecvError::Empty) => return Ok(Next::NotYet),
                    Err(mpsc::error::TryRecvError::Disconnected) => None,
                }
            };
            match event {
                Some(Event::Rows(rows, of, _)) => {
                    for row in 0..rows.rows() {
                        self.ready.push_back(running.child(reader, &rows, row, &of)?);
                    }
                }
                Some(Event::Notice(notice)) => {
                    reader.outlet.send(Event::Notice(notice)).await;
                }
                Some(Event::Begun(_)) => {}
                Some(Event::Failed(error)) => return Err(error),
                Some(Event::End) => {
                    let pages = running.progress.pages.load(Ordering::Relaxed);
                    reader.progress.pages.fetch_add(pages, Ordering::Relaxed);
                    self.running = None;
                }
                None => {
                    return Err(Error::new(ErrorKind::Internal, "reading the parents stopped"));
                }
            }
        }
    }

    fn start(&mut self, reader: &Reader, known: Bindings) -> Result<(), Error> {
        let child = reader.job.resource;
        let link = missing(child, &known).and_then(|missing| link(child, missing, &known));
        let Some(link) = link else {
            return Err(Error::new(ErrorKind::Internal, "a parameter has no list of values"));
        };
        let text = |property: &str, kind| Target {
            name: property.to_owned(),
            source: Source::Field(vec![property.to_owned()]),
            kind,
        };
        let targets: Vec<Target> = [
            Some(text(link.property, Kind::Text)),
            link.only_if.map(|property| text(property, Kind::Json)),
            link.embedded.map(|property| text(property, Kind::Json)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let parent = link.parent;
        let properties = parent.properties();
        let job = Job {
            resource: parent,
            bindings: vec![of_parent(child, &known, parent)],
            conjuncts: Vec::new(),
            lookup: None,
            order: Order { stable: request::stable_order(parent, &properties), ..Order::default() },
            start: Start::Beginning,
            projection: Projection::new(&targets, properties.contains(&"id")),
            page_size: reader.job.page_size,
            most_filters: 1,
            cache_ttl: reader.job.cache_ttl,
            consistency: reader.job.consistency,
            table: reader.job.table.clone(),
        };
        let (sender, events) = mpsc::channel(1);
        let outlet = Outlet { sender, waker: None, demand: None };
        let progress = Arc::new(Progress::default());
        let task = reader::run(
            reader.client.clone(),
            job,
            outlet,
            progress.clone(),
            reader.permits.clone(),
        );
        let _task = AbortOnDropHandle::new(tokio::spawn(task));
        self.running = Some(Running { known, link, events, progress, _task });
        Ok(())
    }
}

impl Running {
    /// What a parent's row says of its children.
    fn child(
        &self,
        reader: &Reader,
        rows: &Batch,
        row: usize,
        of: &Bindings,
    ) -> Result<Next, Error> {
        let Link { parameter, parent, only_if, embedded, .. } = &self.link;
        let mut columns = 0..;
        let mut text = || columns.next().and_then(|column| rows.text(row, column));
        let Some(value) = text() else { return Ok(Next::Childless) };
        if only_if.is_some() && matches!(text(), Some("0" | "false")) {
            return Ok(Next::Childless);
        }
        let mut bindings = self.known.clone();
        for (name, value) in parent.parameters.iter().map(|p| &p.name).zip(of) {
            let at = reader.job.resource.parameters.iter().position(|p| p.name == *name);
            if let Some(at) = at {
                bindings[at] = bindings[at].take().or_else(|| value.clone());
            }
        }
        bindings[*parameter] = Some(value.to_owned());
        // Where awork has left the property out, the list has the rows.
        if embedded.is_some()
            && let Some(json) = text()
        {
            let job = &reader.job;
            let target = request::target(parent, of).unwrap_or_default();
            let batch = fetch::decoded(&reader.client, json.as_bytes(), Shape::List, job, &target)?;
            reader.progress.rows.fetch_add(batch.rows() as u64, Ordering::Relaxed);
            return Ok(Next::Rows(batch, bindings));
        }
        Ok(Next::List(bindings))
    }
}
