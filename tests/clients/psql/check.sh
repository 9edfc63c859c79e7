# psql: what \d+ and \dE+ show, and \copy.
set -euo pipefail

# Fails unless both are the same.
equal() {
    if [ "$2" != "$3" ]; then
        printf 'not ok %s\n  found    %s\n  expected %s\n' "$1" "${2:0:2000}" "${3:0:2000}"
        exit 1
    fi
    echo "ok $1"
}
ask() { psql -X -q -At -v ON_ERROR_STOP=1 "$@"; }

tables=$(ask -c "SELECT count(DISTINCT table_name) FROM awork_fdw_catalog")
shown=$(ask -F '|' -c '\dE+ awork.*')
equal "\\dE+ lists all tables" "$(grep -c '^awork|[a-z0-9_]*|foreign table|' <<<"$shown")" "$tables"
equal "\\dE+ has a comment for each" "$(grep -c '|[^|][^|]*$' <<<"$shown")" "$tables"

shown=$(ask -F '|' -c '\d+ awork.time_entries')
columns=$(ask -c "SELECT count(*) FROM awork_fdw_catalog WHERE table_name = 'time_entries'")
equal "\\d+ lists all columns" "$(grep -c "|(field" <<<"$shown")" "$columns"
equal "\\d+ shows the comments" \
    "$(grep "|(field" <<<"$shown" | awk -F '|' '{ print $1 "|" $NF }')" \
    "$(ask -F '|' -c "SELECT column_name, column_comment FROM awork_fdw_catalog
                      WHERE table_name = 'time_entries' ORDER BY ordinal_position")"
equal "\\d+ names the server" "$(psql -X -c '\d+ awork.time_entries' | grep '^Server: ')" "Server: awork"

columns="id, project_id, user_id, note, duration, is_billable, start_date_local, start_time_local, created_on, attrs"
for format in csv text binary; do
    for schema in awork copy; do
        ask -c "\\copy (SELECT $columns FROM $schema.time_entries ORDER BY id) TO '$WORK/$schema' (FORMAT $format)"
    done
    equal "\\copy … TO as $format" "$(sha256sum <"$WORK/awork")" "$(sha256sum <"$WORK/copy")"
done
ask -c "\\copy awork.projects (id, name) TO '$WORK/refused'" 2>"$WORK/error" && exit 1
equal "\\copy of a table, which PostgreSQL refuses for foreign tables, says what to do" \
    "$(grep -c 'HINT:  Try the COPY (SELECT ...) TO variant.' "$WORK/error")" 1
equal "\\copy from a query into a table of one's own" \
    "$(ask <<SQL
CREATE TEMP TABLE mine (id uuid, duration integer);
\\copy (SELECT id, duration FROM awork.time_entries) TO '$WORK/mine'
\\copy mine FROM '$WORK/mine'
SELECT count(*), sum(duration) FROM mine;
SQL
)" "$(ask -c "SELECT count(*), sum(duration) FROM copy.time_entries")"

equal "FETCH_COUNT reads in batches" \
    "$(ask -v FETCH_COUNT=50 -c 'SELECT id FROM awork.time_entries' | sort | sha256sum)" \
    "$(ask -c 'SELECT id FROM copy.time_entries' | sort | sha256sum)"
