//! How many rows each table has at a scale. Ids are numbered from these counts, so that a
//! reference can be drawn before the row it points at is made.

/// The number of rows of every table that others refer to.
#[derive(Debug, Clone)]
pub(crate) struct Sizes {
    pub(crate) entries: usize,
    pub(crate) users: usize,
    pub(crate) companies: usize,
    pub(crate) projects: usize,
    /// Project tasks, followed by the private ones.
    pub(crate) tasks: usize,
    pub(crate) private_tasks: usize,
}

/// Workflows share their statuses among all projects that follow them.
pub(crate) const WORKFLOWS: usize = 3;
pub(crate) const PROJECT_STATUSES: usize = 5;
pub(crate) const TASK_STATUSES: usize = 6;
/// Statuses of private tasks, which belong to no workflow.
pub(crate) const PRIVATE_STATUSES: usize = 3;
pub(crate) const TASK_LISTS: usize = 4;
/// Keys of the API; their users come first in the table of users.
pub(crate) const API_USERS: usize = 2;
pub(crate) const TAGS: usize = 6;
/// Each type of custom field once for tasks and once for projects.
pub(crate) const CUSTOM_FIELDS: usize = 25;
pub(crate) const OPTIONS: usize = 4;

impl Sizes {
    /// The sizes of a workspace with this many time entries.
    pub(crate) fn of(entries: usize) -> Sizes {
        let projects = (entries / 250).clamp(40, 2000);
        let users = (entries / 2500).clamp(24, 400);
        Sizes {
            entries,
            users,
            companies: (projects / 3).clamp(24, 500),
            projects,
            tasks: (entries / 10).clamp(200, 100_000),
            private_tasks: users * 2,
        }
    }

    /// The number of rows of a table by its name; 0 for one that nothing refers to.
    pub(crate) fn of_table(&self, table: &str) -> usize {
        match table {
            "users" => self.users,
            "companies" => self.companies,
            "projects" => self.projects,
            "tasks" => self.tasks,
            "types_of_work" => super::words::TYPES_OF_WORK.len(),
            "project_types" => super::words::PROJECT_TYPES.len(),
            "teams" => super::words::TEAMS.len(),
            "workflows" => WORKFLOWS,
            "project_statuses" => WORKFLOWS * PROJECT_STATUSES,
            "task_statuses" => WORKFLOWS * TASK_STATUSES + PRIVATE_STATUSES,
            "task_lists" => self.projects * TASK_LISTS,
            "roles" => 5,
            "project_roles" => 4,
            "company_tags" | "project_tags" | "task_tags" | "user_tags" => TAGS,
            "custom_fields" => CUSTOM_FIELDS,
            "selection_options" => CUSTOM_FIELDS * OPTIONS,
            "api_users" => API_USERS,
            "absence_regions" => 4,
            "project_templates" => 4,
            "task_bundles" => 4,
            "task_templates" => 16,
            "template_lists" => 8,
            "document_spaces" => 4,
            "documents" => 16 + self.projects,
            "filters" => 9,
            "webhooks" => 3,
            "workspaces" => 1,
            "milestones" => self.projects * 2,
            "time_bookings" => self.users * 8,
            "task_schedules" => (self.tasks / 10).clamp(50, 5000),
            "absences" => self.users * 6,
            "workspace_absences" => 12,
            "time_reports" => 6,
            "dashboards" => 2,
            "client_applications" => 3,
            "temporary_files" => 2,
            "settings" => 3,
            _ => 0,
        }
    }
}
