{{ config(materialized='incremental', unique_key='id') }}
SELECT id, project_id, user_id, duration, is_billable, start_date_local, note, updated_on
  FROM {{ source('awork', 'time_entries') }}
{% if is_incremental() %}
 WHERE updated_on >= (SELECT max(updated_on) FROM {{ this }})
{% endif %}
