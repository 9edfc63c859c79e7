//! Time entries, kept compactly because benchmarks ask for a million of them. They are stored
//! in the order of their creation.

use std::collections::HashMap;

use jiff::tz::TimeZone;

use super::clock::{self, DAY, HOUR, MINUTE, SECOND, Ticks};
use super::entry_json::Fragments;
use super::fabric::{Object, ragged};
use super::seed::Chance;
use super::sizes::API_USERS;
use super::words::{NOTES, TYPES_OF_WORK};
use super::world::World;
use super::{business, people};

/// The reference to nothing.
pub(crate) const NONE: u32 = u32::MAX;
/// How far back the entries reach.
const HISTORY: i64 = 540;

/// Properties of an entry that are true or false.
pub(crate) mod flag {
    pub(crate) const BILLABLE: u8 = 1;
    pub(crate) const BILLED: u8 = 2;
    /// Started and not stopped.
    pub(crate) const RUNNING: u8 = 4;
    /// A duration on a day, without a time of day.
    pub(crate) const DATE_ONLY: u8 = 8;
    /// Null properties are shown as null rather than left out.
    pub(crate) const SHOWS_NULLS: u8 = 16;
    pub(crate) const BY_SYSTEM: u8 = 32;
    /// The break has begun and not ended.
    pub(crate) const OPEN_BREAK: u8 = 64;
}

/// A time entry; references are numbers of rows.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: u128,
    pub(crate) created: Ticks,
    pub(crate) updated: Ticks,
    /// For an entry without a time of day: midnight of its day.
    pub(crate) start: Ticks,
    /// Worked seconds, without the break.
    pub(crate) seconds: i32,
    pub(crate) break_seconds: i32,
    pub(crate) user: u32,
    pub(crate) project: u32,
    pub(crate) task: u32,
    /// Minutes from UTC at the start and at the end.
    pub(crate) start_offset: i16,
    pub(crate) end_offset: i16,
    pub(crate) type_of_work: u8,
    pub(crate) zone: u8,
    /// 0 for none, else one more than the number of the phrase.
    pub(crate) note: u8,
    pub(crate) flags: u8,
}

impl Entry {
    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// When the entry stopped; none for a running one and for a mere duration.
    pub(crate) fn end(&self) -> Option<Ticks> {
        let open = flag::RUNNING | flag::DATE_ONLY;
        let length = i64::from(self.seconds) + i64::from(self.break_seconds);
        (self.flags & open == 0).then(|| self.start + length * SECOND)
    }

    pub(crate) fn start_local(&self) -> Ticks {
        self.start + i64::from(self.start_offset) * MINUTE
    }

    pub(crate) fn end_local(&self) -> Option<Ticks> {
        self.end().map(|end| end + i64::from(self.end_offset) * MINUTE)
    }
}

/// All time entries.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) rows: Vec<Entry>,
    ids: HashMap<u128, u32>,
    /// Properties that a change on request has set, by the entry's id.
    pub(crate) changed: HashMap<u128, Object>,
    pub(crate) fragments: Fragments,
    /// How many were ever made, so that a new id is never an old one.
    pub(crate) made: usize,
}

impl Entries {
    /// The place of the entry with this id.
    pub(crate) fn place(&self, id: u128) -> Option<usize> {
        self.ids.get(&id).map(|i| *i as usize)
    }

    /// Finds the ids anew after rows came or went.
    pub(crate) fn index(&mut self) {
        self.ids = self.rows.iter().enumerate().map(|(i, e)| (e.id, i as u32)).collect();
    }

    /// Tracked seconds per task.
    pub(crate) fn tracked_by_task(&self, tasks: usize) -> Vec<i64> {
        self.sums(tasks, |entry| entry.task)
    }

    /// Tracked seconds per project.
    pub(crate) fn tracked_by_project(&self, projects: usize) -> Vec<i64> {
        self.sums(projects, |entry| entry.project)
    }

    fn sums(&self, count: usize, key: impl Fn(&Entry) -> u32) -> Vec<i64> {
        let mut sums = vec![0; count];
        for entry in &self.rows {
            if let Some(sum) = sums.get_mut(key(entry) as usize) {
                *sum += i64::from(entry.seconds);
            }
        }
        sums
    }
}

/// Invents all entries of the last year and a half, and the timers that run now.
pub(crate) fn invent(world: &World) -> Entries {
    let zones = clock::zones();
    let total = world.sizes.entries;
    let running = (total / 2000).clamp(3, 40).min(total);
    let today = world.now.div_euclid(DAY);
    let works = |day: i64| clock::weekday(day) < 5 || changes_clocks(day);
    let weight = |day: i64| if works(day) { 30 } else { 1 };
    let all: i64 = (today - HISTORY..today).map(weight).sum();
    let mut rows = Vec::with_capacity(total);
    let mut sum = 0;
    let mut cursors = vec![0; world.sizes.users];
    for day in today - HISTORY..today {
        sum += weight(day);
        let upto = ((total - running) as i128 * sum as i128 / all as i128) as usize;
        cursors.fill(0);
        while rows.len() < upto {
            let number = rows.len();
            rows.push(entry(world, number, day, &mut cursors, &zones));
        }
    }
    for _ in 0..running {
        rows.push(timer(world, rows.len(), &zones));
    }
    // Imports create many entries at one instant: the tie that a stable order has to break.
    for i in 1..rows.len() {
        if i % 50 == 7 {
            rows[i].created = rows[i - 1].created;
            rows[i].updated = rows[i].updated.max(rows[i].created);
        }
    }
    rows.sort_by_key(|entry| entry.created);
    let mut entries = Entries { made: rows.len(), rows, ..Entries::default() };
    entries.index();
    entries
}

/// Renders what all entries share; the projects must exist.
pub(crate) fn prepare(world: &mut World) {
    world.entries.fragments = Fragments::of(world);
}

/// Whether the clocks of most zones change on this day; people work on it all the same, so that
/// there is an entry across the change.
fn changes_clocks(day: i64) -> bool {
    day == clock::days(2026, 3, 29) || day == clock::days(2025, 10, 26)
}

/// Users work in one zone, mostly the agency's own.
fn zone_of(user: usize) -> usize {
    match user % 12 {
        5 => 1,
        7 => 2,
        9 => 3,
        11 => 4,
        _ => 0,
    }
}

/// Draws who worked on what.
fn blank(world: &World, number: usize, chance: &mut Chance) -> Entry {
    let people = world.sizes.users - API_USERS;
    let mut user = API_USERS + chance.below(people);
    if user >= world.sizes.users - people::GONE && !chance.percent(60) {
        user = world.person(chance);
    }
    let project = if chance.percent(4) { NONE } else { chance.skewed(world.sizes.projects) as u32 };
    let mut task = NONE;
    if project != NONE && !chance.percent(15) {
        let tasks = world.tasks.of_project(project as usize);
        if !tasks.is_empty() {
            task = (tasks.start + chance.below(tasks.len())) as u32;
        }
    }
    let billable = project != NONE && business::is_billable(project as usize) && !chance.percent(9);
    let type_of_work = match task {
        NONE => chance.below(TYPES_OF_WORK.len()) as u8,
        task => world.tasks.rows[task as usize].type_of_work as u8,
    };
    let note = if chance.percent(35) { 0 } else { 1 + chance.below(NOTES.len()) as u8 };
    let mut flags = if billable { flag::BILLABLE } else { 0 };
    if chance.percent(50) {
        flags |= flag::SHOWS_NULLS;
    }
    if chance.percent(5) {
        flags |= flag::BY_SYSTEM;
    }
    let zone = if chance.percent(1) { chance.below(clock::ZONES.len()) } else { zone_of(user) };
    Entry {
        id: world.id("time_entries", number),
        created: 0,
        updated: 0,
        start: 0,
        seconds: 0,
        break_seconds: 0,
        user: user as u32,
        project,
        task,
        start_offset: 0,
        end_offset: 0,
        type_of_work,
        zone: zone as u8,
        note,
        flags,
    }
}

fn entry(world: &World, number: usize, day: i64, cursors: &mut [i64], zones: &[TimeZone]) -> Entry {
    let chance = &mut world.chance("time_entries", number);
    let mut entry = blank(world, number, chance);
    let zone = &zones[usize::from(entry.zone)];
    if chance.percent(8) {
        entry.flags |= flag::DATE_ONLY;
        entry.seconds = (chance.within(1, 32) * 900) as i32;
        entry.start = day * DAY;
    } else {
        let cursor = &mut cursors[entry.user as usize];
        let local = if changes_clocks(day) {
            entry.seconds = 2 * 3600;
            day * DAY + HOUR + 30 * MINUTE
        } else if chance.percent(1) {
            // Work that ends on the next day.
            entry.seconds = 3 * 3600;
            day * DAY + 22 * HOUR + 30 * MINUTE
        } else {
            let timed = chance.percent(40);
            if *cursor == 0 {
                *cursor = 8 * HOUR + chance.within(-4, 8) * 15 * MINUTE;
            }
            entry.seconds = if timed {
                chance.within(200, 9000) as i32
            } else {
                (chance.within(1, 12) * 900) as i32
            };
            if entry.seconds > 4 * 1800 && chance.percent(15) {
                entry.break_seconds = chance.within(300, 3600) as i32;
            }
            let mut start = day * DAY + *cursor;
            if timed {
                start += chance.within(0, 2 * MINUTE);
            }
            let length = i64::from(entry.seconds + entry.break_seconds) * SECOND;
            *cursor = (*cursor + length + chance.within(0, 2) * 15 * MINUTE).min(21 * HOUR);
            start
        };
        entry.start = clock::to_utc(local, zone);
    }
    place(world, &mut entry, zone, chance);
    if entry.has(flag::BILLABLE) && day < world.now.div_euclid(DAY) - 45 && chance.percent(80) {
        entry.flags |= flag::BILLED;
    }
    entry
}

/// Sets the offsets, and when the row was written.
fn place(world: &World, entry: &mut Entry, zone: &TimeZone, chance: &mut Chance) {
    if !entry.has(flag::DATE_ONLY) {
        entry.start_offset = clock::offset_minutes(entry.start, zone);
        entry.end_offset = entry.end().map_or(0, |end| clock::offset_minutes(end, zone));
    }
    let known = entry.end().unwrap_or(entry.start + 17 * HOUR);
    let late = chance.within(0, 3 * HOUR);
    entry.created = ragged(known + late, chance).min(world.now - MINUTE);
    entry.updated = match chance.below(4) {
        0 => ragged(entry.created + chance.within(0, 40 * DAY), chance)
            .clamp(entry.created, world.now),
        _ => entry.created,
    };
}

/// An entry that somebody is tracking right now.
fn timer(world: &World, number: usize, zones: &[TimeZone]) -> Entry {
    let chance = &mut world.chance("timers", number);
    let mut entry = blank(world, number, chance);
    entry.user = world.person(chance) as u32;
    entry.zone = zone_of(entry.user as usize) as u8;
    entry.flags |= flag::RUNNING;
    entry.start = world.now - chance.within(5 * MINUTE, 3 * HOUR);
    entry.start_offset = clock::offset_minutes(entry.start, &zones[usize::from(entry.zone)]);
    if number.is_multiple_of(3) {
        entry.flags |= flag::OPEN_BREAK;
    }
    entry.created = entry.start;
    entry.updated = entry.start;
    entry
}

/// A new entry of an hour that ended just now, for changes while somebody reads.
pub(crate) fn fresh(world: &World, number: usize) -> Entry {
    let chance = &mut world.chance("time_entries", number);
    let mut entry = blank(world, number, chance);
    entry.user = world.person(chance) as u32;
    let zones = clock::zones();
    entry.seconds = 3600;
    entry.start = world.now - HOUR;
    let zone = &zones[usize::from(entry.zone)];
    entry.start_offset = clock::offset_minutes(entry.start, zone);
    entry.end_offset = clock::offset_minutes(world.now, zone);
    entry.created = world.now + number as i64 % 1000;
    entry.updated = entry.created;
    entry
}
