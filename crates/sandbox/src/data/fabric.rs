//! Fills a model of the catalogue: what a caller gives is kept, everything else follows from
//! the property's name and type. No property is written that the model does not have.

use awork_api::catalogue::{Model, Property, Type};
use serde_json::{Map, Value, json};

use super::clock::{self, DAY, HOUR, MINUTE, SECOND, Ticks};
use super::guid;
use super::seed::{self, Chance};
use super::words;
use super::world::World;

/// How deep models nest before a list is left empty; the catalogue's models may be cyclic.
const DEEPEST: usize = 4;

/// The JSON object that callers give to [`World::make`].
pub(crate) type Object = Map<String, Value>;

/// Turns the result of `json!({...})` into the object it is.
pub(crate) fn object(value: Value) -> Object {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The table whose rows a property of this name refers to.
pub(crate) fn table_of(property: &str) -> Option<&'static str> {
    Some(match property {
        "userId"
        | "createdBy"
        | "updatedBy"
        | "closedBy"
        | "deletedBy"
        | "executingUserId"
        | "triggeredByUserId"
        | "assignedUserId"
        | "unassignedUserId"
        | "memberId"
        | "userIdValue"
        | "movedToTrashBy"
        | "rootDocumentCreatedBy"
        | "userIds"
        | "assigneeIds"
        | "assignedUsers"
        | "usersFilter" => "users",
        "projectId" | "projectIds" | "linkedProjectIds" | "projectsFilter" => "projects",
        "taskId" | "predecessorId" | "successorId" => "tasks",
        "companyId" | "clientIdValue" | "projectCompaniesFilter" => "companies",
        "typeOfWorkId" | "typesOfWorkFilter" => "types_of_work",
        "projectTypeId" | "projectTypesFilter" => "project_types",
        "projectStatusId" => "project_statuses",
        "taskStatusId" => "task_statuses",
        "workflowId" => "workflows",
        "roleId" | "assignedRoleId" | "sameDomainSignupRoleId" => "roles",
        "projectRoleId" | "defaultProjectRoleId" => "project_roles",
        "projectTemplateId" | "createdByProjectTemplateId" => "project_templates",
        "taskTemplateId" | "predecessorTemplateId" | "successorTemplateId" => "task_templates",
        "taskBundleId" => "task_bundles",
        "documentId" | "inheritedWorkspaceAccessFromDocumentId" => "documents",
        "documentSpaceId" => "document_spaces",
        "teamId" | "projectTeamsFilter" | "userTeamsFilter" => "teams",
        "regionId" => "absence_regions",
        "customFieldDefinitionId" => "custom_fields",
        "webhookId" => "webhooks",
        "filterId" => "filters",
        "workspaceId" => "workspaces",
        "taskListId" | "primaryTaskListId" => "task_lists",
        _ => return None,
    })
}

/// The table whose rows a nested model shows where no sibling property names the row.
fn table_of_model(model: &str) -> Option<&'static str> {
    Some(match model.trim_start_matches("V2.") {
        "TypeOfWork" => "types_of_work",
        "ProjectSearchModel" | "ProjectEntity" => "projects",
        "CompanySearchModel" => "companies",
        "UserSearchModel" | "NestedUserModel" | "ConnectedUserModel" => "users",
        "TaskSearchModel" | "BaseTaskEntity" | "ParentTaskEntity" => "tasks",
        "TaskListSearchModel" => "task_lists",
        "TimeReportSearchModel" => "time_reports",
        "DocumentSearchModel" | "DocumentEntity" => "documents",
        "DocumentSpaceEntity" => "document_spaces",
        "TeamModel" | "TeamEntity" | "PermissionTeam" | "NestedTeamModel" => "teams",
        "DefaultTagModel" | "TaskTemplateTagModel" => "task_tags",
        "ProjectTypeEntity" => "project_types",
        "ProjectStatusEntity" => "project_statuses",
        "TaskStatusEntity" => "task_statuses",
        "TypeOfWorkEntity" => "types_of_work",
        "TaskListTemplate" => "template_lists",
        _ => return None,
    })
}

impl World {
    /// A row of `model` with this id: `given` where the model has it, the rest invented.
    pub(crate) fn make(&self, model: &str, id: u128, given: Object) -> Value {
        self.make_deep(model, id, given, 0)
    }

    fn make_deep(&self, model: &str, id: u128, mut given: Object, depth: usize) -> Value {
        let Some(shape) = self.catalogue.model(model) else {
            return Value::Object(given);
        };
        let mut row = Map::new();
        let nested = |p: &&Property| matches!(p.ty, Type::Model(_) | Type::List(_));
        if shape.property("createdOn").is_some() && !given.contains_key("createdOn") {
            let (created, updated) = self.history(id);
            given.insert("createdOn".into(), clock::instant(created).into());
            given.entry("updatedOn").or_insert_with(|| clock::instant(updated).into());
        }
        for property in shape.properties.iter().filter(|p| !nested(p)) {
            let value = match given.remove(&property.name) {
                Some(value) => value,
                None => self.scalar(model, property, id, &row, &given),
            };
            row.insert(property.name.clone(), value);
        }
        for property in shape.properties.iter().filter(nested) {
            let value = match given.remove(&property.name) {
                Some(value) => value,
                None => self.nested(model, property, id, &row, depth),
            };
            row.insert(property.name.clone(), value);
        }
        if depth == 0 && seed::mix(id as u64 ^ (id >> 64) as u64) & 1 == 0 {
            // Half of the rows leave null properties out, as captured answers do.
            row.retain(|_, value| !value.is_null());
        }
        Value::Object(row)
    }

    /// When a row was made and last changed.
    pub(crate) fn history(&self, id: u128) -> (Ticks, Ticks) {
        let mut chance = Chance::of_id(id, "history");
        let age = chance.within(30, 900) * DAY + chance.within(0, DAY);
        let created = ragged(self.now - age, &mut chance);
        let updated = match chance.below(3) {
            0 => created,
            _ => ragged(created + chance.within(SECOND, age), &mut chance),
        };
        (created, updated)
    }

    /// The id of a drawn row of the table; of an active person where it holds users.
    pub(crate) fn draw(&self, table: &'static str, chance: &mut Chance) -> Option<u128> {
        let count = self.sizes.of_table(table);
        if count == 0 {
            return None;
        }
        let number = match table {
            "users" => self.person(chance),
            _ => chance.below(count),
        };
        Some(guid::make(self.seed, table, number as u64))
    }

    fn scalar(&self, model: &str, p: &Property, id: u128, row: &Object, given: &Object) -> Value {
        let chance = &mut Chance::of_id(id, &p.name);
        let name = p.name.as_str();
        match &p.ty {
            Type::Uuid if name == "id" => guid::show(id).into(),
            Type::Uuid if name == "updatedBy" && chance.percent(6) => {
                guid::show(guid::SYSTEM_ACTOR).into()
            }
            Type::Uuid => self.reference(p, chance),
            Type::Text => self.text(model, p, chance, row, given),
            Type::Boolean => chance.percent(if name.starts_with("can") { 80 } else { 12 }).into(),
            Type::Integer | Type::Bigint if name == "resourceVersion" => {
                let updated = row.get("updatedOn").or(given.get("updatedOn"));
                let at = updated.and_then(Value::as_str).and_then(clock::parse);
                clock::version(at.unwrap_or(self.now) + chance.within(0, SECOND)).into()
            }
            Type::Integer | Type::Bigint => {
                if p.nullable && chance.percent(25) {
                    return Value::Null;
                }
                let lower = name.to_ascii_lowercase();
                if lower.contains("duration") || lower.contains("budget") {
                    (chance.within(1, 80) * 900).into()
                } else if name == "size" {
                    chance.within(1_000, 5_000_000_000).into()
                } else if name == "responseCode" {
                    (*chance.pick(&[200i64, 204, 500])).into()
                } else {
                    chance.within(0, 12).into()
                }
            }
            Type::Double => json!(chance.within(1, 4000) as f64 / 8.0),
            Type::Instant => self.moment(p, chance, given),
            Type::LocalTimestamp => clock::stamp(self.today() - chance.within(0, 300) * DAY).into(),
            Type::Date => {
                let day = self.now.div_euclid(DAY) + chance.within(-60, 60);
                let day = if name.starts_with("end") { day + 130 } else { day };
                clock::date(day).into()
            }
            Type::TimeOfDay | Type::Json | Type::Model(_) | Type::List(_) => Value::Null,
        }
    }

    fn reference(&self, p: &Property, chance: &mut Chance) -> Value {
        let optional = p.nullable && !matches!(p.name.as_str(), "createdBy" | "userId");
        if optional && chance.percent(40) {
            return Value::Null;
        }
        match table_of(&p.name).and_then(|table| self.draw(table, chance)) {
            Some(id) => guid::show(id).into(),
            None if p.nullable => Value::Null,
            None => guid::show(guid::make(chance.next(), &p.name, 0)).into(),
        }
    }

    fn text(
        &self,
        model: &str,
        p: &Property,
        chance: &mut Chance,
        row: &Object,
        given: &Object,
    ) -> Value {
        let name = p.name.as_str();
        let user = given.get("userId").or(row.get("userId")).and_then(Value::as_str);
        if matches!(name, "firstName" | "lastName")
            && let Some(user) = user.and_then(|id| self.row("users", id))
        {
            return user.get(name).cloned().unwrap_or(Value::Null);
        }
        if let Some(values) = words::values_of(model, name) {
            if p.nullable && chance.percent(20) {
                return Value::Null;
            }
            return (*chance.pick(values)).into();
        }
        match name {
            "name" => (*chance.pick(&words::TASKS)).into(),
            "firstName" => chance.pick(&words::PEOPLE).0.into(),
            "lastName" => chance.pick(&words::PEOPLE).1.into(),
            "clientId" => "awork-connector".into(),
            "displayName" => "BI-Anbindung \"Nord\"".into(),
            "value" => format!("Wert {}", chance.below(100)).into(),
            "uri" | "url" => "https://hooks.example.com/awork".into(),
            "field" => "name".into(),
            "signature" => "c2FuZGJveA==".into(),
            "type" => "other".into(),
            "message" => "Something is missing.".into(),
            _ if p.nullable => Value::Null,
            _ => (*chance.pick(&words::TAGS[2].1)).into(),
        }
    }

    fn moment(&self, p: &Property, chance: &mut Chance, given: &Object) -> Value {
        let name = p.name.as_str();
        let created = given.get("createdOn").and_then(Value::as_str).and_then(clock::parse);
        if matches!(name, "deletedOn" | "deactivatedOn" | "movedToTrashOn" | "birthDate")
            || (p.nullable && chance.percent(30))
        {
            return Value::Null;
        }
        let midnight = self.today() - chance.within(20, 200) * DAY;
        let at = match name {
            "updatedOn" => created.unwrap_or(midnight) + chance.within(0, 9 * DAY),
            "eventDate" => created.unwrap_or(midnight),
            _ if name.starts_with("end") || name.starts_with("due") => midnight + 240 * DAY,
            _ if name.ends_with("Date") || name.starts_with("start") => midnight,
            _ => ragged(midnight + chance.within(6 * HOUR, 18 * HOUR), chance),
        };
        clock::instant(at.min(self.now.max(midnight + 240 * DAY))).into()
    }

    fn nested(&self, model: &str, p: &Property, id: u128, row: &Object, depth: usize) -> Value {
        let chance = &mut Chance::of_id(id, &p.name);
        match &p.ty {
            Type::Model(inner) => {
                let sibling = format!("{}Id", p.name);
                let named = if row.contains_key(&sibling) {
                    let target = row.get(&sibling).and_then(Value::as_str);
                    match (target, table_of(&sibling)) {
                        (Some(target), Some(table)) => self.shown(table, target),
                        _ => return Value::Null,
                    }
                } else if p.name == "user" && row.contains_key("createdBy") {
                    row.get("createdBy")
                        .and_then(Value::as_str)
                        .and_then(|u| self.shown("users", u))
                } else {
                    table_of_model(inner)
                        .and_then(|table| self.shown(table, &guid::show(self.draw(table, chance)?)))
                };
                match (named, self.catalogue.model(inner)) {
                    (Some(full), Some(shape)) => self.trim(&full, shape),
                    _ if depth >= DEEPEST => Value::Null,
                    _ => self.make_deep(inner, part(id, &p.name, 0), Map::new(), depth + 1),
                }
            }
            Type::List(item) => {
                let count = if depth >= DEEPEST { 0 } else { chance.below(3) };
                let items = (0..count).filter_map(|i| match &**item {
                    Type::Model(inner) => {
                        let full = table_of_model(inner).and_then(|table| {
                            self.shown(table, &guid::show(self.draw(table, chance)?))
                        });
                        Some(match (full, self.catalogue.model(inner)) {
                            (Some(full), Some(shape)) => self.trim(&full, shape),
                            _ => {
                                let id = part(id, &p.name, i as u64);
                                self.make_deep(inner, id, Map::new(), depth + 1)
                            }
                        })
                    }
                    Type::Uuid => {
                        let table = table_of(&p.name)?;
                        self.draw(table, chance).map(|id| guid::show(id).into())
                    }
                    Type::Text => {
                        let values = words::values_of(model, &p.name)?;
                        Some((*chance.pick(values)).into())
                    }
                    _ => None,
                });
                let mut items: Vec<Value> = items.collect();
                items.dedup();
                items.into()
            }
            _ => Value::Null,
        }
    }

    /// What a nested model shows of a whole row.
    pub(crate) fn trim(&self, full: &Value, shape: &Model) -> Value {
        let mut row = Map::new();
        let id = full.get("id").and_then(Value::as_str).and_then(guid::parse).unwrap_or_default();
        for property in &shape.properties {
            let value = match (full.get(&property.name), &property.ty) {
                (Some(inner @ Value::Object(_)), Type::Model(name)) => {
                    self.catalogue.model(name).map(|shape| self.trim(inner, shape))
                }
                (Some(Value::Array(items)), Type::List(item)) => match &**item {
                    Type::Model(name) => self
                        .catalogue
                        .model(name)
                        .map(|shape| items.iter().map(|i| self.trim(i, shape)).collect()),
                    // Where only names are shown, objects shrink to theirs.
                    Type::Text => {
                        let name = |i: &Value| i.get("name").cloned().unwrap_or_else(|| i.clone());
                        Some(items.iter().map(name).collect())
                    }
                    _ => Some(Value::Array(items.clone())),
                },
                (Some(Value::Object(_) | Value::Array(_)), _) => None,
                (Some(value), Type::Model(_) | Type::List(_)) if !value.is_null() => None,
                (Some(value), _) => Some(value.clone()),
                (None, Type::Boolean) if !property.nullable => Some(false.into()),
                (None, Type::Integer) if !property.nullable => Some(0.into()),
                (None, Type::Uuid) if property.name == "entityId" => full.get("id").cloned(),
                (None, Type::Uuid) if property.name == "workspaceId" => {
                    Some(guid::show(guid::make(self.seed, "workspaces", 0)).into())
                }
                (None, Type::Instant) if !property.nullable => {
                    Some(clock::instant(self.history(id).1).into())
                }
                (None, Type::Text) if !property.nullable => Some("".into()),
                _ => None,
            };
            if let Some(value) = value {
                row.insert(property.name.clone(), value);
            }
        }
        Value::Object(row)
    }

    /// The model of this name, trimmed from a whole row; null where there is no such model.
    pub(crate) fn trim_to(&self, full: &Value, model: &str) -> Value {
        self.catalogue.model(model).map_or(Value::Null, |shape| self.trim(full, shape))
    }

    /// Midnight UTC of the fixed present day.
    pub(crate) fn today(&self) -> Ticks {
        self.now.div_euclid(DAY) * DAY
    }
}

/// The id of a nested object that belongs to a row.
pub(crate) fn part(id: u128, name: &str, number: u64) -> u128 {
    guid::make(Chance::of_id(id, name).next(), name, number)
}

/// Gives a point in time one of the fraction lengths that the service shows: none, two, three,
/// six or seven digits.
pub(crate) fn ragged(at: Ticks, chance: &mut Chance) -> Ticks {
    let unit = *chance.pick(&[1, 1, 1, 10, 10_000, 100_000, SECOND, MINUTE]);
    at.div_euclid(unit) * unit
}
