//! Users and what belongs to them: contact data, tags, teams, capacities, absences. The keys
//! of the API come first, the people who left come last.

use serde_json::{Value, json};

use super::clock::{self, DAY, HOUR, SECOND};
use super::fabric::{object, part};
use super::guid;
use super::sizes::API_USERS;
use super::words::{PEOPLE, POSITIONS, TEAMS, TITLES};
use super::world::World;

/// How many users at the end of the table are gone: two deleted, one archived, one deactivated.
pub(crate) const GONE: usize = 4;

/// Whether the user was deleted; time entries of such a user show no user.
pub(crate) fn is_deleted(world: &World, user: usize) -> bool {
    user + 2 >= world.sizes.users
}

/// Makes the tables of people.
pub(crate) fn fill(world: &mut World) {
    let users = (0..world.sizes.users).map(|i| user(world, i)).collect();
    world.insert("users", users);
    let teams = (0..TEAMS.len()).map(|i| team(world, i)).collect();
    world.insert("teams", teams);
    let keys = (0..API_USERS).map(|i| api_user(world, i)).collect();
    world.insert("api_users", keys);
    let regions = (0..4).map(|i| region(world, i)).collect();
    world.insert("absence_regions", regions);
    let absences = (0..world.sizes.of_table("absences")).map(|i| absence(world, i)).collect();
    world.insert("absences", absences);
    let holidays = (0..12).map(|i| holiday(world, i)).collect();
    world.insert("workspace_absences", holidays);
}

/// The teams that a user belongs to.
pub(crate) fn in_team(user: usize, team: usize) -> bool {
    user >= API_USERS && (user % TEAMS.len() == team || (user.is_multiple_of(7) && team == 3))
}

/// First and last name of a user.
fn names(world: &World, i: usize) -> (String, String) {
    if i < API_USERS {
        return (["BI Export", "Time Clock"][i].into(), "(API Client)".into());
    }
    let n = i - API_USERS;
    let chance = &mut world.chance("names", i);
    match PEOPLE.get(n) {
        Some((first, last)) => ((*first).into(), (*last).into()),
        None => (chance.pick(&PEOPLE).0.into(), chance.pick(&PEOPLE).1.into()),
    }
}

fn user(world: &World, i: usize) -> Value {
    let id = world.id("users", i);
    let chance = &mut world.chance("users", i);
    let (first, last) = names(world, i);
    let users = world.sizes.users;
    let key = i < API_USERS;
    let deleted = is_deleted(world, i);
    let archived = deleted || i + 3 == users;
    let deactivated = archived || i + 4 == users;
    let (created, updated) = world.history(id);
    let left = (created + updated) / 2;
    let contacts: Vec<Value> = if key { vec![] } else { contacts(world, id, &first, i) };
    let tags = (0..6).filter(|t| !key && (i + t * 5).is_multiple_of(11));
    let tags: Vec<Value> =
        tags.filter_map(|t| world.shown("user_tags", &world.id_text("user_tags", t))).collect();
    let tag = |t: &Value| world.trim_to(t, "UserTagModel");
    let teams = (0..TEAMS.len()).filter(|t| in_team(i, *t));
    let teams: Vec<Value> = teams
        .map(|t| {
            let id = world.id_text("teams", t);
            json!({"id": id, "name": TEAMS[t], "icon": "image", "color": super::words::COLORS[t]})
        })
        .collect();
    let last_name = if chance.percent(3) { Value::Null } else { last.into() };
    world.make(
        "User",
        id,
        object(json!({
            "firstName": first,
            "lastName": last_name,
            "title": TITLES[i % TITLES.len()],
            "position": POSITIONS[i % POSITIONS.len()],
            "language": if chance.percent(70) { "de-DE" } else { "en-GB" },
            "birthDate": birthday(key, chance),
            "status": {"invitationAccepted": !chance.percent(6), "isDeactivated": deactivated},
            "isArchived": archived,
            "isDeactivated": deactivated,
            "isAgent": i == API_USERS + 3,
            "isExternal": i == API_USERS + 5,
            "deactivatedOn": if deactivated { clock::instant(left).into() } else { Value::Null },
            "deletedOn": if deleted { clock::instant(left + DAY).into() } else { Value::Null },
            "shouldMigrateToConnect": false,
            "userContactInfos": contacts,
            "tags": tags.iter().map(tag).collect::<Vec<_>>(),
            "teams": teams,
        })),
    )
}

/// A birthday at midnight, for most people.
fn birthday(key: bool, chance: &mut super::seed::Chance) -> Value {
    if key || chance.percent(40) {
        return Value::Null;
    }
    clock::instant(clock::days(chance.within(1960, 2004), chance.within(1, 12), 3) * DAY).into()
}

fn contacts(world: &World, user: u128, first: &str, i: usize) -> Vec<Value> {
    let ascii: String = first.chars().filter(char::is_ascii_alphabetic).collect();
    let mail = format!("{}.{i}@agentur-nord.example", ascii.to_lowercase());
    let kinds = [
        json!({"type": "email", "subType": "work", "value": mail}),
        json!({"type": "phone", "subType": "mobile", "value": format!("+49 151 {:07}", i * 991)}),
        json!({"type": "address", "subType": "home", "isAddress": true,
               "addressLine1": "Torstraße 140", "zipCode": "10119", "city": "Berlin",
               "country": "DE"}),
    ];
    let count = 1 + i % 3;
    let blank = json!({"label": null, "value": null, "addressLine1": null, "addressLine2": null,
        "zipCode": null, "city": null, "state": null, "country": null, "isAddress": false});
    let filled = kinds.into_iter().take(count).enumerate();
    filled
        .map(|(n, kind)| {
            let mut given = object(blank.clone());
            given.extend(object(kind));
            world.make("ContactInfo", part(user, "contact", n as u64), given)
        })
        .collect()
}

fn team(world: &World, i: usize) -> Value {
    let members = (0..world.sizes.users).filter(|u| in_team(*u, i));
    let projects = (0..world.sizes.projects).filter(|p| p % TEAMS.len() == i);
    world.make(
        "Team",
        world.id("teams", i),
        object(json!({
            "name": TEAMS[i],
            "icon": "image",
            "color": super::words::COLORS[i],
            "userIds": members.map(|u| world.id_text("users", u)).collect::<Vec<_>>(),
            "projectIds": projects.map(|p| world.id_text("projects", p)).collect::<Vec<_>>(),
        })),
    )
}

fn api_user(world: &World, i: usize) -> Value {
    world.make(
        "ApiUser",
        world.id("users", i),
        object(json!({
            "name": (["BI Export", "Time Clock"][i]),
            "roleId": if i == 0 { Value::Null } else { world.id_text("roles", 3).into() },
            "clientId": (["bi-export", "time-clock"][i]),
        })),
    )
}

const REGIONS: [(&str, &str, &str, &str, &str); 4] = [
    ("Hamburg", "DE", "Germany", "DE-HH", "Hamburg"),
    ("München", "DE", "Germany", "DE-BY", "Bayern"),
    ("Wien", "AT", "Austria", "AT-9", "Wien"),
    ("London", "GB", "United Kingdom", "GB-ENG", "England"),
];

fn region(world: &World, i: usize) -> Value {
    let (name, code, country, location_code, location) = REGIONS[i];
    let users = (0..world.sizes.users).filter(|u| u % 4 == i && *u >= API_USERS);
    let holiday = |(day, name, local): (&str, &str, &str)| json!({"date": format!("2026-{day}T00:00:00Z"), "name": name, "localName": local});
    let holidays = [
        ("01-01", "New Year's Day", "Neujahr"),
        ("05-01", "Labour Day", "Tag der Arbeit"),
        ("12-25", "Christmas Day", "Erster Weihnachtstag"),
    ];
    world.make(
        "AbsenceRegionModelWithHolidayDetails",
        world.id("absence_regions", i),
        object(json!({
            "name": name, "countryCode": code, "country": country,
            "locationCode": location_code, "location": location, "isDefault": i == 0,
            "numberOfPublicHolidays": holidays.len(),
            "publicHolidays": holidays.map(holiday),
            "assignedUsers": users.map(|u| world.id_text("users", u)).collect::<Vec<_>>(),
        })),
    )
}

/// Ranges are inclusive and rounded to midnight, noon or the last second of a day.
fn absence(world: &World, i: usize) -> Value {
    let chance = &mut world.chance("absences", i);
    let id = world.id("absences", i);
    let user = i % (world.sizes.users - GONE);
    let from = world.today() + chance.within(-420, 120) * DAY;
    let days = *chance.pick(&[1, 1, 2, 5, 10, 15]);
    let (half_start, half_end) = (chance.percent(8), days > 1 && chance.percent(8));
    let end = if half_end { 12 * HOUR } else { DAY - SECOND };
    let start = if half_start { from + 12 * HOUR } else { from };
    let end = from + (days - 1) * DAY + end;
    let synced = chance.percent(20);
    world.make(
        "Absence",
        id,
        object(json!({
            "userId": world.id_text("users", user.max(API_USERS * usize::from(i > 1))),
            "startOn": clock::instant(start),
            "endOn": clock::instant(end),
            "description": chance.pick(&[json!("Urlaub"), json!(null), json!("krank"),
                json!("Überstundenabbau"), json!("")]),
            "externalProvider": if synced { json!("hr-sync-4711") } else { Value::Null },
            "isReadOnly": synced,
            "deletedOn": null,
            "deletedBy": null,
            "isHalfDayOnStart": half_start,
            "isHalfDayOnEnd": half_end,
        })),
    )
}

fn holiday(world: &World, i: usize) -> Value {
    let region = (!i.is_multiple_of(3)).then_some(i % 4);
    let day = clock::days(2026, 1 + i as i64, [1, 6, 8, 3, 1, 14, 7, 15, 20, 3, 1, 24][i]);
    let half = i == 11;
    let end = if half { 12 * HOUR } else { DAY - SECOND };
    world.make(
        "WorkspaceAbsenceModel",
        world.id("workspace_absences", i),
        object(json!({
            "startOn": clock::instant(day * DAY),
            "endOn": clock::instant(day * DAY + end),
            "description": (["Betriebsferien", "Feiertag", "Team-Offsite 🏕"][i % 3]),
            "regionId": region.map(|r| world.id_text("absence_regions", r)),
            "region": region.map(|r| REGIONS[r].0),
            "isHalfDayOnStart": false,
            "isHalfDayOnEnd": half,
        })),
    )
}

/// The weekly capacity of a user, in seconds.
pub(crate) fn capacity(world: &World, user: usize) -> Value {
    let id = world.id("users", user);
    let part_time = user.is_multiple_of(4);
    let hours = if part_time { [6, 6, 6, 0, 0, 0, 0] } else { [8, 8, 8, 8, 8, 0, 0] };
    let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let week: serde_json::Map<String, Value> =
        names.iter().zip(hours).map(|(day, h)| ((*day).into(), (h * 3600).into())).collect();
    world.make(
        "UserCapacity",
        part(id, "capacity", 0),
        object(json!({
            "userId": guid::show(id),
            "weeklyCapacity": week,
            "capacityPerWeek": hours.iter().sum::<i64>() * 3600,
        })),
    )
}

/// What a user can work on a weekday (0 = Monday), in seconds.
pub(crate) fn capacity_on(user: usize, weekday: i64) -> i64 {
    match (user.is_multiple_of(4), weekday) {
        (true, 0..=2) => 6 * 3600,
        (false, 0..=4) => 8 * 3600,
        _ => 0,
    }
}
