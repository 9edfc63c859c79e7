//! Tasks, kept compactly because there are many: those of projects first, grouped by project,
//! then the private ones. Their JSON is made when it is asked for.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::{Value, json};

use super::clock::{self, DAY, Ticks};
use super::fabric::{object, ragged};
use super::seed::Chance;
use super::sizes::{API_USERS, TASK_LISTS, TASK_STATUSES, WORKFLOWS};
use super::words::{self, TASKS, TYPES_OF_WORK};
use super::world::World;
use super::{business, guid, library};

/// A task; references are numbers of rows.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) id: u128,
    pub(crate) project: Option<u32>,
    /// Whose private task it is.
    pub(crate) owner: Option<u32>,
    pub(crate) created_by: u32,
    pub(crate) parent: Option<u32>,
    pub(crate) subtasks: u16,
    pub(crate) status: u16,
    pub(crate) type_of_work: u16,
    /// The number in the identifier, counted per project.
    pub(crate) number: u32,
    pub(crate) name: u16,
    pub(crate) planned: i32,
    pub(crate) tracked: i64,
    pub(crate) start_on: Option<Ticks>,
    pub(crate) due_on: Option<Ticks>,
    pub(crate) created: Ticks,
    pub(crate) updated: Ticks,
    pub(crate) closed: Option<Ticks>,
    pub(crate) assignees: Vec<u32>,
    pub(crate) list: Option<u32>,
    pub(crate) checklist: u8,
    pub(crate) checklist_done: u8,
    pub(crate) comments: u8,
    pub(crate) schedules: u16,
    pub(crate) tags: u8,
    pub(crate) prio: bool,
}

/// All tasks.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    pub(crate) rows: Vec<Task>,
    ids: HashMap<u128, u32>,
    projects: Vec<Range<usize>>,
}

impl Tasks {
    /// The place of the task with this id.
    pub(crate) fn place(&self, id: u128) -> Option<usize> {
        self.ids.get(&id).map(|i| *i as usize)
    }

    /// The places of a project's tasks.
    pub(crate) fn of_project(&self, project: usize) -> Range<usize> {
        self.projects.get(project).cloned().unwrap_or(0..0)
    }

    /// The places of the private tasks.
    pub(crate) fn private(&self) -> Range<usize> {
        self.projects.last().map_or(0, |r| r.end)..self.rows.len()
    }

    /// What was tracked on a task and on its subtasks.
    pub(crate) fn tracked_below(&self, place: usize) -> i64 {
        self.below(place).map(|t| t.tracked).sum()
    }

    /// What is planned for a task and its subtasks.
    fn planned_below(&self, place: usize) -> i64 {
        self.below(place).map(|t| i64::from(t.planned)).sum()
    }

    fn below(&self, place: usize) -> impl Iterator<Item = &Task> {
        let last = place + usize::from(self.rows[place].subtasks);
        self.rows[place..=last].iter()
    }
}

/// Invents all tasks. Subtasks follow their parent.
pub(crate) fn invent(world: &World) -> Tasks {
    let mut tasks = Tasks::default();
    let total = world.sizes.tasks;
    let count = world.sizes.projects;
    let mut next = 0;
    for project in 0..count {
        // Every project has a task; the rest is spread unevenly.
        let fair = total * (project + 1) / count;
        let here = if project + 1 == count { total } else { fair.max(next + 1).min(total) };
        let first = tasks.rows.len();
        let mut open_parent = None;
        for number in 0..here - next {
            let place = next + number;
            let chance = &mut world.chance("tasks", place);
            let parent = open_parent.filter(|_| chance.percent(45));
            if let Some(parent) = parent {
                let parent: &mut Task = &mut tasks.rows[parent as usize];
                parent.subtasks += 1;
            }
            let task = project_task(world, place, project, number, parent, chance);
            tasks.rows.push(task);
            if parent.is_none() {
                open_parent = chance.percent(30).then_some(place as u32);
            }
        }
        next = here;
        tasks.projects.push(first..tasks.rows.len());
    }
    for i in 0..world.sizes.private_tasks {
        tasks.rows.push(private_task(world, next + i, i));
    }
    tasks.ids = tasks.rows.iter().enumerate().map(|(i, t)| (t.id, i as u32)).collect();
    tasks
}

fn project_task(
    world: &World,
    place: usize,
    project: usize,
    number: usize,
    parent: Option<u32>,
    chance: &mut Chance,
) -> Task {
    let id = world.id("tasks", place);
    let (created, updated) = world.history(id);
    let closed_project = business::is_closed(world, project);
    let step =
        if closed_project || chance.percent(45) { 4 + chance.below(2) } else { chance.below(4) };
    let closed = (step >= 4).then(|| ragged(created + (world.now - created) / 3, chance));
    let members = business::members_of(world, project);
    let mut assignees: Vec<u32> = Vec::new();
    for _ in 0..chance.below(4) {
        let user = *chance.pick(&members) as u32;
        if !assignees.contains(&user) {
            assignees.push(user);
        }
    }
    let start = created.div_euclid(DAY) * DAY + chance.within(0, 30) * DAY;
    let due = start + chance.within(0, 60) * DAY;
    let checklist = if chance.percent(30) { chance.below(6) as u8 } else { 0 };
    let list = chance.below(TASK_LISTS + 1);
    Task {
        id,
        project: Some(project as u32),
        owner: None,
        created_by: world.person(chance) as u32,
        parent,
        subtasks: 0,
        status: ((project % WORKFLOWS) * TASK_STATUSES + step) as u16,
        type_of_work: chance.below(TYPES_OF_WORK.len()) as u16,
        number: number as u32 + 1,
        name: chance.below(usize::from(u16::MAX)) as u16,
        planned: if chance.percent(20) { 0 } else { (chance.within(1, 64) * 1800) as i32 },
        tracked: 0,
        start_on: chance.percent(60).then_some(start),
        due_on: chance.percent(70).then_some(due),
        created,
        updated: closed.map_or(updated, |c| c.max(updated)),
        closed,
        assignees,
        list: (list < TASK_LISTS).then_some((project * TASK_LISTS + list) as u32),
        checklist,
        checklist_done: chance.below(usize::from(checklist) + 1) as u8,
        comments: if chance.percent(25) { chance.below(5) as u8 } else { 0 },
        schedules: 0,
        tags: (chance.next() & chance.next() & 63) as u8,
        prio: chance.percent(15),
    }
}

/// Two for each user; every fifth was given to somebody else than its creator.
fn private_task(world: &World, place: usize, i: usize) -> Task {
    let id = world.id("tasks", place);
    let chance = &mut world.chance("private tasks", i);
    let (created, updated) = world.history(id);
    let owner = i / 2;
    let given_away = i % 10 == 1;
    let step = chance.below(3);
    let closed = (step == 2).then_some(updated);
    let to = if given_away { API_USERS + (owner + 1) % 16 } else { owner };
    Task {
        id,
        project: None,
        owner: Some(to as u32),
        created_by: owner as u32,
        parent: None,
        subtasks: 0,
        status: (WORKFLOWS * TASK_STATUSES + step) as u16,
        type_of_work: chance.below(TYPES_OF_WORK.len()) as u16,
        number: 0,
        name: chance.below(TASKS.len()) as u16,
        planned: 0,
        tracked: 0,
        start_on: None,
        due_on: chance.percent(50).then(|| world.today() + chance.within(-40, 30) * DAY),
        created,
        updated,
        closed,
        assignees: vec![to as u32],
        list: None,
        checklist: 1 + (i % 3) as u8,
        checklist_done: 0,
        comments: 0,
        schedules: 0,
        tags: (chance.next() & chance.next() & 63) as u8,
        prio: false,
    }
}

impl World {
    /// The name of a task.
    pub(crate) fn task_name(&self, task: &Task) -> String {
        let n = usize::from(task.name);
        let base = TASKS[n % TASKS.len()];
        match n / TASKS.len() % 5 {
            1 => format!("{base} – Teil {}", 1 + n % 3),
            2 => format!("{base} ({})", words::NOTES[n % 4]),
            _ => base.to_owned(),
        }
    }

    /// Project key and number, for a project's task.
    pub(crate) fn task_identifier(&self, task: &Task) -> Option<String> {
        task.project.map(|p| format!("{}-{}", business::key_of(p as usize), task.number))
    }

    /// What is drawn for a task when it is shown: its order, and its description.
    pub(crate) fn task_drawn(&self, task: &Task) -> (f64, Option<&'static str>) {
        let chance = &mut Chance::of_id(task.id, "row");
        let order = chance.within(1, 9000) as f64 / 4.0;
        let described = !chance.percent(30);
        (order, described.then(|| *chance.pick(&words::DESCRIPTIONS)))
    }

    /// The rows of a task's tags.
    pub(crate) fn task_tags(&self, task: &Task) -> impl Iterator<Item = &Value> + use<'_> {
        let tags = task.tags;
        let tags = (0..6).filter(move |t| tags & (1 << t) != 0);
        tags.filter_map(|t| self.row("task_tags", &self.id_text("task_tags", t)))
    }

    /// The whole JSON of a task.
    pub(crate) fn task_row(&self, place: usize) -> Value {
        let task = &self.tasks.rows[place];
        let instant = |at: Option<Ticks>| at.map(clock::instant);
        let id = guid::show(task.id);
        let parent = task.parent.map(|p| &self.tasks.rows[p as usize]);
        let project = task.project.map(|p| self.id_text("projects", p as usize));
        let project_row = project.as_deref().and_then(|id| self.row("projects", id));
        let status_id = self.id_text("task_statuses", usize::from(task.status));
        let type_id = self.id_text("types_of_work", usize::from(task.type_of_work));
        let (tracked, total) = (self.tasks.tracked_below(place), self.tasks.planned_below(place));
        let (order, description) = self.task_drawn(task);
        let given = json!({
            "name": self.task_name(task),
            "description": description,
            "isPrio": task.prio,
            "startOn": instant(task.start_on),
            "dueOn": instant(task.due_on),
            "plannedDuration": task.planned,
            "taskNumber": (task.number > 0).then_some(task.number),
            "taskIdentifier": self.task_identifier(task),
            "isExternal": false,
            "baseType": if task.project.is_some() { "projecttask" } else { "private" },
            "taskStatusId": status_id,
            "taskStatus": self.row("task_statuses", &status_id),
            "typeOfWorkId": type_id,
            "typeOfWork": self.row("types_of_work", &type_id)
                .map(|t| self.trim_to(t, "NestedTaskTypeModel")),
            "assignees": self.assignees(task),
            "projectId": project,
            "project": project_row.map(|p| self.trim_to(p, "NestedProjectModelForTasks")),
            "correlationId": parent.map_or(id, |p| guid::show(p.id)),
            "parentId": parent.map(|p| guid::show(p.id)),
            "parentTask": parent.map(|p| json!({
                "id": guid::show(p.id),
                "name": self.task_name(p),
                "createdBy": self.id_text("users", p.created_by as usize),
                "userId": null,
                "assigneeIds": p.assignees.iter().map(|u| self.id_text("users", *u as usize))
                    .collect::<Vec<_>>(),
            })),
            "isSubtask": parent.is_some(),
            "numberOfSubtasks": task.subtasks,
            "lists": self.task_lists(task, order),
            "entityId": project.clone()
                .or(task.owner.map(|u| self.id_text("users", u as usize))),
            "userId": task.owner.map(|u| self.id_text("users", u as usize)),
            "tags": self.task_tags(task).map(|t| self.trim_to(t, "TaskTagModel"))
                .collect::<Vec<_>>(),
            "createdOn": clock::instant(task.created),
            "createdBy": self.id_text("users", task.created_by as usize),
            "updatedOn": clock::instant(task.updated),
            "closedOn": instant(task.closed),
            "closedBy": task.closed.map(|_| self.id_text("users", task.created_by as usize)),
            "order": order,
            "subtaskOrder": parent.map(|_| order / 2.0),
            "createdFromTaskId": null,
            "isRecurring": task.name.is_multiple_of(25),
            "customFields": match task.project {
                Some(p) => library::custom_field_values(self, "task", task.id, p as usize),
                None => json!([]),
            },
            "trackedDuration": task.tracked,
            "totalTrackedDuration": tracked,
            "totalPlannedDuration": total,
            "checklistItemsDoneCount": task.checklist_done,
            "checklistItemsCount": task.checklist,
            "commentCount": task.comments,
            "taskSchedulesCount": task.schedules,
            "hasAttachment": true,
        });
        self.make("TaskModel", task.id, object(given))
    }

    /// The users that a task is assigned to, as it nests them.
    pub(crate) fn assignees(&self, task: &Task) -> Vec<Value> {
        let share = task.planned / task.assignees.len().max(1) as i32;
        let shown = |user: &u32| {
            let row = self.row("users", &self.id_text("users", *user as usize))?;
            let mut shown = self.trim_to(row, "NestedUserModelForTasks");
            if let Value::Object(shown) = &mut shown {
                shown.insert("plannedEffort".into(), share.into());
                shown.insert("isDistributedPlannedEffort".into(), true.into());
                shown.insert("updatedOn".into(), clock::instant(task.updated).into());
            }
            Some(shown)
        };
        task.assignees.iter().filter_map(shown).collect()
    }

    /// The list that a task is in, as it nests it.
    pub(crate) fn task_lists(&self, task: &Task, order: f64) -> Vec<Value> {
        let row =
            task.list.and_then(|l| self.row("task_lists", &self.id_text("task_lists", l as usize)));
        let shown = row.map(|list| {
            let mut shown = self.trim_to(list, "TaskOrderList");
            if let Value::Object(shown) = &mut shown {
                shown.insert("orderOfTask".into(), json!(order + 0.5));
            }
            shown
        });
        shown.into_iter().collect()
    }
}
