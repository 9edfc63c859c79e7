"""scripts/login with a psql and a browser that are made up: every way in which it ends.

python3 -m unittest discover tests/login
"""
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
import unittest
import urllib.parse

# Shells have what runs in the background ignore it, and so would the processes that are started here.
signal.signal(signal.SIGINT, signal.default_int_handler)

LOGIN = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "login"

# Understands what scripts/login sends: \set, \echo, and statements that end with a semicolon.
PSQL = r"""
import json, os, re, sys
settings = json.loads(os.environ["FAKE_PSQL"])
def log(**entry):
    with open(settings["log"], "a") as file:
        file.write(json.dumps(entry) + "\n")
def fail(message, status):
    print(message, file=sys.stderr)
    sys.exit(status)
log(arguments=sys.argv[1:], environment={k: v for k, v in os.environ.items() if k[:2] == "PG"})
if "no_connection" in settings:
    fail("psql: error: connection to server failed: " + settings["no_connection"], 2)
variables, number = {}, 0
for line in sys.stdin:
    number += 1
    line = line.rstrip("\n")
    if line.startswith("\\set "):
        _, name, value = line.split(" ", 2)
        assert value[0] == value[-1] == "'"
        value = value[1:-1]
        assert re.fullmatch(r"([^'\\]|''|\\.)*", value), value
        variables[name] = re.sub(r"''|\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1] or "'"), value)
    elif line.startswith("\\echo "):
        print(line[6:], flush=True)
    else:
        assert line.endswith(";"), line
        log(statement=line, values=dict(variables))
        if "FROM pg_extension" in line:
            print(settings.get("schema", "public"))
        elif "awork_fdw_login_url(" in line:
            if "url_error" in settings:
                fail(f"psql:<stdin>:{number}: ERROR:  {settings['url_error']}", 3)
            print(f"psql:<stdin>:{number}: WARNING:  told on", file=sys.stderr)
            print(settings["url"])
        elif "awork_fdw_login(" in line:
            if "breaks" in settings:
                fail("server closed the connection unexpectedly", 2)
            if "login_error" in settings:
                fail(f"psql:<stdin>:{number}: ERROR:  {settings['login_error']}", 3)
            print('logged in to workspace "Acmé <1>" as Jane Doe')
log(ended=True)
"""

# Goes where awork would send it: the answers that FAKE_BROWSER lists, one after another.
BROWSER = r"""
import http.client, json, os, sys, urllib.parse
settings = json.loads(os.environ["FAKE_BROWSER"])
with open(settings["log"], "a") as file:
    file.write(json.dumps({"opened": sys.argv[1]}) + "\n")
fields = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(sys.argv[1]).query))
target = urllib.parse.urlsplit(fields["redirect_uri"])
for path in settings["paths"]:
    host = settings.get("host", target.hostname)
    connection = http.client.HTTPConnection(host, target.port, timeout=10)
    connection.request("GET", path.replace("STATE", urllib.parse.quote(fields["state"], safe="")))
    reply = connection.getresponse()
    with open(settings["log"], "a") as file:
        file.write(json.dumps({"path": path, "status": reply.status,
                               "headers": dict(reply.getheaders()),
                               "page": reply.read().decode()}) + "\n")
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


class Login(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.program("psql", PSQL)
        self.program("browser", BROWSER)
        self.port = free_port()
        self.psql = {"log": str(self.folder / "psql.log"), "url": self.url()}
        self.browser = {"log": str(self.folder / "browser.log"),
                        "paths": ["/callback?code=a%2Fb&state=STATE"]}

    def program(self, name, text):
        path = self.bin / name
        path.write_text(f"#!{sys.executable}\n{textwrap.dedent(text)}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def url(self, redirect_uri=None, base="https://api.awork.example/api/v1/accounts/authorize",
            **fields):
        if redirect_uri is None:
            redirect_uri = f"http://localhost:{self.port}/callback"
        fields = {"client_id": "c", "redirect_uri": redirect_uri, "state": "s+1/x=", **fields}
        return f"{base}?{urllib.parse.urlencode(fields)}"

    def environment(self):
        return {"PATH": str(self.bin), "HOME": str(self.folder), "PYTHONIOENCODING": "utf-8",
                "BROWSER": f"{self.bin / 'browser'} %s",
                "FAKE_PSQL": json.dumps(self.psql), "FAKE_BROWSER": json.dumps(self.browser)}

    def start(self, *arguments):
        process = subprocess.Popen(
            [sys.executable, str(LOGIN), *arguments], env=self.environment(), encoding="utf-8",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        return process

    def run_login(self, *arguments, status=0):
        process = self.start(*(arguments or ["awork"]))
        output, errors = process.communicate(timeout=15)
        self.assertEqual(process.returncode, status, errors)
        self.assertNotIn("Traceback", errors)
        return output, errors

    def log(self, name, key):
        path = self.folder / f"{name}.log"
        entries = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [entry for entry in entries if key in entry]

    def get(self, path, host="127.0.0.1"):
        connection = http.client.HTTPConnection(host, self.port, timeout=10)
        self.addCleanup(connection.close)
        connection.request("GET", path)
        return connection.getresponse()

    def wait_for_listener(self, process):
        """What was printed until the address to open."""
        printed = ""
        for line in process.stderr:
            printed += line
            if line.startswith("http"):
                return printed
        self.fail(printed)

    def test_logs_in(self):
        output, errors = self.run_login(
            "-h", "db.example.com", "-Ualice", "--port=5433", "-d", "reports", "-w", "awork")
        self.assertEqual(output, 'logged in to workspace "Acmé <1>" as Jane Doe\n')
        self.assertIn(self.psql["url"], errors)
        self.assertIn("\nWARNING:  told on\n", "\n" + errors)
        [started] = self.log("psql", "arguments")
        self.assertEqual(started["arguments"][-5:],
                         ["-hdb.example.com", "-Ualice", "--port=5433", "-dreports", "-w"])
        for option in ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]:
            self.assertIn(option, started["arguments"])
        self.assertEqual(started["environment"]["PGCLIENTENCODING"], "UTF8")
        *_, last = self.log("psql", "statement")
        self.assertEqual(last["statement"], "SELECT public.awork_fdw_login(:'server', :'redirected');")
        self.assertEqual(last["values"], {
            "server": "awork",
            "redirected": f"http://localhost:{self.port}/callback?code=a%2Fb&state=s%2B1%2Fx%3D"})
        self.assertEqual(len(self.log("psql", "ended")), 1)
        [opened] = self.log("browser", "opened")
        self.assertEqual(opened["opened"], self.psql["url"])
        [page] = self.log("browser", "page")
        self.assertEqual(page["status"], 200)
        self.assertIn("as Jane Doe. You can close this window.", page["page"])
        self.assertIn("Acmé &lt;1&gt;", page["page"])
        self.assertEqual(page["headers"]["Cache-Control"], "no-store")
        self.assertEqual(page["headers"]["Referrer-Policy"], "no-referrer")

    def test_names_need_no_care(self):
        name = "o'wner's\n\\server é :x"
        self.psql["schema"] = '"My Ext"'
        self.run_login("service=reports", "alice", name)
        self.assertEqual(self.log("psql", "arguments")[0]["arguments"][-3:],
                         ["--", "service=reports", "alice"])
        asked = self.log("psql", "statement")[1]
        self.assertEqual(asked["statement"], """SELECT "My Ext".awork_fdw_login_url(:'server');""")
        self.assertEqual(asked["values"], {"server": name})

    def test_nothing_secret_on_a_command_line(self):
        self.run_login("--no-browser", "--timeout=0.1", "awork", status=6)
        words = " ".join(self.log("psql", "arguments")[0]["arguments"])
        self.assertNotIn("awork", words)

    def test_stray_requests_change_nothing(self):
        self.browser["paths"] = [
            "/favicon.ico", "/", "/callback", "/callback?state=STATE", "/callback2?code=x&state=STATE",
            "/callback?code=x", "/callback?code=x&state=other",
            "/callback?error=server_error&error_description=by%20%1b%3Cb%3E&state=other",
            "/callback?code=y&state=STATE&session_state=1"]
        _, errors = self.run_login()
        pages = self.log("browser", "page")
        self.assertEqual([page["status"] for page in pages],
                         [404, 404, 400, 400, 404, 400, 400, 400, 200])
        self.assertIn("server_error: by  &lt;b&gt;", pages[-2]["page"])
        self.assertIn("answer to another login than", pages[-3]["page"])
        self.assertEqual(errors.count("the answer to another login; still waiting"), 2)
        self.assertIn("without naming this login: server_error: by  <b>; still waiting", errors)
        logins = [entry for entry in self.log("psql", "statement") if "redirected" in entry["values"]]
        self.assertEqual(len(logins), 1)
        self.assertIn("code=y&", logins[0]["values"]["redirected"])

    def test_state_with_any_characters(self):
        self.psql["url"] = self.url(state="a b&=é%'")
        self.run_login()

    def test_both_addresses_of_localhost(self):
        for host in ["127.0.0.1"] + (["::1"] if has_ipv6() else []):
            with self.subTest(host):
                self.browser["host"] = host
                self.run_login()

    def test_one_address(self):
        self.psql["url"] = self.url(f"http://127.0.0.1:{self.port}/callback")
        self.run_login()
        if has_ipv6():
            self.psql["url"] = self.url(f"http://[::1]:{self.port}/callback")
            self.run_login()

    def test_redirect_uri_without_path(self):
        self.psql["url"] = self.url(f"http://localhost:{self.port}")
        self.browser["paths"] = ["/?code=x&state=STATE"]
        self.run_login()

    def test_page_that_is_loaded_twice(self):
        process = self.start("--no-browser", "awork")
        self.wait_for_listener(process)
        path = "/callback?code=x&state=" + urllib.parse.quote("s+1/x=", safe="")
        pages = []
        threads = [threading.Thread(target=lambda: pages.append(self.get(path).status))
                   for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0)
        self.assertIn(200, pages)
        self.assertEqual(len(self.log("psql", "statement")), 3)

    def test_no_browser(self):
        process = self.start("--no-browser", "awork")
        self.assertNotIn("browser", self.wait_for_listener(process))
        self.assertEqual(self.get("/callback?code=x&state=s%2B1%2Fx%3D").status, 200)
        output, _ = process.communicate(timeout=30)
        self.assertIn("Jane Doe", output)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(self.log("browser", "opened"), [])

    def test_browser_that_does_not_return(self):
        self.program("browser", "import time\ntime.sleep(3)\n")
        self.assertEqual(self.start("--timeout", "0.5", "awork").wait(timeout=2.5), 6)

    def test_timeout(self):
        self.browser["paths"] = []
        output, errors = self.run_login("--timeout=0.5", "awork", status=6)
        self.assertEqual(output, "")
        self.assertIn("error: no answer from the browser within 0.5 s; try again", errors)
        self.assertEqual(len(self.log("psql", "ended")), 1)

    def test_denied(self):
        self.browser["paths"] = ["/callback?error=access_denied&error_description=No%0AJane&state=STATE"]
        _, errors = self.run_login(status=5)
        self.assertIn("error: the access was not allowed in awork (access_denied: No Jane)", errors)
        [page] = self.log("browser", "page")
        self.assertIn("access_denied: No Jane. You can close this window.", page["page"])
        self.assertEqual(len(self.log("psql", "statement")), 2)

    def test_refused_by_awork(self):
        self.browser["paths"] = ["/callback?error=invalid_scope&state=STATE"]
        _, errors = self.run_login(status=5)
        self.assertIn("error: awork refused the login: invalid_scope\n", errors)

    def test_code_that_is_refused(self):
        self.psql["login_error"] = "awork refused the code"
        output, errors = self.run_login(status=1)
        self.assertEqual(output, "")
        self.assertTrue(errors.endswith("\nERROR:  awork refused the code\n"), errors)
        self.assertIn("The terminal says why.", self.log("browser", "page")[0]["page"])

    def test_connection_that_breaks(self):
        self.psql["breaks"] = True
        _, errors = self.run_login(status=3)
        self.assertIn("server closed the connection unexpectedly\nerror: psql has", errors)

    def test_unknown_server(self):
        self.psql["url_error"] = 'server "awrok" does not exist'
        _, errors = self.run_login("awrok", status=1)
        self.assertEqual(errors, 'ERROR:  server "awrok" does not exist\n')
        self.assertEqual(self.log("browser", "opened"), [])

    def test_no_extension(self):
        self.psql["schema"] = ""
        _, errors = self.run_login(status=1)
        self.assertIn("no extension awork_fdw; name another with -d", errors)

    def test_no_connection(self):
        self.psql["no_connection"] = "no route"
        _, errors = self.run_login(status=3)
        self.assertIn("connection to server failed: no route\nerror: psql has no connection", errors)

    def test_no_psql(self):
        (self.bin / "psql").unlink()
        _, errors = self.run_login(status=3)
        self.assertIn("there is no psql on this computer's PATH", errors)

    def test_psql_that_cannot_run(self):
        (self.bin / "psql").write_bytes(b"\0\0\0\0")
        _, errors = self.run_login(status=3)
        self.assertIn("psql cannot be started", errors)

    def test_port_in_use(self):
        for family, address in [(socket.AF_INET, "127.0.0.1")] + (
                [(socket.AF_INET6, "::1")] if has_ipv6() else []):
            with self.subTest(address), socket.socket(family) as other:
                other.bind((address, self.port))
                other.listen()
                _, errors = self.run_login(status=4)
                self.assertIn(f"error: port {self.port} of {address} is in use", errors)
        self.assertEqual(self.log("browser", "opened"), [])

    def test_redirect_uri_that_is_not_here(self):
        for redirect_uri in ["https://reports.example.com/back", "http://db.example.com:8765/",
                             "https://localhost:8765/", "http://localhost/", "http://localhost:0/",
                             "http://localhost:x/", "http://localhost.example.com:8765/", "urn:x", ""]:
            with self.subTest(redirect_uri):
                self.psql["url"] = self.url(redirect_uri)
                _, errors = self.run_login(status=4)
                self.assertIn(f'redirect_uri is "{redirect_uri}", not http on localhost', errors)
                self.assertIn("SELECT awork_fdw_login('awork', '…');", errors)
        self.assertEqual(self.log("browser", "opened"), [])

    def test_address_that_no_browser_should_open(self):
        for base in ["file:///etc/passwd", "http://api.awork.example/", "javascript:x", "--flag"]:
            with self.subTest(base):
                self.psql["url"] = self.url(base=base)
                _, errors = self.run_login(status=1)
                self.assertIn("error: the database gave no https address", errors)
        self.psql["url"] = self.url(state="")
        self.assertIn("has no state", self.run_login(status=1)[1])
        self.assertEqual(self.log("browser", "opened"), [])

    def test_interrupt(self):
        process = self.start("--no-browser", "awork")
        self.wait_for_listener(process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130)
        self.assertTrue(errors.endswith("not logged in\n"), errors)
        self.assertNotIn("Traceback", errors)
        self.assertEqual(len(self.log("psql", "ended")), 1)

    def test_wrong_arguments(self):
        for arguments in [["-d"], ["-d", "reports"], ["-c", "SELECT 1", "awork"], ["--file=x", "awork"],
                          ["--timeout=soon", "awork"], ["--timeout=0", "awork"],
                          ["--timeout=nan", "awork"], ["a", "b", "c", "d"]]:
            with self.subTest(arguments):
                output, errors = self.run_login(*arguments, status=2)
                self.assertEqual(output, "")
                self.assertRegex(errors, r"^error: .*\n$")
        self.assertEqual(self.log("psql", "arguments"), [])

    def test_help(self):
        output, errors = self.run_login("--help")
        self.assertEqual(errors, "")
        for option in ["--no-browser", "--timeout", "--help"]:
            self.assertIn(f"\n  {option} ", output)
        self.assertLess(max(map(len, output.splitlines())), 101)


if __name__ == "__main__":
    unittest.main()
