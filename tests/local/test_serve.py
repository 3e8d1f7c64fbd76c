"""`make serve`: its messages when it cannot start and when it stops."""

import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

from local.cloud import ROOT
from local.serve import instructions
from tests.local.processes import HEARS_CTRL_C

SERVICES_URL = "http://127.0.0.1:8080/arcgis/rest/services"
CLOUD = SimpleNamespace(
    services_url=SERVICES_URL, environment={"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:8080"}
)


def test_a_port_in_use_is_named_with_the_variable_that_chooses_another():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        command = [sys.executable, "-m", "local.serve", "--port", str(port)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    reason = f"Port {port} cannot be used: Address already in use. Name another one, as in make serve PORT=8081."
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"Error: {reason}\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_that_it_stops(number):
    program = "import signal; from local.serve import wait; from local.signals import exit_on_sigterm\n"
    program += "pause = signal.pause; signal.pause = lambda: (print('up', flush=True), pause())\n"
    program += "with exit_on_sigterm(): wait()"
    command = [*HEARS_CTRL_C, sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as script:
        assert script.stdout.readline() == "up\n"
        script.send_signal(number)
        said, _ = script.communicate(timeout=10)

    assert said == "\nStopping the stack ...\n"
    assert script.returncode == (0 if number == signal.SIGINT else 128 + number)


def test_the_instructions_are_lines_to_copy():
    lines = instructions(CLOUD, f"{SERVICES_URL}/A/ImageServer", f"{SERVICES_URL}/B/ImageServer").split("\n")

    opened = lines.index("Open the map in a browser, draw an area, and download it:")
    assert lines[opened + 1] == f"  {SERVICES_URL}/A/ImageServer"
    (export,) = [line for line in lines if line.startswith("export AWS_")]
    assert "AWS_ENDPOINT_URL=http://127.0.0.1:8080 AWS_REGION=us-east-1; " in export
    assert export.endswith("exporttiles publish My_Map path/to/cache")
