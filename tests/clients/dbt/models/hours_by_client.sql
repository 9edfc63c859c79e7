{{ config(materialized='table') }}
SELECT coalesce(c.name, '(no client)') AS client,
       date_trunc('month', e.start_date_local)::date AS month,
       sum(e.duration) / 3600.0 AS hours
  FROM {{ ref('entries') }} AS e
  LEFT JOIN {{ source('awork', 'projects') }} AS p ON p.id = e.project_id
  LEFT JOIN {{ source('awork', 'companies') }} AS c ON c.id = p.company_id
 GROUP BY 1, 2
