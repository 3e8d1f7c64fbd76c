"""Auditing dependencies: a known vulnerability fails, and an unreachable OSV is reported as such."""

import json
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOLE = {
    "schema_version": "1.7.0",
    "id": "GHSA-0000-0000-0000",
    "summary": "A tile of the right kind runs what it likes.",
    "published": "2026-11-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "pillow", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}],
        }
    ],
}
CLEAN = {}


class Osv(BaseHTTPRequestHandler):
    """Answers for each package what the server has of it."""

    def do_POST(self):
        package = json.loads(self.rfile.read(int(self.headers["content-length"])))["package"]["name"]
        self.server.asked.append(package)
        status, document = self.server.answers.get(package, (200, CLEAN))
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def osv():
    """An OSV on this machine that knows of no hole."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Osv) as server:
        server.asked, server.answers = [], {}
        server.url = f"http://127.0.0.1:{server.server_port}/v1/query"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def audit(url, options=""):
    command = ["/usr/bin/env", "make", "--no-print-directory", "audit", f"AUDIT_OPTIONS=--osv-url {url} {options}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_everything_that_is_deployed_is_asked_for(osv):
    deployed = (ROOT / "layers/dependencies/requirements.txt").read_text(encoding="utf-8")

    done = audit(osv.url)

    assert done.returncode == 0, done.stderr
    assert sorted(osv.asked) == sorted(line.partition("==")[0] for line in deployed.splitlines() if "==" in line)
    assert f"{len(osv.asked)} packages of layers/dependencies/requirements.txt audited: no known holes." in done.stdout


@pytest.mark.parametrize("options", ["", "--when-reachable"])
def test_a_known_hole_fails_it_and_is_named(osv, options):
    osv.answers["pillow"] = 200, {"vulns": [HOLE]}

    done = audit(osv.url, options)

    assert done.returncode != 0
    assert "KNOWN HOLE: pillow " in done.stdout
    assert "has GHSA-0000-0000-0000, mended in 99.0: A tile of the right kind" in done.stdout


@pytest.mark.parametrize(
    "answer",
    [(500, b""), (404, b"no such page"), (200, b"<html>Please log in</html>")],
    ids=lambda answer: str(answer[0]),
)
def test_an_osv_that_does_not_answer_for_each_package_has_audited_nothing(osv, answer):
    osv.answers["pillow"] = answer

    required, optional = audit(osv.url), audit(osv.url, "--when-reachable")

    assert (required.returncode != 0, optional.returncode) == (True, 0)
    for done in (required, optional):
        assert f"NOT AUDITED: {osv.url} could not be asked" in done.stdout
        assert "no known hole" not in done.stdout


@pytest.mark.parametrize("is_open", [False, True], ids=["a closed port", "a port that never answers"])
def test_where_nobody_answers_it_is_told_in_seconds(is_open):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if is_open:
            listener.listen()
        url, began = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/query", time.monotonic()

        done = audit(url, "--when-reachable")

    assert done.returncode == 0
    assert done.stdout.startswith(f"NOT AUDITED: {url} could not be asked")
    assert time.monotonic() - began < 15


def test_what_is_deployed_must_be_audited_and_what_is_checked_should_be():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (deploy,) = [line for line in makefile.splitlines() if line.startswith("deploy:")]
    _, check = makefile.split("\ncheck:")

    assert "audit" in deploy.partition("##")[0].split()
    assert "audit AUDIT_OPTIONS=--when-reachable" in check.partition("\n\n")[0]
