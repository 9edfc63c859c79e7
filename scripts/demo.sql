\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
SET client_min_messages = error;

\echo
\echo '1. Hours per client and month'
\timing on
SELECT to_char(t.start_date_local, 'YYYY-MM') AS month,
       coalesce(c.name, '(no client)') AS client,
       round(sum(t.duration) / 3600.0, 1) AS hours,
       round(sum(t.duration) FILTER (WHERE t.is_billable) / 3600.0, 1) AS billable
FROM awork.time_entries AS t
LEFT JOIN awork.projects AS p ON p.id = t.project_id
LEFT JOIN awork.companies AS c ON c.id = p.company_id
WHERE t.start_date_local >= date_trunc('month', current_date) - interval '1 month'
GROUP BY 1, 2
ORDER BY 1, 3 DESC
LIMIT 12;
\timing off

\echo
\echo '2. Planned against tracked hours per project (tasks)'
\timing on
SELECT p.name AS project,
       round(sum(t.planned_duration) / 3600.0, 1) AS planned,
       round(sum(t.tracked_duration) / 3600.0, 1) AS tracked,
       round(100.0 * sum(t.tracked_duration) / nullif(sum(t.planned_duration), 0)) AS percent
FROM awork.tasks AS t
JOIN awork.projects AS p ON p.id = t.project_id
GROUP BY p.id, p.name
ORDER BY tracked DESC NULLS LAST
LIMIT 10;
\timing off

\echo
\echo '3. Budgets: share used and hours left'
\timing on
SELECT p.name AS project,
       p.project_status_type AS status,
       round(p.time_budget / 3600.0) AS budget,
       round(p.tracked_duration / 3600.0, 1) AS used,
       round((p.time_budget - p.tracked_duration) / 3600.0, 1) AS "left",
       round(100.0 * p.tracked_duration / p.time_budget) AS percent
FROM awork.projects AS p
WHERE p.time_budget > 0
ORDER BY percent DESC NULLS LAST
LIMIT 10;
\timing off

\echo
\echo '4. Utilisation per person in the last full month'
\timing on
WITH month AS (
    SELECT date_trunc('month', current_date) - interval '1 month' AS first_day,
           date_trunc('month', current_date) AS end_day
), capacity AS (
    SELECT u.id, concat_ws(' ', trim(u.first_name), trim(u.last_name)) AS person,
           sum(CASE extract(isodow FROM day)
                   WHEN 1 THEN c.weekly_capacity_mon WHEN 2 THEN c.weekly_capacity_tue
                   WHEN 3 THEN c.weekly_capacity_wed WHEN 4 THEN c.weekly_capacity_thu
                   WHEN 5 THEN c.weekly_capacity_fri WHEN 6 THEN c.weekly_capacity_sat
                   ELSE c.weekly_capacity_sun END) AS seconds
    FROM awork.users AS u
    JOIN awork.user_capacities AS c ON c.user_id = u.id
    CROSS JOIN month
    CROSS JOIN generate_series(first_day, end_day - interval '1 day', interval '1 day') AS day
    GROUP BY 1, 2
), tracked AS (
    SELECT t.user_id, sum(t.duration) AS seconds
    FROM awork.time_entries AS t, month
    WHERE t.start_date_local >= first_day AND t.start_date_local < end_day
    GROUP BY 1
)
SELECT person,
       round(capacity.seconds / 3600.0) AS capacity,
       round(coalesce(tracked.seconds, 0) / 3600.0, 1) AS tracked,
       round(100.0 * coalesce(tracked.seconds, 0) / nullif(capacity.seconds, 0)) AS percent
FROM capacity
LEFT JOIN tracked ON tracked.user_id = capacity.id
ORDER BY percent DESC NULLS LAST, person
LIMIT 10;
\timing off

\echo
\echo '5. Open tasks that are overdue'
\timing on
SELECT t.due_on::date AS due, t.name AS task, t.project_name AS project,
       (SELECT string_agg(trim(concat_ws(' ', a ->> 'firstName', a ->> 'lastName')), ', ')
        FROM jsonb_array_elements(t.assignees) AS a) AS assignees
FROM awork.tasks AS t
WHERE t.due_on < now() AND t.task_status_type <> 'done'
ORDER BY t.due_on
LIMIT 10;
\timing off
