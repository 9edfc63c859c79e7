"""What the clients in Python share: a line per check, and the sandbox's control interface."""
import json
import os
import time
import urllib.request

SANDBOX = os.environ["AWORK_SANDBOX"]


def equal(what, found, expected):
    """Says that the check holds, or ends the program."""
    if found != expected:
        raise SystemExit(f"not ok {what}\n  found    {str(found)[:2000]}\n  expected {str(expected)[:2000]}")
    print(f"ok {what}", flush=True)


def holds(what, condition, found=None):
    if not condition:
        raise SystemExit(f"not ok {what}: {found}")
    print(f"ok {what}", flush=True)


def sandbox(method, path, body=None):
    """What the sandbox answers."""
    request = urllib.request.Request(f"{SANDBOX}{path}", method=method,
                                     data=None if body is None else json.dumps(body).encode())
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def requests(path):
    """The requests for this list since the last time that the log was cleared."""
    return [entry for entry in sandbox("GET", "/log") if entry["path"].endswith(path)]


def nothing_runs():
    """Whether all requests have ended or been given up within a second."""
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        if all(entry["finished"] is not None for entry in sandbox("GET", "/log")):
            return True
        time.sleep(0.02)
    return False
