-- Reports: views over the foreign tables of one schema. Each is made of a name, a comment, the
-- comments on its columns and a query, in which %1$I is the schema of the foreign tables, %2$I that
-- of the reports, %3$L the time zone, %4$s and %5$s the first and last day of the calendar, and
-- %6$s, %7$s and %8$s the custom fields of a project with its rate, fixed price and cost.

-- The expression that has the number in a custom field of the project `project`, from a column that
-- was imported for it, or else from the list custom_fields.
CREATE FUNCTION awork_fdw_project_field(source_schema name, field_name text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    projects regclass := to_regclass(format('%I.projects', source_schema));
    definitions uuid[];
    types text[];
    column_name name;
    column_type regtype;
BEGIN
    IF field_name IS NULL THEN
        RETURN 'NULL::numeric';
    END IF;
    SELECT attname, atttypid INTO column_name, column_type
    FROM pg_attribute
    WHERE attrelid = projects AND attname = field_name AND attnum > 0 AND NOT attisdropped;
    IF column_name IS NULL THEN
        EXECUTE format(
            'SELECT array_agg(id), array_agg(type) FROM %I.custom_field_definitions'
            ' WHERE entity = ''project'' AND name = $1', source_schema)
            INTO definitions, types USING field_name;
        IF definitions IS NULL THEN
            RAISE EXCEPTION 'custom field "%" does not exist among those of projects', field_name
                USING ERRCODE = 'undefined_object',
                      HINT = format('SELECT name, type FROM %I.custom_field_definitions WHERE '
                                    'entity = ''project'' lists them.', source_schema);
        ELSIF cardinality(definitions) > 1 THEN
            RAISE EXCEPTION '% custom fields of projects are named "%"',
                cardinality(definitions), field_name
                USING ERRCODE = 'ambiguous_column',
                      HINT = 'Give the name of a column of the table of projects instead.';
        END IF;
        SELECT attname, atttypid INTO column_name, column_type
        FROM pg_attribute
        WHERE attrelid = projects AND NOT attisdropped
          AND format('custom_field=%s', definitions[1]) = ANY (attfdwoptions);
    END IF;
    IF column_name IS NOT NULL THEN
        IF (SELECT typcategory FROM pg_type WHERE oid = column_type) <> 'N' THEN
            RAISE EXCEPTION 'column "%" of the table of projects has type %, which is no number',
                column_name, column_type
                USING ERRCODE = 'datatype_mismatch';
        END IF;
        RETURN format('(project.%I)::numeric', column_name);
    END IF;
    IF types[1] IS DISTINCT FROM 'number' THEN
        RAISE EXCEPTION 'custom field "%" of projects has type %, which is no number', field_name, types[1]
            USING ERRCODE = 'datatype_mismatch';
    END IF;
    -- The text of a JSON null is null, while the JSON null itself is no number.
    RETURN format(
        '(jsonb_path_query_first(project.custom_fields, %L) #>> ''{}'')::numeric',
        format('$[*] ? (@.customFieldDefinitionId == "%s").numberValue', definitions[1]));
END
$function$;

COMMENT ON FUNCTION awork_fdw_project_field(name, text) IS
    'How a report reads a number from a custom field of projects; see awork_fdw_create_reports.';

CREATE FUNCTION awork_fdw_create_reports(
    source_schema name,
    target_schema name,
    time_zone text DEFAULT NULL,
    first_day date DEFAULT NULL,
    days_ahead integer DEFAULT 90,
    hourly_rate_field text DEFAULT NULL,
    fixed_price_field text DEFAULT NULL,
    hourly_cost_field text DEFAULT NULL)
    RETURNS TABLE (report name, comment text, left_out_because text)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    zone text := coalesce(time_zone, current_setting('TimeZone'));
    today text := format('(now() AT TIME ZONE %L)::date', zone);
    first_shown text := CASE WHEN first_day IS NULL
        THEN format('(date_trunc(''year'', now() AT TIME ZONE %L) - interval ''1 year'')::date', zone)
        ELSE format('%L::date', first_day) END;
    last_shown text := format('(%s + %s)', today, days_ahead);
    rate text;
    price text;
    cost text;
    definition record;
    column_comment record;
BEGIN
    -- What is wrong with these would else be found by each query, or by no one.
    PERFORM quote_ident(source_schema)::regnamespace, quote_ident(target_schema)::regnamespace,
            now() AT TIME ZONE zone;
    rate := @extschema@.awork_fdw_project_field(source_schema, hourly_rate_field);
    price := @extschema@.awork_fdw_project_field(source_schema, fixed_price_field);
    cost := @extschema@.awork_fdw_project_field(source_schema, hourly_cost_field);

    FOR definition IN
        SELECT * FROM (VALUES

('tracked_time',
 'Tracked time: one row per time entry, with client, project, task, person and type of work.',
 $comments$ {
    "day": "The working day: the day of the start in the time zone in which the time was tracked. A condition on it is sent to awork.",
    "started_at": "Start, an instant; null for entries of a mere duration.",
    "ended_at": "End, an instant; null while the timer runs and for entries of a mere duration.",
    "person_id": "Whose time it is; null where the user has been deleted.",
    "client_id": "The client of the project; null where there is none.",
    "project_id": "The project; null for time on private tasks or on nothing.",
    "task_id": "The task; null for time on a project as a whole or on nothing.",
    "note": "What was done, in the person's words.",
    "hours": "Tracked time in hours, not rounded; null while the timer runs.",
    "is_billable": "Whether the time is to be charged.",
    "is_billed": "Whether the time has been charged already.",
    "is_running": "Whether the timer still runs; running_timers has how long."
 } $comments$,
 $query$
SELECT entry.id AS entry_id,
       entry.start_date_local::date AS day,
       entry.started_at,
       entry.ended_at,
       entry.user_id AS person_id,
       nullif(concat_ws(' ', btrim(entry.user_first_name), btrim(entry.user_last_name)), '') AS person,
       entry.project_company_id AS client_id,
       entry.project_company_name AS client,
       entry.project_id,
       entry.project_name AS project,
       entry.task_id,
       entry.task_name AS task,
       entry.type_of_work_id,
       entry.type_of_work_name AS type_of_work,
       entry.note,
       CASE WHEN NOT entry.is_running THEN entry.duration / 3600.0 END AS hours,
       entry.is_billable,
       entry.is_billed,
       entry.is_running
FROM %1$I.time_entries AS entry
 $query$),

('unbilled_hours',
 'Billable time that has not been billed: one row per client, and one for time without a client.',
 $comments$ {
    "client_id": "The client; null for projects without one.",
    "hours": "Billable hours not yet billed, of timers that have stopped.",
    "entries": "Number of time entries.",
    "projects": "Number of projects.",
    "first_day": "Working day of the oldest of these entries.",
    "last_day": "Working day of the newest of these entries."
 } $comments$,
 $query$
SELECT entry.project_company_id AS client_id,
       max(entry.project_company_name) AS client,
       sum(entry.duration) / 3600.0 AS hours,
       count(*) AS entries,
       count(DISTINCT entry.project_id) AS projects,
       min(entry.start_date_local)::date AS first_day,
       max(entry.start_date_local)::date AS last_day
FROM %1$I.time_entries AS entry
WHERE entry.is_billable AND entry.is_billed IS NOT TRUE AND NOT entry.is_running
GROUP BY entry.project_company_id
 $query$),

('running_timers',
 'Timers that run now: one row per time entry that has been started and not stopped.',
 $comments$ {
    "person_id": "Whose timer it is; null where the user has been deleted.",
    "started_at": "Start, an instant.",
    "is_on_break": "Whether a break has begun and not ended.",
    "break_hours": "Length of the breaks so far in hours, one that has not ended up to now.",
    "hours": "Hours from the start up to now without the breaks."
 } $comments$,
 $query$
SELECT entry.id AS entry_id,
       entry.user_id AS person_id,
       nullif(concat_ws(' ', btrim(entry.user_first_name), btrim(entry.user_last_name)), '') AS person,
       entry.project_company_name AS client,
       entry.project_id,
       entry.project_name AS project,
       entry.task_id,
       entry.task_name AS task,
       entry.type_of_work_name AS type_of_work,
       entry.note,
       entry.is_billable,
       entry.started_at,
       breaks.is_on_break,
       breaks.seconds / 3600.0 AS break_hours,
       (extract(epoch FROM now() - entry.started_at) - breaks.seconds) / 3600.0 AS hours
FROM %1$I.time_entries AS entry
CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(pause ->> 'endDate' IS NULL AND pause ->> 'duration' IS NULL), false) AS is_on_break,
           coalesce(sum(coalesce(
               (pause ->> 'duration')::numeric,
               extract(epoch FROM coalesce((pause ->> 'endDate')::timestamptz, now())
                                  - (pause ->> 'startDate')::timestamptz))), 0) AS seconds
    FROM jsonb_array_elements(entry.breaks) AS pause) AS breaks
WHERE entry.is_running
 $query$),

('project_budgets',
 'Time budgets and how far they are used: one row per project, also where it has no budget.',
 $comments$ {
    "client_id": "The client; null where the project has none.",
    "status_type": "Kind of the project's status: not-started, progress, stuck or closed; the set may grow.",
    "is_retainer": "Whether the budget comes by month; retainer_periods has those.",
    "budget_hours": "Budget in hours; null where the project has none.",
    "tracked_hours": "All tracked time of the project in hours.",
    "non_billable_hours": "The part of tracked_hours that is not to be charged.",
    "counts_non_billable": "Whether time that is not billable counts against the budget too.",
    "used_hours": "Hours that count against the budget: all or the billable ones, as counts_non_billable says.",
    "remaining_hours": "Budget less used hours, negative where it is overspent; null without a budget.",
    "share_used": "Used hours as a share of the budget, 1 where it is used up; null without a budget.",
    "start_day": "The day the project starts; null where none is set.",
    "due_day": "The day the project is due; null where none is set.",
    "closed_on": "When the project was closed, an instant; null while it is open."
 } $comments$,
 $query$
SELECT project.id AS project_id,
       project.name AS project,
       project.company_id AS client_id,
       project.company_name AS client,
       project.project_status_type AS status_type,
       project.is_retainer,
       project.time_budget / 3600.0 AS budget_hours,
       usage.tracked / 3600.0 AS tracked_hours,
       usage.non_billable / 3600.0 AS non_billable_hours,
       project.deduct_non_billable_hours AS counts_non_billable,
       usage.counted / 3600.0 AS used_hours,
       (project.time_budget - usage.counted) / 3600.0 AS remaining_hours,
       usage.counted::numeric / nullif(project.time_budget, 0) AS share_used,
       (project.start_date AT TIME ZONE 'UTC')::date AS start_day,
       (project.due_date AT TIME ZONE 'UTC')::date AS due_day,
       project.closed_on
FROM %1$I.projects AS project
LEFT JOIN (
    SELECT entry.project_id, sum(entry.duration) AS seconds
    FROM %1$I.time_entries AS entry
    WHERE entry.is_billable IS NOT TRUE AND NOT entry.is_running
    GROUP BY entry.project_id) AS unpaid ON unpaid.project_id = project.id
CROSS JOIN LATERAL (
    SELECT coalesce(project.tracked_duration, 0) AS tracked,
           coalesce(unpaid.seconds, 0) AS non_billable,
           coalesce(project.tracked_duration, 0)
           - CASE WHEN project.deduct_non_billable_hours THEN 0 ELSE coalesce(unpaid.seconds, 0) END
               AS counted) AS usage
 $query$),

('retainer_periods',
 'Budgets of retainers: one row per project and period, with what is used of it.',
 $comments$ {
    "client_id": "The client; null where the project has none.",
    "period_start": "First day of the period: the day whose midnight in UTC is nearest to its start.",
    "period_end": "Last day of the period. An end at midnight is that after the last day, or the one before it where the period would else be a day short of a month.",
    "is_current": "Whether today, in the time zone of the reports, lies in the period.",
    "budget_hours": "Budget of the period in hours, with what was carried over from the one before.",
    "used_hours": "Hours that count against the budget: all or the billable ones, as the project has it.",
    "remaining_hours": "Budget less used hours, negative where it is overspent.",
    "share_used": "Used hours as a share of the budget, 1 where it is used up; null where the budget is 0."
 } $comments$,
 $query$
SELECT project.id AS project_id,
       project.name AS project,
       project.company_id AS client_id,
       project.company_name AS client,
       period.period_start,
       period.period_end,
       (now() AT TIME ZONE %3$L)::date BETWEEN period.period_start AND period.period_end AS is_current,
       period.budget / 3600.0 AS budget_hours,
       period.used / 3600.0 AS used_hours,
       (period.budget - period.used) / 3600.0 AS remaining_hours,
       period.used / nullif(period.budget, 0) AS share_used
FROM %1$I.retainers AS retainer
JOIN %1$I.projects AS project ON project.id = retainer.project_id
CROSS JOIN LATERAL jsonb_array_elements(retainer.retainer_budgets) AS budget
-- awork does not say in which zone periods begin at midnight, nor whether the end is the first instant after a
-- period, its last second, or the midnight before its last day. The nearest midnight in UTC is the right one for
-- zones from UTC-11 to UTC+11. Periods are months, so an end at a midnight which is one day short of a month is
-- that of the last day.
CROSS JOIN LATERAL (
    SELECT ((budget ->> 'startDate')::timestamptz AT TIME ZONE 'UTC' + interval '12 hours')::date AS first_day,
           (budget ->> 'endDate')::timestamptz AT TIME ZONE 'UTC' AS end_on,
           ((budget ->> 'endDate')::timestamptz AT TIME ZONE 'UTC' + interval '12 hours')::date AS end_day) AS bound
CROSS JOIN LATERAL (
    SELECT bound.first_day AS period_start,
           CASE WHEN bound.end_on = date_trunc('minute', bound.end_on)
                     AND bound.end_day = (bound.first_day + interval '1 month' - interval '1 day')::date
                THEN bound.end_day
                ELSE bound.end_day - 1 END AS period_end,
           (budget ->> 'timeBudget')::numeric AS budget,
           (budget ->> 'trackedDuration')::numeric AS used) AS period
 $query$),

('planned_by_project',
 'Planned against tracked time: one row per project.',
 $comments$ {
    "client_id": "The client; null where the project has none.",
    "status_type": "Kind of the project's status: not-started, progress, stuck or closed; the set may grow.",
    "tasks": "Number of tasks.",
    "tasks_done": "Number of tasks that are done.",
    "planned_hours": "Planned time of task lists and tasks in hours; null where nothing is planned.",
    "tracked_hours": "Tracked time in hours, also on the project as a whole.",
    "remaining_hours": "Planned less tracked hours, negative where more was tracked.",
    "share_tracked": "Tracked as a share of planned hours, 1 where they are equal; null where nothing is planned."
 } $comments$,
 $query$
SELECT project.id AS project_id,
       project.name AS project,
       project.company_id AS client_id,
       project.company_name AS client,
       project.project_status_type AS status_type,
       project.tasks_count AS tasks,
       project.tasks_done_count AS tasks_done,
       project.total_planned_duration_with_hierarchy / 3600.0 AS planned_hours,
       coalesce(project.tracked_duration, 0) / 3600.0 AS tracked_hours,
       (project.total_planned_duration_with_hierarchy - coalesce(project.tracked_duration, 0)) / 3600.0
           AS remaining_hours,
       coalesce(project.tracked_duration, 0)::numeric
           / nullif(project.total_planned_duration_with_hierarchy, 0) AS share_tracked
FROM %1$I.projects AS project
 $query$),

('planned_by_task',
 'Planned against tracked time: one row per task of a project. Time of subtasks is in their own rows only, so that rows add up.',
 $comments$ {
    "client": "The client of the project; null where it has none.",
    "status_type": "Kind of the task's status: todo, progress, review, stuck or done; the set may grow.",
    "is_subtask": "Whether the task is part of another one.",
    "assignees": "Names of the people that the task is assigned to; null where there are none.",
    "planned_hours": "Planned time of the task itself in hours; 0 where nothing is planned.",
    "tracked_hours": "Tracked time of the task itself in hours.",
    "remaining_hours": "Planned less tracked hours, negative where more was tracked.",
    "share_tracked": "Tracked as a share of planned hours, 1 where they are equal; null where nothing is planned."
 } $comments$,
 $query$
SELECT task.id AS task_id,
       task.name AS task,
       task.project_id,
       task.project_name AS project,
       task.project_company_name AS client,
       task.task_status_name AS status,
       task.task_status_type AS status_type,
       task.is_subtask,
       (SELECT string_agg(concat_ws(' ', btrim(person ->> 'firstName'), btrim(person ->> 'lastName')), ', ')
        FROM jsonb_array_elements(task.assignees) AS person) AS assignees,
       coalesce(task.planned_duration, 0) / 3600.0 AS planned_hours,
       coalesce(task.tracked_duration, 0) / 3600.0 AS tracked_hours,
       (coalesce(task.planned_duration, 0) - coalesce(task.tracked_duration, 0)) / 3600.0 AS remaining_hours,
       coalesce(task.tracked_duration, 0)::numeric / nullif(task.planned_duration, 0) AS share_tracked
FROM %1$I.tasks AS task
WHERE task.base_type = 'projecttask'
 $query$),

('planned_by_assignee',
 'Planned against tracked time: one row per task of a project and person who is assigned to it or tracked time on it.',
 $comments$ {
    "person_id": "The person; null for time planned for nobody, and tracked by users who have been deleted.",
    "is_assigned": "Whether the person is assigned to the task.",
    "planned_hours": "Effort planned for the person in hours; where nobody is assigned, that of the task.",
    "tracked_hours": "Time that the person tracked on the task in hours.",
    "remaining_hours": "Planned less tracked hours, negative where more was tracked."
 } $comments$,
 $query$
SELECT work.task_id,
       max(work.task) AS task,
       work.project_id,
       max(work.project) AS project,
       work.person_id,
       max(work.person) AS person,
       bool_or(work.is_assigned) AS is_assigned,
       sum(work.planned) / 3600.0 AS planned_hours,
       sum(work.tracked) / 3600.0 AS tracked_hours,
       (sum(work.planned) - sum(work.tracked)) / 3600.0 AS remaining_hours
FROM (
    SELECT task.id AS task_id,
           task.name AS task,
           task.project_id,
           task.project_name AS project,
           (person ->> 'id')::uuid AS person_id,
           nullif(concat_ws(' ', btrim(person ->> 'firstName'), btrim(person ->> 'lastName')), '') AS person,
           person IS NOT NULL AS is_assigned,
           coalesce(CASE WHEN person IS NULL THEN task.planned_duration
                         ELSE (person ->> 'plannedEffort')::integer END, 0) AS planned,
           0 AS tracked
    FROM %1$I.tasks AS task
    LEFT JOIN LATERAL jsonb_array_elements(task.assignees) AS person ON true
    WHERE task.base_type = 'projecttask' AND (person IS NOT NULL OR task.planned_duration > 0)
    UNION ALL
    SELECT entry.task_id,
           entry.task_name,
           entry.project_id,
           entry.project_name,
           entry.user_id,
           nullif(concat_ws(' ', btrim(entry.user_first_name), btrim(entry.user_last_name)), ''),
           false,
           0,
           coalesce(entry.duration, 0)
    FROM %1$I.time_entries AS entry
    WHERE entry.task_id IS NOT NULL AND entry.project_id IS NOT NULL AND NOT entry.is_running) AS work
GROUP BY work.task_id, work.project_id, work.person_id
 $query$),

('open_tasks',
 'Tasks that are not done, of projects that are not closed: one row per task.',
 $comments$ {
    "client": "The client of the project; null where it has none.",
    "status_type": "Kind of the task's status: todo, progress, review or stuck; the set may grow.",
    "is_prio": "Whether the task is marked as a priority.",
    "assignees": "Names of the people that the task is assigned to; null where there are none.",
    "due_on": "When the task is due, an instant; null where no date is set.",
    "due_day": "The day on which the task is due, in the time zone of the reports.",
    "is_overdue": "Whether the due day is before today.",
    "days_overdue": "Days since the due day; null where the task is not overdue.",
    "planned_hours": "Planned time of the task itself in hours; 0 where nothing is planned.",
    "tracked_hours": "Tracked time of the task itself in hours."
 } $comments$,
 $query$
SELECT task.id AS task_id,
       task.name AS task,
       task.project_id,
       task.project_name AS project,
       task.project_company_name AS client,
       task.task_status_name AS status,
       task.task_status_type AS status_type,
       task.is_prio,
       (SELECT string_agg(concat_ws(' ', btrim(person ->> 'firstName'), btrim(person ->> 'lastName')), ', ')
        FROM jsonb_array_elements(task.assignees) AS person) AS assignees,
       task.due_on,
       due.day AS due_day,
       coalesce(due.day < due.today, false) AS is_overdue,
       CASE WHEN due.day < due.today THEN due.today - due.day END AS days_overdue,
       coalesce(task.planned_duration, 0) / 3600.0 AS planned_hours,
       coalesce(task.tracked_duration, 0) / 3600.0 AS tracked_hours
FROM %1$I.tasks AS task
CROSS JOIN LATERAL (
    SELECT (task.due_on AT TIME ZONE %3$L)::date AS day,
           (now() AT TIME ZONE %3$L)::date AS today) AS due
WHERE task.base_type = 'projecttask'
  AND task.task_status_type IS DISTINCT FROM 'done'
  AND task.project_status_type IS DISTINCT FROM 'closed'
 $query$),

('overdue_tasks',
 'Open tasks whose due day is before today, one row per task; asks awork for tasks that are due only.',
 $comments$ {
    "client": "The client of the project; null where it has none.",
    "status_type": "Kind of the task's status: todo, progress, review or stuck; the set may grow.",
    "is_prio": "Whether the task is marked as a priority.",
    "assignees": "Names of the people that the task is assigned to; null where there are none.",
    "due_on": "When the task was due, an instant.",
    "due_day": "The day on which the task was due, in the time zone of the reports.",
    "days_overdue": "Days since the due day.",
    "planned_hours": "Planned time of the task itself in hours; 0 where nothing is planned.",
    "tracked_hours": "Tracked time of the task itself in hours."
 } $comments$,
 $query$
SELECT task.task_id, task.task, task.project_id, task.project, task.client, task.status, task.status_type,
       task.is_prio, task.assignees, task.due_on, task.due_day, task.days_overdue, task.planned_hours,
       task.tracked_hours
FROM %2$I.open_tasks AS task
WHERE task.due_on < (date_trunc('day', now() AT TIME ZONE %3$L) AT TIME ZONE %3$L)
 $query$),

('absence_days',
 'Days off: one row per person and calendar day, weekends included, from absences, company-wide days off and the public holidays of the person''s region.',
 $comments$ {
    "first_half": "Whether the first half of the day is off.",
    "second_half": "Whether the second half of the day is off.",
    "days": "1 for a whole day, 0.5 for half of one.",
    "reasons": "What makes the day a day off: absence, company, public holiday; several where they coincide."
 } $comments$,
 $query$
SELECT off.person_id,
       calendar.day::date AS day,
       bool_or(half.first_half) AS first_half,
       bool_or(half.second_half) AS second_half,
       (bool_or(half.first_half)::integer + bool_or(half.second_half)::integer) / 2.0 AS days,
       array_agg(DISTINCT off.reason ORDER BY off.reason) AS reasons
FROM (
    SELECT absence.user_id AS person_id,
           absence.start_on AT TIME ZONE 'UTC' AS start_on,
           absence.end_on AT TIME ZONE 'UTC' AS end_on,
           absence.is_half_day_on_start,
           absence.is_half_day_on_end,
           'absence' AS reason
    FROM %1$I.absences AS absence
    WHERE absence.deleted_on IS NULL
    UNION ALL
    SELECT person.id,
           company.start_on AT TIME ZONE 'UTC',
           company.end_on AT TIME ZONE 'UTC',
           company.is_half_day_on_start,
           company.is_half_day_on_end,
           'company'
    FROM %1$I.workspace_absences AS company
    JOIN %1$I.users AS person ON person.show_archived
    WHERE company.region_id IS NULL
    UNION ALL
    SELECT member.id::uuid,
           company.start_on AT TIME ZONE 'UTC',
           company.end_on AT TIME ZONE 'UTC',
           company.is_half_day_on_start,
           company.is_half_day_on_end,
           'company'
    FROM %1$I.workspace_absences AS company
    JOIN %1$I.absence_regions AS region ON region.id = company.region_id
    CROSS JOIN LATERAL jsonb_array_elements_text(region.assigned_users) AS member(id)
    UNION ALL
    SELECT member.id::uuid,
           (holiday ->> 'date')::timestamp,
           (holiday ->> 'date')::timestamp,
           false,
           false,
           'public holiday'
    FROM %1$I.absence_region_details AS region
    CROSS JOIN LATERAL jsonb_array_elements(region.public_holidays) AS holiday
    CROSS JOIN LATERAL jsonb_array_elements_text(region.assigned_users) AS member(id)) AS off
CROSS JOIN LATERAL generate_series(
    date_trunc('day', off.start_on), date_trunc('day', off.end_on), interval '1 day') AS calendar(day)
-- On a single day the first flag means the first half of it, of several days the second half of the
-- first day; and the other way round for the other flag.
CROSS JOIN LATERAL (
    SELECT CASE WHEN off.start_on::date = off.end_on::date
                THEN off.is_half_day_on_start IS TRUE OR off.is_half_day_on_end IS NOT TRUE
                ELSE calendar.day::date > off.start_on::date OR off.is_half_day_on_start IS NOT TRUE
           END AS first_half,
           CASE WHEN off.start_on::date = off.end_on::date
                THEN off.is_half_day_on_end IS TRUE OR off.is_half_day_on_start IS NOT TRUE
                ELSE calendar.day::date < off.end_on::date OR off.is_half_day_on_end IS NOT TRUE
           END AS second_half) AS half
GROUP BY off.person_id, calendar.day
 $query$),

('people',
 'People with their working time per week: one row per person who has any set, also of those who left. Keys of the API, agents and people of connected workspaces are left out.',
 $comments$ {
    "first_day": "The day on which the person's account was made, in the time zone of the reports.",
    "last_day": "The day on which it was deactivated or deleted; where it is archived or deactivated without a date, that of its last change; null while it is in use.",
    "hours_per_week": "Working time of a week in hours, as it is set now.",
    "weekly_capacity": "Working time per day of the week in seconds, as an object from mon to sun."
 } $comments$,
 $query$
SELECT person.id AS person_id,
       nullif(concat_ws(' ', btrim(person.first_name), btrim(person.last_name)), '') AS person,
       (person.created_on AT TIME ZONE %3$L)::date AS first_day,
       (least(CASE WHEN person.is_deactivated OR person.is_archived
                   THEN coalesce(person.deactivated_on, person.updated_on) END, person.deleted_on)
        AT TIME ZONE %3$L)::date AS last_day,
       week.seconds / 3600.0 AS hours_per_week,
       capacity.weekly_capacity
FROM %1$I.users AS person
JOIN %1$I.user_capacities AS capacity ON capacity.user_id = person.id
CROSS JOIN LATERAL (
    SELECT sum(day.seconds::numeric) AS seconds
    FROM jsonb_each_text(capacity.weekly_capacity) AS day(name, seconds)) AS week
WHERE person.show_archived
  -- Each is a request. Without this, the capacities are those of all users who are not archived.
  AND capacity.user_id = ANY (ARRAY(
      SELECT listed.id
      FROM %1$I.users AS listed
      WHERE listed.show_archived
        AND listed.is_external IS NOT TRUE
        AND listed.is_agent IS NOT TRUE
        AND NOT EXISTS (SELECT FROM %1$I.api_users AS key WHERE key.id = listed.id)))
  AND week.seconds > 0
 $query$),

('capacity_days',
 'Working time that people have: one row per person and day on which they have any, by the week that is set for them now, in the days from first_day to days_ahead of awork_fdw_create_reports.',
 $comments$ {
    "day": "The day; none before the first_day that was given to awork_fdw_create_reports is shown.",
    "capacity_hours": "Working time of that day of the week in hours.",
    "absent_hours": "The part of it that is off; see absence_days.",
    "available_hours": "Capacity less absence in hours."
 } $comments$,
 $query$
SELECT person.person_id,
       person.person,
       calendar.day::date AS day,
       work.seconds / 3600.0 AS capacity_hours,
       work.seconds * coalesce(off.days, 0) / 3600.0 AS absent_hours,
       work.seconds * (1 - coalesce(off.days, 0)) / 3600.0 AS available_hours
FROM %2$I.people AS person
CROSS JOIN LATERAL generate_series(
    greatest(%4$s, person.first_day)::timestamp,
    least(%5$s, person.last_day)::timestamp,
    interval '1 day') AS calendar(day)
CROSS JOIN LATERAL (
    SELECT (person.weekly_capacity ->> to_char(calendar.day, 'dy'))::numeric AS seconds) AS work
LEFT JOIN %2$I.absence_days AS off ON off.person_id = person.person_id AND off.day = calendar.day::date
WHERE work.seconds > 0
 $query$),

('booking_days',
 'What the planner has people booked for: one row per booking and day. The time of a booking is spread evenly over those of its days on which the person has working time, or over all of them where there are none.',
 $comments$ {
    "project_id": "The project; null for bookings without one.",
    "description": "Text of the booking; null where there is none.",
    "hours": "Booked hours of the day."
 } $comments$,
 $query$
SELECT spread.booking_id,
       spread.person_id,
       spread.project_id,
       spread.description,
       spread.day,
       spread.seconds / spread.days / 3600.0 AS hours
FROM (
    SELECT booking.id AS booking_id,
           booking.user_id AS person_id,
           booking.project_id,
           booking.description,
           calendar.day::date AS day,
           booking.duration::numeric AS seconds,
           work.is_workday,
           bool_or(work.is_workday) OVER booked AS has_workdays,
           CASE WHEN bool_or(work.is_workday) OVER booked
                THEN count(*) FILTER (WHERE work.is_workday) OVER booked
                ELSE count(*) OVER booked END AS days
    FROM %1$I.time_bookings AS booking
    CROSS JOIN LATERAL generate_series(
        booking.start_date::timestamp, booking.end_date::timestamp, interval '1 day') AS calendar(day)
    LEFT JOIN %2$I.people AS person ON person.person_id = booking.user_id
    CROSS JOIN LATERAL (
        SELECT coalesce((person.weekly_capacity ->> to_char(calendar.day, 'dy'))::numeric > 0, false)
            AS is_workday) AS work
    WINDOW booked AS (PARTITION BY booking.id)) AS spread
WHERE spread.is_workday OR NOT spread.has_workdays
 $query$),

('utilisation_by_day',
 'Working time, absence, tracked and booked time: one row per person and day that has any of them, in the days from first_day to days_ahead of awork_fdw_create_reports.',
 $comments$ {
    "person_id": "The person; null for time of users who have been deleted.",
    "day": "The day; of tracked time the working day. None before the first_day that was given to awork_fdw_create_reports is shown. A condition on it is sent to awork.",
    "capacity_hours": "Working time of that day of the week in hours, by the week that is set now.",
    "absent_hours": "The part of it that is off, as in absence_days.",
    "available_hours": "Capacity less absence in hours.",
    "tracked_hours": "Tracked time in hours, running timers left out.",
    "billable_hours": "The part of tracked_hours that is to be charged.",
    "booked_hours": "Time booked in the planner in hours, as in booking_days.",
    "utilisation": "Tracked as a share of available hours, 1 where they are equal; null where none are available.",
    "billable_utilisation": "Billable as a share of available hours; null where none are available."
 } $comments$,
 $query$
SELECT work.person_id,
       max(work.person) AS person,
       work.day,
       sum(work.capacity) AS capacity_hours,
       sum(work.absent) AS absent_hours,
       sum(work.available) AS available_hours,
       sum(work.tracked) / 3600.0 AS tracked_hours,
       sum(work.billable) / 3600.0 AS billable_hours,
       sum(work.booked) AS booked_hours,
       sum(work.tracked) / 3600.0 / nullif(sum(work.available), 0) AS utilisation,
       sum(work.billable) / 3600.0 / nullif(sum(work.available), 0) AS billable_utilisation
FROM (
    SELECT capacity.person_id,
           capacity.person,
           capacity.day,
           capacity.capacity_hours AS capacity,
           capacity.absent_hours AS absent,
           capacity.available_hours AS available,
           0 AS tracked,
           0 AS billable,
           0::numeric AS booked
    FROM %2$I.capacity_days AS capacity
    UNION ALL
    SELECT entry.user_id,
           nullif(concat_ws(' ', btrim(entry.user_first_name), btrim(entry.user_last_name)), ''),
           entry.start_date_local::date,
           0, 0, 0,
           coalesce(entry.duration, 0),
           CASE WHEN entry.is_billable THEN coalesce(entry.duration, 0) ELSE 0 END,
           0
    FROM %1$I.time_entries AS entry
    WHERE NOT entry.is_running
      AND entry.start_date_local >= %4$s
      AND entry.start_date_local <= %5$s
    UNION ALL
    SELECT booking.person_id, NULL, booking.day, 0, 0, 0, 0, 0, booking.hours
    FROM %2$I.booking_days AS booking
    WHERE booking.day BETWEEN %4$s AND %5$s) AS work
GROUP BY work.person_id, work.day
 $query$),

('utilisation_by_week',
 'Working time, absence, tracked and booked time: one row per person and week that has any of them, in the days from first_day to days_ahead of awork_fdw_create_reports.',
 $comments$ {
    "person_id": "The person; null for time of users who have been deleted.",
    "week": "Monday of the week. Days before the first_day that was given to awork_fdw_create_reports are not counted, even of that week. Of tracked time, only the weeks that satisfy a condition on it are asked for, each by itself.",
    "capacity_hours": "Working time in hours, by the week that is set now.",
    "absent_hours": "The part of it that is off, as in absence_days.",
    "available_hours": "Capacity less absence in hours.",
    "tracked_hours": "Tracked time in hours, running timers left out.",
    "billable_hours": "The part of tracked_hours that is to be charged.",
    "booked_hours": "Time booked in the planner in hours, as in booking_days.",
    "utilisation": "Tracked as a share of available hours, 1 where they are equal; null where none are available.",
    "billable_utilisation": "Billable as a share of available hours; null where none are available."
 } $comments$,
 $query$
SELECT work.person_id,
       max(work.person) AS person,
       work.week,
       sum(work.capacity) AS capacity_hours,
       sum(work.absent) AS absent_hours,
       sum(work.available) AS available_hours,
       sum(work.tracked) / 3600.0 AS tracked_hours,
       sum(work.billable) / 3600.0 AS billable_hours,
       sum(work.booked) AS booked_hours,
       sum(work.tracked) / 3600.0 / nullif(sum(work.available), 0) AS utilisation,
       sum(work.billable) / 3600.0 / nullif(sum(work.available), 0) AS billable_utilisation
FROM (
    SELECT capacity.person_id,
           capacity.person,
           date_trunc('week', capacity.day::timestamp)::date AS week,
           capacity.capacity_hours AS capacity,
           capacity.absent_hours AS absent,
           capacity.available_hours AS available,
           0::bigint AS tracked,
           0::bigint AS billable,
           0::numeric AS booked
    FROM %2$I.capacity_days AS capacity
    UNION ALL
    SELECT tracked.person_id, tracked.person, calendar.week::date, 0, 0, 0, tracked.seconds, tracked.billable, 0
    FROM generate_series(
        date_trunc('week', %4$s::timestamp), %5$s::timestamp, interval '1 week') AS calendar(week)
    -- Per week, so that a condition on the week decides which ones awork is asked for.
    CROSS JOIN LATERAL (
        SELECT entry.user_id AS person_id,
               max(nullif(concat_ws(' ', btrim(entry.user_first_name), btrim(entry.user_last_name)), '')) AS person,
               coalesce(sum(entry.duration), 0) AS seconds,
               coalesce(sum(entry.duration) FILTER (WHERE entry.is_billable), 0) AS billable
        FROM %1$I.time_entries AS entry
        WHERE NOT entry.is_running
          AND entry.start_date_local >= greatest(calendar.week, %4$s)
          AND entry.start_date_local <= least(calendar.week + interval '6 days', %5$s)
        GROUP BY entry.user_id) AS tracked
    UNION ALL
    SELECT booking.person_id, NULL, date_trunc('week', booking.day::timestamp)::date, 0, 0, 0, 0, 0, booking.hours
    FROM %2$I.booking_days AS booking
    WHERE booking.day BETWEEN %4$s AND %5$s) AS work
GROUP BY work.person_id, work.week
 $query$),

('profitability',
 'Revenue of projects by the rate or fixed price in their custom fields: one row per project.',
 $comments$ {
    "client_id": "The client; null where the project has none.",
    "status_type": "Kind of the project's status: not-started, progress, stuck or closed; the set may grow.",
    "tracked_hours": "Tracked time in hours, running timers left out.",
    "billable_hours": "The part of tracked_hours that is to be charged.",
    "billed_hours": "The part of billable_hours that has been charged.",
    "hourly_rate": "Rate per hour from the custom field; null where it is empty or none was named.",
    "fixed_price": "Fixed price from the custom field; null where it is empty or none was named.",
    "revenue": "The fixed price, or else billable hours at the rate; null where the project has neither.",
    "revenue_per_hour": "Revenue per tracked hour; null where nothing is tracked.",
    "cost": "Tracked hours at the cost per hour from the custom field; null where it is empty or none was named.",
    "margin": "Revenue less cost.",
    "margin_share": "Margin as a share of the revenue."
 } $comments$,
 $query$
SELECT project.id AS project_id,
       project.name AS project,
       project.company_id AS client_id,
       project.company_name AS client,
       project.project_status_type AS status_type,
       hours.tracked AS tracked_hours,
       hours.billable AS billable_hours,
       hours.billed AS billed_hours,
       field.rate AS hourly_rate,
       field.price AS fixed_price,
       money.revenue,
       money.revenue / nullif(hours.tracked, 0) AS revenue_per_hour,
       money.cost,
       money.revenue - money.cost AS margin,
       (money.revenue - money.cost) / nullif(money.revenue, 0) AS margin_share
FROM %1$I.projects AS project
LEFT JOIN (
    SELECT entry.project_id,
           sum(entry.duration) AS tracked,
           sum(entry.duration) FILTER (WHERE entry.is_billable) AS billable,
           sum(entry.duration) FILTER (WHERE entry.is_billable AND entry.is_billed) AS billed
    FROM %1$I.time_entries AS entry
    WHERE entry.project_id IS NOT NULL AND NOT entry.is_running
    GROUP BY entry.project_id) AS work ON work.project_id = project.id
CROSS JOIN LATERAL (
    SELECT coalesce(work.tracked, 0) / 3600.0 AS tracked,
           coalesce(work.billable, 0) / 3600.0 AS billable,
           coalesce(work.billed, 0) / 3600.0 AS billed) AS hours
CROSS JOIN LATERAL (SELECT %6$s AS rate, %7$s AS price, %8$s AS cost) AS field
CROSS JOIN LATERAL (
    SELECT coalesce(field.price, hours.billable * field.rate) AS revenue,
           hours.tracked * field.cost AS cost) AS money
 $query$)

        ) AS definitions (name, comment, column_comments, query)
    LOOP
        report := definition.name;
        comment := definition.comment;
        left_out_because := NULL;
        BEGIN
            IF report = 'profitability' AND hourly_rate_field IS NULL AND fixed_price_field IS NULL THEN
                RAISE undefined_column
                    USING MESSAGE = 'neither hourly_rate_field nor fixed_price_field names a custom field';
            END IF;
            EXECUTE format('CREATE OR REPLACE VIEW %I.%I AS ', target_schema, definition.name)
                || format(definition.query, source_schema, target_schema, zone, first_shown, last_shown,
                          rate, price, cost);
            EXECUTE format('COMMENT ON VIEW %I.%I IS %L', target_schema, definition.name, definition.comment);
            FOR column_comment IN SELECT * FROM jsonb_each_text(definition.column_comments::jsonb) LOOP
                EXECUTE format('COMMENT ON COLUMN %I.%I.%I IS %L', target_schema, definition.name,
                               column_comment.key, column_comment.value);
            END LOOP;
        EXCEPTION WHEN undefined_table OR undefined_column THEN
            left_out_because := SQLERRM
                || CASE WHEN to_regclass(format('%I.%I', target_schema, definition.name)) IS NULL THEN ''
                        ELSE '; the view of that name in the schema is left as it was' END;
        END;
        RETURN NEXT;
    END LOOP;
END
$function$;

COMMENT ON FUNCTION awork_fdw_create_reports(name, name, text, date, integer, text, text, text) IS
    'Creates views with the usual reports in a schema over the foreign tables of another one, and lists them.';
