# Functions for scripts/demo, scripts/test and the like: find or install what is needed, build the
# extension, run a throwaway PostgreSQL, the sandbox and the SQL tests. Sourced, not run.
#
# The extension is installed into a copy of PostgreSQL's files in a temporary folder, so that
# neither the system's PostgreSQL nor its cluster is touched, and no root is needed for it.

PGRX_VERSION=0.18.1
# The postgres user reads what is built and copied.
umask 022
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=""
sandbox_pid=""

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# The newest supported PostgreSQL whose server headers are there; PG_CONFIG overrules.
find_postgresql() {
    if [ -z "${PG_CONFIG:-}" ]; then
        for major in 18 17 16 15 14; do
            local candidate=/usr/lib/postgresql/$major/bin/pg_config
            [ -x "$candidate" ] && [ -x "${candidate%pg_config}postgres" ] \
                && [ -f "$("$candidate" --includedir-server)/postgres.h" ] \
                && PG_CONFIG=$candidate && break
        done
    fi
    [ -n "${PG_CONFIG:-}" ] || return 1
    pg_major=$("$PG_CONFIG" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
}

# Whether clang's library is there, which bindgen loads.
has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return
    local folder
    for folder in /usr/lib/llvm-*/lib /usr/lib/*-linux-gnu /usr/lib64; do
        # Not libclang-cpp, which is another library.
        compgen -G "$folder/libclang.so*" >/dev/null && return
        compgen -G "$folder/libclang-[0-9]*.so*" >/dev/null && return
    done
    return 1
}

has_cargo_pgrx() {
    cargo pgrx --version 2>/dev/null | grep -qx "cargo-pgrx $PGRX_VERSION"
}

# Installs what is missing, or says what to install.
set_up() {
    command -v cargo >/dev/null || die "Rust is missing. Install it from https://rustup.rs"
    local missing=()
    command -v cc >/dev/null || missing+=(gcc libc6-dev)
    has_libclang || missing+=(libclang-dev)
    if ! has_cargo_pgrx; then
        # cargo-pgrx itself is built with OpenSSL.
        command -v pkg-config >/dev/null || missing+=(pkg-config)
        [ -f /usr/include/openssl/ssl.h ] || missing+=(libssl-dev)
    fi
    if ! find_postgresql; then
        missing+=(postgresql postgresql-server-dev-all)
    fi
    if [ "${#missing[@]}" -gt 0 ]; then
        if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
            say "installing ${missing[*]}"
            # Debian's package would start a cluster, which nothing here wants.
            local no_cluster=/etc/postgresql-common/createcluster.conf
            if [ -e "$no_cluster" ]; then no_cluster=""; else
                mkdir -p "${no_cluster%/*}"
                echo 'create_main_cluster = false' >"$no_cluster"
            fi
            apt-get update -qq
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o Dpkg::Options::=--force-confold \
                "${missing[@]}" >/dev/null
            # The choice is not ours for clusters to come.
            [ -z "$no_cluster" ] || sed -i '/^create_main_cluster = false$/d' "$no_cluster"
        elif command -v apt-get >/dev/null; then
            die "these packages are missing: run  sudo apt-get install ${missing[*]}"
        else
            die "PostgreSQL 14 to 18 with its server headers, a C compiler and libclang are needed" \
                "(Debian's names: ${missing[*]}); set PG_CONFIG if pg_config is in an unusual place"
        fi
        find_postgresql || die "no PostgreSQL 14 to 18 with server headers; set PG_CONFIG"
    fi
    export PGRX_PG_CONFIG_PATH=$PG_CONFIG
    # A home of its own, so that the user's settings of pgrx are left alone.
    export PGRX_HOME=${CARGO_TARGET_DIR:-$repository/target}/pgrx
    mkdir -p "$PGRX_HOME"
    printf '[configs]\npg%s = "%s"\n' "$pg_major" "$PG_CONFIG" >"$PGRX_HOME/config.toml"
    if ! has_cargo_pgrx; then
        say "installing cargo-pgrx $PGRX_VERSION (some minutes)"
        cargo install --quiet --locked cargo-pgrx --version "$PGRX_VERSION"
    fi
}

# Runs a command as the user who may run PostgreSQL: not root.
as_postgres() {
    if [ "$(id -u)" = 0 ]; then
        (cd "$work" && runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

make_work_folder() {
    work=$(mktemp -d "${TMPDIR:-/tmp}/awork_fdw.XXXXXX")
    chmod 755 "$work"
    [ "$(id -u)" != 0 ] || chown postgres "$work"
}

# Builds the extension and puts it into a copy of PostgreSQL's files below $work.
install_extension() {
    local package=${CARGO_TARGET_DIR:-$repository/target}/package-$pg_major
    rm -rf "$package"
    say "building the extension for PostgreSQL $pg_major"
    (cd "$repository" && cargo pgrx package --no-default-features --features "pg$pg_major" \
        --pg-config "$PG_CONFIG" --out-dir "$package") >"$work/build.log" 2>&1 \
        || { tail -n 40 "$work/build.log" >&2; die "the extension could not be built"; }
    local option folder
    for option in bindir pkglibdir sharedir; do
        folder=$("$PG_CONFIG" --$option)
        mkdir -p "$work/root$folder"
        # PostgreSQL finds its files from where its program really is, so programs are copied.
        if [ "$option" = bindir ]; then cp -L "$folder"/* "$work/root$folder"/
        else cp -rs "$folder"/. "$work/root$folder"/ 2>/dev/null || cp -rL "$folder"/. "$work/root$folder"/
        fi
    done
    rm -f "$work/root$("$PG_CONFIG" --pkglibdir)"/awork_fdw* \
        "$work/root$("$PG_CONFIG" --sharedir)"/extension/awork_fdw*
    cp -r --remove-destination "$package"/. "$work/root/"
    pg_bin=$work/root$("$PG_CONFIG" --bindir)
    PATH=$pg_bin:$PATH
}

# Starts a cluster on a unix socket below $work; sets PGHOST, PGUSER and PGDATABASE. The program is
# that of the first argument, if there is one.
start_postgresql() {
    local program=${1:-$pg_bin/postgres}
    # A server has no such variable; with it, pgrx adds stack traces to errors.
    unset RUST_BACKTRACE
    as_postgres "$pg_bin/initdb" -D "$work/data" -U postgres --auth=trust -E UTF8 --locale=C.UTF-8 \
        >"$work/initdb.log" 2>&1 || { cat "$work/initdb.log" >&2; die "initdb failed"; }
    cat >>"$work/data/postgresql.conf" <<EOF
listen_addresses = ''
unix_socket_directories = '$work'
fsync = off
shared_buffers = 32MB
timezone = 'UTC'
lc_messages = 'C'
EOF
    as_postgres "$pg_bin/pg_ctl" -D "$work/data" -l "$work/postgresql.log" -p "$program" -w start >/dev/null \
        || { cat "$work/postgresql.log" >&2; die "PostgreSQL did not start"; }
    export PGHOST=$work PGUSER=postgres PGDATABASE=postgres PGOPTIONS=""
    unset PGPORT PGPASSWORD PGSERVICE
}

# Restarts the cluster with these further lines of postgresql.conf.
restart_postgresql() {
    printf '%s\n' "$@" >>"$work/data/postgresql.conf"
    as_postgres "$pg_bin/pg_ctl" -D "$work/data" -l "$work/postgresql.log" -m fast -w restart >/dev/null \
        || { cat "$work/postgresql.log" >&2; die "PostgreSQL did not start with $*"; }
}

# Has the cluster listen on a free port of the loopback interface too, for clients that know no
# unix sockets; sets PGPORT.
listen_on_loopback() {
    [ -z "${PGPORT:-}" ] || return 0
    PGPORT=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
    restart_postgresql "listen_addresses = '127.0.0.1'" "port = $PGPORT"
    export PGPORT
}

# Builds the sandbox; sets sandbox_program.
build_sandbox() {
    (cd "$repository" && cargo build --quiet --release -p awork-sandbox)
    sandbox_program=${CARGO_TARGET_DIR:-$repository/target}/release/awork-sandbox
}

# Builds and starts the sandbox with these flags; sets sandbox_url.
start_sandbox() {
    build_sandbox
    rm -f "$work/sandbox.url"
    "$sandbox_program" --listen 127.0.0.1:0 \
        --url-file "$work/sandbox.url" "$@" >"$work/sandbox.log" 2>&1 &
    sandbox_pid=$!
    for _ in $(seq 600); do
        [ -s "$work/sandbox.url" ] && break
        kill -0 "$sandbox_pid" 2>/dev/null || { cat "$work/sandbox.log" >&2; die "the sandbox stopped"; }
        sleep 0.1
    done
    [ -s "$work/sandbox.url" ] || die "the sandbox did not start within a minute"
    sandbox_url=$(cat "$work/sandbox.url")
}

# Runs the SQL tests of these names, or all, against a sandbox of their own.
run_sql_tests() {
    start_sandbox --now 2026-10-15T09:00:00Z --seed 1 --scale 5000
    export AWORK_SANDBOX_URL=$sandbox_url
    local regress tests=("$@")
    regress=$(dirname "$("$PG_CONFIG" --pgxs)")/../test/regress/pg_regress
    # Tests run one after another, in an order that does not matter.
    [ $# -gt 0 ] || mapfile -t tests < <(cd "$repository/tests/sql" && ls ./*.sql | sed 's#^\./##; s#\.sql$##')
    mkdir -p "$work/regress"
    [ "$(id -u)" != 0 ] || chown postgres "$work/regress"
    cp -r "$repository/tests/sql" "$repository/tests/expected" "$work/regress/"
    if ! (cd "$work/regress" && "$regress" --inputdir="$work/regress" --outputdir="$work/regress" \
        --bindir="$pg_bin" --host="$PGHOST" --user=postgres --dbname=awork_fdw_regress \
        --load-extension=awork_fdw "${tests[@]}"); then
        cat "$work/regress/regression.diffs" >&2 2>/dev/null || true
        mkdir -p "$repository/target" \
            && cp -r "$work/regress/results" "$repository/target/regress-results" 2>/dev/null || true
        die "SQL tests failed; the results are in target/regress-results"
    fi
    kill "$sandbox_pid" && sandbox_pid=""
}

# Runs the clients of these names, or all, each with a database and a sandbox of its own.
run_clients() {
    if ! command -v python3 >/dev/null; then
        say "skipped: all clients need python3"
        return
    fi
    build_sandbox
    listen_on_loopback
    AWORK_SANDBOX_PROGRAM=$sandbox_program python3 "$repository/tests/clients/run.py" "$@"
}

# Has Superset show the reports of a sandbox, and looks at them in a browser.
run_dashboard() {
    if ! command -v python3 >/dev/null; then
        say "skipped: the dashboard needs python3"
        return
    fi
    start_sandbox --scale 5000 --now "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    listen_on_loopback
    AWORK_SANDBOX_URL=$sandbox_url "$repository/examples/superset/test"
    kill "$sandbox_pid" && sandbox_pid=""
}

# Stops what was started and removes the folder.
clean_up() {
    [ -z "$sandbox_pid" ] || kill "$sandbox_pid" 2>/dev/null || true
    [ -z "$work" ] || {
        [ ! -f "$work/data/postmaster.pid" ] \
            || as_postgres "$pg_bin/pg_ctl" -D "$work/data" -m immediate stop >/dev/null 2>&1 || true
        rm -rf "$work"
    }
}
