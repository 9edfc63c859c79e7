"""Runs the clients of this folder, and counts their checks; scripts/test clients calls it.

    run.py [NAME…]

A client is a folder. It runs against a database and a sandbox of its own, whose tables are in the
schema awork, with what a full copy would hold in the schema copy. It prints a line "ok …" for each
check that holds, and ends with another status than 0 where one does not. PG… variables say how to
reach the database, AWORK_SANDBOX is the sandbox's control interface, and WORK an empty folder.
"""
import concurrent.futures
import dataclasses
import hashlib
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
# Virtual environments and the like stay here from one run to the next.
INSTALLED = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[1] / "target")) / "clients"
TABLES = ["companies", "projects", "users", "tasks", "time_entries", "time_bookings", "absences"]
JDBC = "/usr/share/java/postgresql.jar"
ODBC = "/usr/lib/*/odbc/psqlodbcw.so"


class Skip(Exception):
    """A client cannot be installed here; says why."""


class Failure(Exception):
    """A client did not do what it should; says what."""


@dataclasses.dataclass(frozen=True)
class Client:
    """What a client is started with, and which of Debian's packages it needs, by a file of each."""

    name: str
    command: tuple
    debian: tuple = ()

    @property
    def folder(self):
        return HERE / self.name


CLIENTS = [
    Client("jdbc", ("java", "-cp", JDBC, "Check.java"),
           (("javac", "default-jdk-headless"), (JDBC, "libpostgresql-jdbc-java"))),
    Client("dbt", ("python", "check.py")),
    Client("python", ("python", "check.py")),
    Client("odbc", ("python", "check.py"), ((ODBC, "odbc-postgresql"), ("odbcinst", "unixodbc"))),
    Client("node", ("node", "check.js"), (("node", "nodejs"), ("npm", "npm"))),
    Client("psql", ("bash", "check.sh")),
]


def main(names):
    unknown = set(names) - {client.name for client in CLIENTS}
    if unknown:
        sys.exit(f"there is no client {', '.join(sorted(unknown))}")
    clients = [client for client in CLIENTS if not names or client.name in names]
    with tempfile.TemporaryDirectory(prefix="awork_fdw_clients.") as work:
        work = pathlib.Path(work)
        apt = install_packages(clients)
        make_template(work)
        with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
            outcomes = list(pool.map(lambda client: outcome(client, apt, work), clients))
    print(f"clients: {outcomes.count('passed')} passed, {outcomes.count('failed')} failed,"
          f" {outcomes.count('skipped')} skipped", flush=True)
    sys.exit(1 if "failed" in outcomes else 0)


# Programs of two cores: more at a time only take each other's.
TURN = threading.Semaphore(2)


def outcome(client, apt, work):
    """Whether the client `passed`, `failed` or was `skipped`, having said so."""
    try:
        for path, package in client.debian:
            if not is_there(path):
                raise Skip(apt or f"{path} is missing, although Debian's {package} is installed")
        environment = dict(os.environ, WORK=str(work / client.name))
        (work / client.name).mkdir()
        install(client, environment)
        with TURN:
            started = time.monotonic()
            checks = check(client, environment, work)
            seconds = time.monotonic() - started
    except Skip as reason:
        print(f"skipped: client {client.name}: {reason}", flush=True)
        return "skipped"
    except Failure as failure:
        print(f"failed: client {client.name}: {failure}", flush=True)
        return "failed"
    print(f"client {client.name}: {checks} checks passed in {seconds:.0f} s", flush=True)
    return "passed"


def is_there(path):
    """Whether there is a program of this name, or a file of this pattern."""
    if "/" not in path:
        return shutil.which(path) is not None
    return any(pathlib.Path("/").glob(path.lstrip("/")))


def install_packages(clients):
    """Installs what is missing of Debian's packages; why that is impossible, if it is."""
    missing = sorted({package for client in clients for path, package in client.debian
                      if not is_there(path)})
    if not has_venv():
        missing.append("python3-venv")
    if not missing:
        return None
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return f"run  sudo apt-get install {' '.join(missing)}"
    if run(["apt-get", "update", "-qq"]).returncode != 0:
        return "Debian's packages cannot be reached"
    print(f"installing {' '.join(missing)}", flush=True)
    done = run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing],
               env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))
    if done.returncode != 0:
        sys.exit(f"apt-get cannot install {' '.join(missing)}:\n{done.stdout}")
    return None


def install(client, environment):
    """Installs what the client's folder asks for, unless it is there from an earlier run."""
    requirements, package = client.folder / "requirements.txt", client.folder / "package.json"
    if requirements.exists():
        if not has_venv():
            raise Skip("its virtual environment needs Debian's python3-venv")
        target = installed(client, requirements)
        pip = str(target / "bin" / "pip")
        fetch(target, [[sys.executable, "-m", "venv", str(target)],
                       [pip, "install", "-q", "-r", str(requirements)]],
              [pip, "download", "-q", "--no-deps", "-d", environment["WORK"], "pip"])
        environment["PATH"] = f"{target / 'bin'}:{environment['PATH']}"
    if package.exists():
        target = installed(client, package)
        fetch(target, [["npm", "install", "--no-fund", "--no-audit", "--prefix", str(target),
                        *npm_packages(package)]], ["npm", "ping"])
        environment["NODE_PATH"] = str(target / "node_modules")


def has_venv():
    """Whether Python can make virtual environments; Debian has that in a package of its own."""
    return importlib.util.find_spec("ensurepip") is not None


def npm_packages(package):
    return [f"{name}@{version}" for name, version in json.loads(package.read_text())["dependencies"].items()]


def installed(client, described_by):
    """The folder for what this file asks for: another one when the file changes."""
    version = hashlib.sha256(described_by.read_bytes() + sys.version.encode()).hexdigest()[:12]
    return INSTALLED / f"{client.name}-{version}"


def fetch(target, commands, ping):
    """Fills the folder, if it is not. Only where the registry is out of reach is that no failure."""
    complete = target / "complete"
    if complete.exists():
        return
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for command in commands:
        done = run(command)
        if done.returncode != 0:
            if shutil.which(ping[0]) is None or run(ping).returncode == 0:
                raise Failure(f"{' '.join(command)}:\n{done.stdout}")
            raise Skip(f"its registry cannot be reached: {' '.join(command)}")
    complete.touch()


def run(command, **more):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **more)


def psql(database, sql="", variables=(), **more):
    """Runs statements as a superuser."""
    command = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-"]
    for variable in variables:
        command += ["-v", variable]
    done = subprocess.run(command, input=sql, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, **more)
    if done.returncode != 0:
        raise Failure(f"psql: {done.stdout}")


class Sandbox:
    """A sandbox that runs within a with statement; all have the same data."""

    def __init__(self, folder):
        folder.mkdir(exist_ok=True)
        self.file = folder / "sandbox.url"
        self.log = (folder / "sandbox.log").open("w")

    def __enter__(self):
        self.process = subprocess.Popen(
            [os.environ["AWORK_SANDBOX_PROGRAM"], "--listen", "127.0.0.1:0", "--scale", "3000",
             "--now", "2026-10-15T09:00:00Z", "--url-file", str(self.file)],
            stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 60
        while not (self.file.exists() and self.file.read_text()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise Failure("the sandbox does not start")
            time.sleep(0.05)
        self.url = self.file.read_text().strip()
        self.control = self.url.removesuffix("/api/v1") + "/_sandbox"
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.close()


def make_template(work):
    """A database with the foreign tables and the copy, of which each client gets its own."""
    psql("postgres", "DROP DATABASE IF EXISTS clients; CREATE DATABASE clients")
    with Sandbox(work / "template") as sandbox:
        rows = ""
        for table in TABLES:
            with urllib.request.urlopen(f"{sandbox.control}/rows/{table}") as answer:
                rows += f"{table}\t{answer.read().decode()}\n".replace("\\", "\\\\")
        setup = (HERE / "setup.sql").read_text().replace(":ROWS", rows.rstrip("\n"))
        psql("clients", setup, [f"url={sandbox.url}"])


def check(client, environment, work):
    """Runs the client; how many checks held."""
    database = f"clients_{client.name}"
    with Sandbox(work / client.name) as sandbox:
        psql("postgres", f"DROP DATABASE IF EXISTS {database}; CREATE DATABASE {database} TEMPLATE clients;"
                         f" GRANT CREATE ON DATABASE {database} TO reports")
        psql(database, "ALTER SERVER awork OPTIONS (SET api_url :'url')", [f"url={sandbox.url}"])
        environment.update(PGHOST="127.0.0.1", PGUSER="reports", PGDATABASE=database,
                           AWORK_SANDBOX=sandbox.control, PYTHONPATH=str(HERE / "python"),
                           PYTHONDONTWRITEBYTECODE="1")
        try:
            done = run(client.command, cwd=client.folder, env=environment, timeout=600)
        except subprocess.TimeoutExpired as late:
            raise Failure(f"no end after 600 s:\n{(late.stdout or b'').decode()}") from late
        psql("postgres", f"DROP DATABASE {database} WITH (FORCE)")
    checks = sum(line.startswith("ok ") for line in done.stdout.splitlines())
    if done.returncode != 0 or checks == 0:
        raise Failure(f"status {done.returncode}\n{done.stdout}")
    return checks


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failure as failure:
        sys.exit(f"failed: {failure}")
