--
-- The reports: figures worked out by hand over ordinary tables of the same shape, and a run over the
-- sandbox.
--
\set url `echo "$AWORK_SANDBOX_URL"`
SET client_min_messages = error;
SET datestyle = 'ISO';
-- Compiling the queries takes longer than running them.
SET jit = off;
CREATE SERVER reports FOREIGN DATA WRAPPER awork_fdw OPTIONS (api_url :'url');
CREATE USER MAPPING FOR CURRENT_USER SERVER reports OPTIONS (api_key 'awork-sandbox-key');
CREATE SCHEMA sandbox;
IMPORT FOREIGN SCHEMA awork FROM SERVER reports INTO sandbox;

-- the same tables, which hold what is inserted below; what is not given is null
CREATE SCHEMA desk;
DO $$
DECLARE
    name text;
    required text;
BEGIN
    FOREACH name IN ARRAY ARRAY['absence_region_details', 'absence_regions', 'absences', 'api_users',
        'custom_field_definitions', 'projects', 'retainers', 'tasks', 'time_bookings', 'time_entries',
        'user_capacities', 'users', 'workspace_absences'] LOOP
        EXECUTE format('CREATE TABLE desk.%1$I (LIKE sandbox.%1$I)', name);
        FOR required IN SELECT attname FROM pg_attribute
            WHERE attrelid = format('desk.%I', name)::regclass AND attnotnull AND attnum > 0 LOOP
            EXECUTE format('ALTER TABLE desk.%I ALTER %I DROP NOT NULL', name, required);
        END LOOP;
    END LOOP;
END $$;

-- Identities: letters tell the tables apart, a1 is Ada's.
CREATE FUNCTION id(name text) RETURNS uuid LANGUAGE sql IMMUTABLE
    RETURN (lpad(translate(name, 'pteobrcfk', '123456789'), 8, '0') || '-0000-4000-8000-000000000000')::uuid;

-- Ada works five days of eight hours, Ben three of six, Cleo left on Wednesday, 25 March 2026, Dora was
-- deleted in 2025. Emil is archived and Frieda deactivated, but awork does not say when, so their time ends
-- with the last change of their accounts, Tuesday, 24 March in Berlin. A key of the API, an agent and a guest of another workspace are no people to plan for.
INSERT INTO desk.users (id, first_name, last_name, created_on, is_archived, is_deactivated, deactivated_on, deleted_on,
                        updated_on, is_agent, is_external, show_archived) VALUES
    (id('a1'), 'Ada', 'Grün ', '2025-01-01 00:00Z', false, false, NULL, NULL, '2026-03-20 12:00Z', false, false, true),
    (id('a2'), 'Ben', NULL, '2025-01-01 00:00Z', false, false, '2025-06-01 00:00Z', NULL, '2026-03-20 12:00Z', false, false, true),
    (id('a3'), 'Cleo', 'Rot', '2025-01-01 00:00Z', true, true, '2026-03-25 12:00Z', NULL, '2026-03-30 12:00Z', false, false, true),
    (id('a4'), 'Dora', 'Blau', '2025-01-01 00:00Z', true, true, '2025-11-01 00:00Z', '2025-11-02 00:00Z', '2026-03-30 12:00Z', false, false, true),
    (id('a5'), 'Emil', 'Gelb', '2026-03-23 08:00Z', true, false, NULL, NULL, '2026-03-23 23:30Z', false, false, true),
    (id('a6'), 'Frieda', 'Lila', '2026-03-23 08:00Z', false, true, NULL, NULL, '2026-03-23 23:30Z', false, false, true),
    (id('a7'), 'BI', '(API Client)', '2025-01-01 00:00Z', false, false, NULL, NULL, NULL, false, false, true),
    (id('a8'), 'Agent', NULL, '2025-01-01 00:00Z', false, false, NULL, NULL, NULL, true, false, true),
    (id('a9'), 'Guest', NULL, '2025-01-01 00:00Z', false, false, NULL, NULL, NULL, false, true, true);
INSERT INTO desk.api_users (id, name) VALUES (id('a7'), 'BI');
INSERT INTO desk.user_capacities (user_id, weekly_capacity)
    SELECT id(name), week::jsonb FROM unnest(ARRAY['a1', 'a3', 'a4', 'a5', 'a6', 'a7', 'a8', 'a9']) AS name,
        (VALUES ('{"mon": 28800, "tue": 28800, "wed": 28800, "thu": 28800, "fri": 28800, "sat": 0, "sun": 0}')) AS w(week)
    UNION ALL
    SELECT id('a2'), '{"mon": 21600, "tue": 21600, "wed": 21600, "thu": 0, "fri": 0, "sat": 0, "sun": 0}';

-- Projects. Hours tracked on them are those of the entries below.
INSERT INTO desk.projects (id, name, company_id, company_name, project_status_type, is_retainer, time_budget,
                           deduct_non_billable_hours, tracked_duration, tasks_count, tasks_done_count,
                           total_planned_duration_with_hierarchy, closed_on, due_date, custom_fields) VALUES
    -- 10 h of budget; only billable hours count: 7.75 tracked, 2 of them not billable
    (id('p1'), 'Website', id('c1'), 'Nord AG', 'progress', false, 36000, false, 27900, 3, 1, 46800, NULL, '2026-03-29 00:00Z',
     jsonb_build_array(jsonb_build_object('customFieldDefinitionId', id('f1'), 'numberValue', 90),
                       jsonb_build_object('customFieldDefinitionId', id('f2'), 'numberValue', NULL),
                       jsonb_build_object('customFieldDefinitionId', id('f3'), 'numberValue', 50.5))),
    -- 2 h of budget; all hours count: 1 + 1.5 + 0.5
    (id('p2'), 'App', id('c1'), 'Nord AG', 'progress', false, 7200, true, 10800, 0, 0, NULL, NULL, NULL,
     jsonb_build_array(jsonb_build_object('customFieldDefinitionId', id('f1'), 'numberValue', 90),
                       jsonb_build_object('customFieldDefinitionId', id('f2'), 'numberValue', 1000))),
    -- closed, without a client, a budget or a rate
    (id('p3'), 'Archive', NULL, NULL, 'closed', false, NULL, false, 3600, 1, 0, 0, '2026-01-31 12:00Z', NULL, '[]'),
    -- nothing tracked yet, which awork may say by null; a budget of nothing
    (id('p4'), 'Idea', id('c2'), 'Süd GmbH', 'not-started', false, 0, false, NULL, 0, 0, NULL, NULL, NULL, NULL),
    (id('p5'), 'Support', id('c2'), 'Süd GmbH', 'progress', true, NULL, false, 0, 0, 0, NULL, NULL, NULL, '[]');
INSERT INTO desk.custom_field_definitions (id, entity, name, type) VALUES
    (id('f1'), 'project', 'Stundensatz €', 'number'), (id('f4'), 'task', 'Stundensatz €', 'number'),
    (id('f2'), 'project', 'Festpreis', 'number'), (id('f3'), 'project', 'Kosten', 'number'),
    (id('f5'), 'project', 'Twice', 'number'), (id('f6'), 'project', 'Twice', 'text'),
    (id('f7'), 'project', 'Auftragsnummer', 'text');

-- Clocks in Berlin are put forward on 29 March 2026 at 2:00 (+01) and back on 25 October at 3:00 (+02).
INSERT INTO desk.time_entries (id, user_id, user_first_name, user_last_name, project_id, project_name,
    project_company_id, project_company_name, task_id, task_name, type_of_work_name, start_date_local,
    start_date_utc, started_at, ended_at, duration, is_billable, is_billed, is_running, breaks) VALUES
    -- over midnight: all of it on the day of the start
    (id('e1'), id('a1'), 'Ada', 'Grün ', id('p1'), 'Website', id('c1'), 'Nord AG', id('t1'), 'Design', 'Design',
     '2026-03-28', '2026-03-28Z', '2026-03-28 23:00+01', '2026-03-29 01:30+01', 9000, true, false, false, '[]'),
    -- from 1:30 to 3:30 by the clock, which is an hour
    (id('e2'), id('a1'), 'Ada', 'Grün ', id('p1'), 'Website', id('c1'), 'Nord AG', id('t1'), 'Design', 'Design',
     '2026-03-29', '2026-03-29Z', '2026-03-29 01:30+01', '2026-03-29 03:30+02', 3600, true, true, false, '[]'),
    -- still the day before in UTC
    (id('e3'), id('a1'), 'Ada', 'Grün ', id('p1'), 'Website', id('c1'), 'Nord AG', NULL, NULL, 'Meeting',
     '2026-03-29', '2026-03-28Z', '2026-03-29 00:15+01', '2026-03-29 00:30+01', 900, true, false, false, '[]'),
    -- from 2:30 to 2:30 by the clock, which is an hour
    (id('e4'), id('a2'), 'Ben', NULL, id('p2'), 'App', id('c1'), 'Nord AG', NULL, NULL, 'Meeting',
     '2026-10-25', '2026-10-25Z', '2026-10-25 02:30+02', '2026-10-25 02:30+01', 3600, true, false, false, '[]'),
    -- by a user who was deleted; by a mere duration; not billable
    (id('e5'), NULL, NULL, NULL, id('p1'), 'Website', id('c1'), 'Nord AG', id('t1'), 'Design', 'Design',
     '2026-03-24', '2026-03-24Z', NULL, NULL, 7200, false, false, false, '[]'),
    (id('e6'), id('a2'), 'Ben', NULL, id('p2'), 'App', id('c1'), 'Nord AG', NULL, NULL, 'Design',
     '2026-03-23', '2026-03-23Z', NULL, NULL, 5400, false, false, false, '[]'),
    -- on a closed project without a client; on nothing at all
    (id('e7'), id('a3'), 'Cleo', 'Rot', id('p3'), 'Archive', NULL, NULL, id('t4'), 'Old', 'Design',
     '2026-03-25', '2026-03-25Z', '2026-03-25 09:00+01', '2026-03-25 10:00+01', 3600, true, false, false, '[]'),
    (id('e8'), id('a2'), 'Ben', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'Meeting',
     '2026-03-24', '2026-03-24Z', '2026-03-24 08:00+01', '2026-03-24 08:30+01', 1800, false, false, false, '[]'),
    -- by somebody who is not assigned; billed
    (id('e9'), id('a2'), 'Ben', NULL, id('p1'), 'Website', id('c1'), 'Nord AG', id('t2'), 'Texts', 'Text',
     '2026-03-30', '2026-03-30Z', '2026-03-30 08:00+02', '2026-03-30 10:00+02', 7200, true, true, false, '[]'),
    -- billable on a project where all hours count
    (id('e10'), id('a1'), 'Ada', 'Grün ', id('p2'), 'App', id('c1'), 'Nord AG', NULL, NULL, 'Text',
     '2026-04-02', '2026-04-02Z', '2026-04-02 08:00+02', '2026-04-02 08:30+02', 1800, true, false, false, '[]'),
    -- running, with a duration that awork keeps up to date
    (id('e11'), id('a1'), 'Ada', 'Grün ', id('p1'), 'Website', id('c1'), 'Nord AG', id('t1'), 'Design', 'Design',
     '2026-04-02', '2026-04-02Z', '2026-04-02 10:00+02', NULL, 999, true, false, true, '[]');

INSERT INTO desk.tasks (id, name, base_type, project_id, project_name, project_company_name, project_status_type,
    task_status_name, task_status_type, is_subtask, is_prio, planned_duration, tracked_duration, assignees) VALUES
    (id('t1'), 'Design', 'projecttask', id('p1'), 'Website', 'Nord AG', 'progress', 'Doing', 'progress', false, true, 21600, 19800,
     jsonb_build_array(jsonb_build_object('id', id('a1'), 'firstName', 'Ada', 'lastName', 'Grün ', 'plannedEffort', 14400),
                       jsonb_build_object('id', id('a2'), 'firstName', 'Ben', 'lastName', NULL, 'plannedEffort', 7200))),
    (id('t2'), 'Texts', 'projecttask', id('p1'), 'Website', 'Nord AG', 'progress', 'Open', 'todo', true, false, 18000, 7200, '[]'),
    (id('t3'), 'Kick-off', 'projecttask', id('p1'), 'Website', 'Nord AG', 'progress', 'Done', 'done', false, false, NULL, NULL, NULL),
    (id('t4'), 'Old', 'projecttask', id('p3'), 'Archive', NULL, 'closed', 'Open', 'todo', false, false, 0, 3600, NULL),
    (id('t5'), 'Private', 'private', NULL, NULL, NULL, NULL, 'Open', 'todo', false, false, 3600, 0, NULL);

-- Ada is away on the first half of Tuesday, 24 March, and from noon of Thursday to Friday; an absence that
-- was deleted and one on Saturday count for nothing. Ben is away from Monday to noon of Tuesday.
-- Everybody has the second half of Friday off, the region North also Wednesday, by the company.
-- Good Friday, 3 April, is a public holiday in the region North, and the company gives it off there too.
INSERT INTO desk.absences (user_id, start_on, end_on, is_half_day_on_start, is_half_day_on_end, deleted_on) VALUES
    (id('a1'), '2026-03-24 00:00Z', '2026-03-24 12:00Z', true, false, NULL),
    (id('a1'), '2026-03-26 12:00Z', '2026-03-27 23:59:59Z', true, false, NULL),
    (id('a1'), '2026-03-28 00:00Z', '2026-03-28 23:59:59Z', false, false, NULL),
    (id('a1'), '2026-03-23 00:00Z', '2026-03-23 23:59:59Z', false, false, '2026-03-01 00:00Z'),
    (id('a2'), '2026-03-23 00:00Z', '2026-03-24 12:00Z', false, true, NULL);
INSERT INTO desk.workspace_absences (region_id, start_on, end_on, is_half_day_on_start, is_half_day_on_end) VALUES
    (NULL, '2026-03-27 12:00Z', '2026-03-27 23:59:59Z', false, true),
    (id('r1'), '2026-03-25 00:00Z', '2026-03-25 23:59:59Z', false, false),
    (id('r1'), '2026-04-03 00:00Z', '2026-04-03 23:59:59Z', false, false);
INSERT INTO desk.absence_regions (id, assigned_users) VALUES
    (id('r1'), jsonb_build_array(id('a1'))), (id('r2'), jsonb_build_array(id('a2'))), (id('r3'), NULL);
INSERT INTO desk.absence_region_details (id, assigned_users, public_holidays)
    SELECT id, assigned_users, CASE WHEN id = id('r1') THEN
        '[{"date": "2026-04-03T00:00:00Z", "name": "Good Friday"}, {"date": "2026-04-06T00:00:00", "name": "Easter Monday"}]'::jsonb
        END FROM desk.absence_regions;

-- Twelve hours of Ada's from Thursday to Monday are four on each working day; six of Ben's on days on which he
-- does not work are three on each.
INSERT INTO desk.time_bookings (id, user_id, project_id, start_date, end_date, duration) VALUES
    (id('b1'), id('a1'), id('p1'), '2026-03-26', '2026-03-30', 43200),
    (id('b2'), id('a2'), NULL, '2026-03-26', '2026-03-27', 21600);

-- March from midnight to midnight in Berlin, over the change of clocks.
INSERT INTO desk.retainers (id, project_id, retainer_budgets) VALUES (id('k1'), id('p5'), '[
    {"startDate": "2026-02-28T23:00:00Z", "endDate": "2026-03-31T21:59:59Z", "timeBudget": 72000, "trackedDuration": 90000},
    {"startDate": "2026-03-31T22:00:00Z", "endDate": "2026-04-30T21:59:59Z", "timeBudget": 0, "trackedDuration": 0}]');
-- October, and November up to its 20th day, when the contract ends: in Berlin up to the last second and up to
-- the next midnight, the same in UTC, and in Los Angeles; October also up to the midnight before its last day.
INSERT INTO desk.retainers (id, project_id, retainer_budgets)
    SELECT id('k2'), id('p5'), jsonb_agg(jsonb_build_object('startDate', start_date, 'endDate', end_date,
                                                             'timeBudget', 36000, 'trackedDuration', 3600))
    FROM (VALUES ('2026-09-30T22:00:00Z', '2026-10-31T22:59:59Z'), ('2026-10-31T23:00:00Z', '2026-11-20T22:59:59Z'),
                 ('2026-09-30T22:00:00Z', '2026-10-31T23:00:00Z'), ('2026-10-31T23:00:00Z', '2026-11-20T23:00:00Z'),
                 ('2026-10-01T00:00:00Z', '2026-10-31T23:59:59Z'), ('2026-11-01T00:00:00Z', '2026-11-20T23:59:59Z'),
                 ('2026-10-01T00:00:00Z', '2026-11-01T00:00:00Z'), ('2026-11-01T00:00:00Z', '2026-11-21T00:00:00Z'),
                 ('2026-10-01T07:00:00Z', '2026-11-01T06:59:59.999Z'), ('2026-11-01T07:00:00Z', '2026-11-21T08:00:00Z'),
                 ('2026-10-01T00:00:00Z', '2026-10-31T00:00:00Z'), ('2026-09-30T22:00:00Z', '2026-10-30T23:00:00Z'))
        AS bounds (start_date, end_date);

CREATE SCHEMA figures;
SELECT report, left_out_because FROM awork_fdw_create_reports('desk', 'figures', time_zone => 'Europe/Berlin',
    first_day => '2026-01-01', days_ahead => 3650, hourly_rate_field => 'Stundensatz €',
    fixed_price_field => 'Festpreis', hourly_cost_field => 'Kosten');
SET search_path = figures, public;

-- The time zone of the session changes nothing.
SET timezone = 'America/New_York';

-- 28 March has the 2.5 h that began on it, 29 March 1 + 0.25 h; a running timer has no hours.
SELECT day, person, client, project, task, round(hours, 2) AS hours, is_billable, is_billed, is_running
FROM tracked_time ORDER BY day, hours, person;
-- all but the running timer: 9000 + 3600 + 900 + 3600 + 7200 + 5400 + 3600 + 1800 + 7200 + 1800 = 44100 s
SELECT round(sum(hours), 4) AS hours FROM tracked_time;
SELECT round(sum(hours), 2) AS hours FROM tracked_time WHERE day >= '2026-03-29' AND day < '2026-03-30';

-- Nord AG: 2.5 + 0.25 + 1 + 0.5; without a client: 1
SELECT client, round(hours, 2) AS hours, entries, projects, first_day, last_day FROM unbilled_hours ORDER BY client;

-- Website: 7.75 - 2 of 10; App: all 3 of 2; without a budget nothing remains; of a budget of 0 no share is used
SELECT project, round(budget_hours, 2) AS budget, round(tracked_hours, 2) AS tracked,
       round(non_billable_hours, 2) AS non_billable, counts_non_billable, round(used_hours, 2) AS used,
       round(remaining_hours, 2) AS remaining, round(share_used, 3) AS share_used, due_day
FROM project_budgets ORDER BY project;

-- 25 of 20 h. In whatever zone the midnights are, and whatever the end is, October ends on its 31st day and the
-- contract on the 20th of November.
SELECT project, period_start, period_end, round(budget_hours) AS budget, round(used_hours) AS used,
       round(remaining_hours) AS remaining, round(share_used, 2) AS share_used
FROM retainer_periods ORDER BY period_start, period_end;
-- and so where the reports have another zone
CREATE SCHEMA utc;
SELECT count(left_out_because) AS left_out FROM awork_fdw_create_reports('desk', 'utc', 'UTC',
    fixed_price_field => 'Festpreis');
SELECT count(*) FROM (SELECT project_id, period_start, period_end FROM retainer_periods
    EXCEPT ALL SELECT project_id, period_start, period_end FROM utc.retainer_periods) AS differences;

-- 7.75 of 13 h
SELECT project, tasks, tasks_done, round(planned_hours, 2) AS planned, round(tracked_hours, 2) AS tracked,
       round(remaining_hours, 2) AS remaining, round(share_tracked, 3) AS share_tracked
FROM planned_by_project ORDER BY project;

-- A subtask is a row like others; a private task is none.
SELECT task, project, client, is_subtask, assignees, round(planned_hours, 2) AS planned,
       round(tracked_hours, 2) AS tracked, round(remaining_hours, 2) AS remaining,
       round(share_tracked, 3) AS share_tracked
FROM planned_by_task ORDER BY task;

-- Ada: 4 h planned, 2.5 + 1 tracked; Ben: 2 h planned on one task, and 2 h tracked on one that is not his;
-- somebody who was deleted: 2 h; for nobody: 5 h. A running timer has no hours.
SELECT task, person, is_assigned, round(planned_hours, 2) AS planned, round(tracked_hours, 2) AS tracked,
       round(remaining_hours, 2) AS remaining
FROM planned_by_assignee ORDER BY task, person;

-- Halves of a day that are off twice are off once.
SELECT btrim(concat_ws(' ', u.first_name, u.last_name)) AS person, day, first_half, second_half,
       round(days, 1) AS days, reasons
FROM absence_days JOIN desk.users u ON u.id = person_id
WHERE u.first_name IN ('Ada', 'Ben', 'Cleo') ORDER BY person, day;

-- Only people to plan for, also those who left. Ben's account is in use again.
SELECT person, first_day, last_day, round(hours_per_week) AS hours FROM people ORDER BY person;

-- Cleo's capacity ends with the day on which she left; Emil and Frieda have Monday and Tuesday.
SELECT person, min(day) AS first_day, max(day) AS last_day, count(*) AS days, round(sum(capacity_hours)) AS hours
FROM capacity_days WHERE day BETWEEN '2026-03-16' AND '2026-04-05' GROUP BY 1 ORDER BY 1;

SELECT person_id = id('a1') AS of_ada, day, round(hours, 2) AS hours FROM booking_days ORDER BY 1 DESC, 2;

-- Week of 23 March. Ada: of 40 h 4 + 8 + 4 + 8 off; 2.5 + 1 + 0.25 tracked are 3.75 of 16; booked on Thursday and
-- Friday. Ben: of 18 h 6 + 3 off; 1.5 + 0.5 tracked; Cleo: three days, 1 h tracked; Emil and
-- Frieda: two days; a deleted user: 2 h.
-- Week of 30 March. Ada: Good Friday off once; 0.5 tracked; booked on Monday. Ben: 2 tracked.
SELECT week, person, round(capacity_hours, 2) AS capacity, round(absent_hours, 2) AS absent,
       round(available_hours, 2) AS available, round(tracked_hours, 2) AS tracked,
       round(billable_hours, 2) AS billable, round(booked_hours, 2) AS booked,
       round(utilisation, 4) AS utilisation, round(billable_utilisation, 4) AS billable_share
FROM utilisation_by_week WHERE week BETWEEN '2026-03-23' AND '2026-03-30' ORDER BY week, person;
-- Easter Monday is off in the region North
SELECT person, week, round(available_hours) AS available FROM utilisation_by_week
WHERE week = '2026-04-06' ORDER BY person;

-- The days of a week add up to the week.
SELECT count(*) AS differences
FROM (SELECT person_id, date_trunc('week', day)::date AS week, sum(capacity_hours) AS capacity,
             sum(absent_hours) AS absent, sum(tracked_hours) AS tracked, sum(billable_hours) AS billable,
             sum(booked_hours) AS booked
      FROM utilisation_by_day WHERE day BETWEEN '2026-03-02' AND '2026-05-03' GROUP BY 1, 2) AS days
FULL JOIN (SELECT * FROM utilisation_by_week WHERE week BETWEEN '2026-03-02' AND '2026-05-02') AS weeks
    ON weeks.week = days.week AND coalesce(weeks.person_id, id('a0')) = coalesce(days.person_id, id('a0'))
WHERE (round(days.capacity, 6), round(days.absent, 6), round(days.tracked, 6), round(days.billable, 6), round(days.booked, 6))
      IS DISTINCT FROM (round(weeks.capacity_hours, 6), round(weeks.absent_hours, 6), round(weeks.tracked_hours, 6),
                        round(weeks.billable_hours, 6), round(weeks.booked_hours, 6));
SELECT round(sum(tracked_hours), 4) AS hours FROM utilisation_by_day;

-- Website: 5.75 billable hours at 90, 7.75 at a cost of 50.50; App: the fixed price, and no cost is known
SELECT project, round(tracked_hours, 2) AS tracked, round(billable_hours, 2) AS billable,
       round(billed_hours, 2) AS billed, hourly_rate AS rate, fixed_price AS price, round(revenue, 2) AS revenue,
       round(revenue_per_hour, 2) AS per_hour, round(cost, 2) AS cost, round(margin, 2) AS margin,
       round(margin_share, 4) AS share
FROM profitability ORDER BY project;

-- What depends on today. Due at midnight in Berlin is due on that day, whatever it is in UTC or here.
BEGIN;
UPDATE desk.tasks SET due_on = (date_trunc('day', now() AT TIME ZONE 'Europe/Berlin')
    + CASE name WHEN 'Design' THEN interval '-1 second' WHEN 'Texts' THEN interval '0' ELSE interval '-30 days' END)
    AT TIME ZONE 'Europe/Berlin';
SELECT task, project, status_type, is_prio, assignees, is_overdue, days_overdue,
       due_day - (now() AT TIME ZONE 'Europe/Berlin')::date AS due_in, round(planned_hours, 2) AS planned
FROM open_tasks ORDER BY task;
SELECT task, days_overdue FROM overdue_tasks ORDER BY task;
-- One period that ended yesterday and one that begins today, with each kind of bounds: the second is the current one.
UPDATE desk.retainers SET retainer_budgets = (
    SELECT jsonb_agg(jsonb_build_object('startDate', from_day AT TIME ZONE zone, 'timeBudget', 36000, 'trackedDuration', 0,
        'endDate', to_day AT TIME ZONE zone + CASE WHEN inclusive THEN interval '-1 second' ELSE interval '0' END))
    FROM date_trunc('day', now() AT TIME ZONE 'Europe/Berlin') AS today,
         LATERAL (VALUES (today - interval '20 days', today), (today, today + interval '20 days')) AS period (from_day, to_day),
         unnest(ARRAY['UTC', 'Europe/Berlin']) AS zone, unnest(ARRAY[true, false]) AS inclusive);
SELECT project, period_start - (now() AT TIME ZONE 'Europe/Berlin')::date AS starts_in,
       period_end - period_start AS days, count(*)
FROM retainer_periods WHERE is_current GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
-- Two hours less a break of ten minutes, one without a length of a minute and one that has begun 15 minutes ago
UPDATE desk.time_entries SET started_at = now() - interval '2 hours', breaks = jsonb_build_array(
    jsonb_build_object('startDate', now() - interval '100 minutes', 'endDate', now() - interval '90 minutes', 'duration', 600),
    jsonb_build_object('startDate', now() - interval '80 minutes', 'endDate', now() - interval '79 minutes'),
    jsonb_build_object('startDate', now() - interval '15 minutes')) WHERE is_running;
SELECT person, client, project, task, is_on_break, round(break_hours, 4) AS break_hours, round(hours, 4) AS hours
FROM running_timers;
ROLLBACK;
RESET timezone;

-- Everything says what it is: a comment on each view, and on each column whose name does not.
SELECT count(*) AS without_comment FROM pg_class
WHERE relnamespace = 'figures'::regnamespace AND relkind = 'v' AND obj_description(oid, 'pg_class') IS NULL;
SELECT attname, count(*) FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
WHERE relnamespace = 'figures'::regnamespace AND relkind = 'v' AND col_description(attrelid, attnum) IS NULL
GROUP BY 1 ORDER BY 1;
SELECT pg_get_viewdef('overdue_tasks'::regclass);

-- Made again in the place of those that are there; without fields there is no profitability, and without a table
-- nothing that reads it.
CREATE SCHEMA fewer;
ALTER TABLE desk.retainers RENAME TO elsewhere;
ALTER TABLE desk.time_entries RENAME COLUMN is_billed TO billed;
SELECT report, left_out_because FROM awork_fdw_create_reports('desk', 'fewer', 'Europe/Berlin')
WHERE left_out_because IS NOT NULL;
ALTER TABLE desk.elsewhere RENAME TO retainers;
ALTER TABLE desk.time_entries RENAME COLUMN billed TO is_billed;
SELECT count(left_out_because) AS left_out FROM awork_fdw_create_reports('desk', 'fewer', 'Europe/Berlin',
    fixed_price_field => 'Festpreis');
SELECT project, hourly_rate, fixed_price, revenue FROM fewer.profitability ORDER BY project;

-- a column that is there for the field is read instead of the list
ALTER TABLE desk.projects ADD COLUMN festpreis numeric, ADD COLUMN note text;
UPDATE desk.projects SET festpreis = 70;
SELECT count(*) FROM awork_fdw_create_reports('desk', 'fewer', 'Europe/Berlin', fixed_price_field => 'festpreis');
SELECT DISTINCT fixed_price FROM fewer.profitability;
-- whatever kind of number it is, in the place of a view that is there, and to be rounded: the price of the App,
-- 5.75 h of the Website and one of the Archive at the rate
ALTER TABLE desk.projects ADD COLUMN price numeric(8, 2), ADD COLUMN rate float8;
UPDATE desk.projects SET price = CASE WHEN name = 'App' THEN 1000.5 END, rate = 80.5;
SELECT left_out_because FROM awork_fdw_create_reports('desk', 'fewer', 'Europe/Berlin', fixed_price_field => 'price',
    hourly_rate_field => 'rate') WHERE report = 'profitability';
SELECT project, round(hourly_rate, 1) AS rate, round(revenue, 2) AS revenue FROM fewer.profitability ORDER BY project;
-- a report that is left out now is left as it was
SELECT report, left_out_because FROM awork_fdw_create_reports('desk', 'fewer', 'Europe/Berlin')
WHERE left_out_because IS NOT NULL;
SELECT count(*) FROM fewer.profitability;

-- should fail
\set VERBOSITY terse
SELECT * FROM awork_fdw_create_reports('desk', 'fewer', hourly_rate_field => 'Rate');
SELECT * FROM awork_fdw_create_reports('desk', 'fewer', hourly_rate_field => 'Twice');
SELECT * FROM awork_fdw_create_reports('desk', 'fewer', hourly_rate_field => 'note');
SELECT * FROM awork_fdw_create_reports('desk', 'fewer', hourly_rate_field => 'Auftragsnummer');
SELECT * FROM awork_fdw_create_reports('desk', 'fewer', time_zone => 'Europe/Nowhere');
SELECT * FROM awork_fdw_create_reports('desk', 'nowhere');
SELECT * FROM awork_fdw_create_reports('nowhere', 'fewer');
\set VERBOSITY default

-- names that need quotes, and the functions and operators of PostgreSQL whatever the search path has
CREATE SCHEMA "My ""desk"" %";
ALTER TABLE desk.users SET SCHEMA "My ""desk"" %";
ALTER TABLE desk.tasks SET SCHEMA "My ""desk"" %";
CREATE SCHEMA "My reports";
CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql RETURN '1999-01-01'::timestamptz;
SET search_path = public, pg_catalog;
SELECT report FROM awork_fdw_create_reports('My "desk" %', 'My reports', 'Europe/Berlin') WHERE left_out_because IS NULL;
SELECT pg_get_viewdef('"My reports".overdue_tasks'::regclass) LIKE '%pg_catalog.now()%' AS of_postgresql;
DROP FUNCTION public.now();
RESET search_path;

-- Over the sandbox: every report has rows, and the totals are those of the tables.
CREATE SCHEMA reported;
SELECT count(*) AS reports, count(left_out_because) AS left_out FROM awork_fdw_create_reports(
    'sandbox', 'reported', 'Europe/Berlin', first_day => '2025-01-01',
    hourly_rate_field => 'Stundensatz', fixed_price_field => 'Festpreis');
CREATE TABLE counted (report name, has_rows boolean);
DO $$
DECLARE
    report name;
BEGIN
    FOR report IN SELECT relname FROM pg_class WHERE relnamespace = 'reported'::regnamespace AND relkind = 'v' LOOP
        EXECUTE format('INSERT INTO counted SELECT %1$L, EXISTS (SELECT FROM reported.%1$I)', report);
    END LOOP;
END $$;
SELECT report FROM counted WHERE NOT has_rows;
WITH direct AS (SELECT sum(duration) AS all, sum(duration) FILTER (WHERE is_billable AND NOT is_billed) AS unbilled,
                       sum(duration) FILTER (WHERE project_id IS NOT NULL) AS of_projects,
                       sum(duration) FILTER (WHERE task_id IS NOT NULL) AS of_tasks
                FROM sandbox.time_entries WHERE NOT is_running)
SELECT round(direct.all / 3600.0 - (SELECT sum(hours) FROM reported.tracked_time), 6) AS tracked,
       round(direct.all / 3600.0 - (SELECT sum(tracked_hours) FROM reported.utilisation_by_day), 6) AS by_day,
       round(direct.all / 3600.0 - (SELECT sum(tracked_hours) FROM reported.utilisation_by_week), 6) AS by_week,
       round(direct.unbilled / 3600.0 - (SELECT sum(hours) FROM reported.unbilled_hours), 6) AS unbilled,
       round(direct.of_projects / 3600.0 - (SELECT sum(tracked_hours) FROM reported.project_budgets), 6) AS budgets,
       round(direct.of_projects / 3600.0 - (SELECT sum(tracked_hours) FROM reported.planned_by_project), 6) AS projects,
       round(direct.of_projects / 3600.0 - (SELECT sum(tracked_hours) FROM reported.profitability), 6) AS profitability,
       round(direct.of_tasks / 3600.0 - (SELECT sum(tracked_hours) FROM reported.planned_by_task), 6) AS tasks,
       round(direct.of_tasks / 3600.0 - (SELECT sum(tracked_hours) FROM reported.planned_by_assignee), 6) AS assignees
FROM direct;
SELECT round((SELECT sum(duration) FROM sandbox.time_bookings) / 3600.0 - sum(hours), 6) AS booked
FROM reported.booking_days;
-- as the entries of each project say
SELECT count(*) AS differences
FROM reported.project_budgets AS budget
LEFT JOIN (SELECT project_id, sum(duration) / 3600.0 AS tracked,
                  sum(duration) FILTER (WHERE is_billable) / 3600.0 AS billable
           FROM sandbox.time_entries WHERE NOT is_running GROUP BY 1) AS entries USING (project_id)
WHERE round(used_hours, 6) <>
      round(coalesce(CASE WHEN counts_non_billable THEN tracked ELSE billable END, 0), 6);
-- people who have left have had working time too
SELECT count(*) > 0 AS some FROM reported.people WHERE last_day IS NOT NULL;

-- Who may read the reports needs nothing else; they are read with their owner's credential.
CREATE ROLE regress_awork_reader;
GRANT USAGE ON SCHEMA reported TO regress_awork_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA reported TO regress_awork_reader;
SET ROLE regress_awork_reader;
SELECT count(*) > 0 AS some FROM reported.tracked_time WHERE day >= '2026-09-01' AND day < '2026-10-01';
SELECT count(*) > 0 AS some FROM reported.utilisation_by_week WHERE week = '2026-09-07';
SELECT count(*) FROM sandbox.time_entries; -- should fail
RESET ROLE;
DROP OWNED BY regress_awork_reader;
DROP ROLE regress_awork_reader;

-- Custom fields that are columns, found by the name in awork, have the values that the list has.
CREATE SCHEMA columned;
IMPORT FOREIGN SCHEMA awork LIMIT TO (custom_field_definitions, projects, time_entries) FROM SERVER reports INTO columned
    OPTIONS (custom_fields 'columns');
ALTER FOREIGN TABLE columned.projects RENAME COLUMN festpreis TO "Price €";
SELECT report FROM awork_fdw_create_reports('columned', 'columned', hourly_rate_field => 'Stundensatz',
    fixed_price_field => 'Festpreis') WHERE report = 'profitability' AND left_out_because IS NULL;
SELECT pg_get_viewdef('columned.profitability'::regclass) LIKE '%project.stundensatz%project."Price €"%' AS by_column;
SELECT count(*) AS differences
FROM reported.profitability AS one FULL JOIN columned.profitability AS other USING (project_id)
WHERE (one.hourly_rate, one.fixed_price, one.revenue) IS DISTINCT FROM (other.hourly_rate, other.fixed_price, other.revenue);
SELECT count(hourly_rate) > 0 AS rates, count(fixed_price) > 0 AS prices FROM columned.profitability;

DROP TABLE counted;
DROP SCHEMA sandbox, desk, columned, figures, fewer, reported, utc, "My ""desk"" %", "My reports" CASCADE;
DROP FUNCTION id(text);
DROP SERVER reports CASCADE;
