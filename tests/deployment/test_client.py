"""A proof in an account with few functions waits for the API instead of failing."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from urllib.error import HTTPError

import pytest

from deployment import client
from deployment.client import Client


@pytest.fixture
def api(monkeypatch):
    """An API that answers each request with the next status of a list."""
    monkeypatch.setattr(client, "_BUSY_POLL_SECONDS", 0)
    statuses = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(statuses.pop(0))
            self.end_headers()
            self.wfile.write(b"{}")

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        yield SimpleNamespace(services_url=url, statuses=statuses)
        server.shutdown()


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_busy_api_is_asked_again(api, method):
    api.statuses += [503, 429, 200]

    assert getattr(Client(api), method)("World") == {}
    assert api.statuses == []


@pytest.mark.parametrize("status", [404, 413, 500])
def test_any_other_error_is_one(api, status):
    api.statuses += [status, 200]

    with pytest.raises(HTTPError, match=str(status)):
        Client(api).get("World")


def test_an_api_that_stays_busy_is_an_error(api, monkeypatch):
    monkeypatch.setattr(client, "_BUSY_SECONDS", -1)
    api.statuses += [503, 200]

    with pytest.raises(HTTPError, match="503"):
        Client(api).get("World")
