"""A local cloud leaves nothing behind, however it ends."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local.cloud import ROOT, LocalCloud, LocalCloudError
from tests.local.processes import HEARS_CTRL_C, group_ends, group_lives

TEMPLATE = """
Parameters:
  PublicBaseUrl: { Type: String }
  MaxConcurrency: { Type: Number }
Resources:
  Bucket: { Type: AWS::S3::Bucket }
Outputs:
  Url: { Value: !Ref PublicBaseUrl }
"""

SCRIPT = """
import sys, time
from pathlib import Path
from local.cloud import LocalCloud
with LocalCloud(template=Path(sys.argv[1])) as cloud:
    print(cloud.url, cloud._folder, cloud._emulator.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def template(tmp_path):
    path = tmp_path / "template.yaml"
    path.write_text(TEMPLATE)
    return path


def test_the_outputs_of_the_stack_are_known(template):
    with LocalCloud(template=template) as cloud:
        assert cloud.outputs == {"Url": cloud.url}


def test_leaving_stops_the_emulator_and_removes_its_files(template):
    with LocalCloud(template=template) as cloud:
        assert group_lives(cloud._emulator.pid)

    assert not group_lives(cloud._emulator.pid)
    assert not cloud._folder.exists()


def test_a_stack_that_cannot_be_deployed_leaves_nothing(template):
    template.write_text(TEMPLATE.replace("AWS::S3::Bucket", "AWS::No::Such"))
    cloud = LocalCloud(template=template)

    with pytest.raises(LocalCloudError, match="the deployment failed"), cloud:
        pass

    assert not group_lives(cloud._emulator.pid)
    assert not cloud._folder.exists()


def test_a_port_that_is_taken_is_said(template):
    with LocalCloud(template=template) as cloud, pytest.raises(LocalCloudError, match=str(cloud.port)):
        LocalCloud(template=template, port=cloud.port).__enter__()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_the_emulator_too(template, number):
    command = [*HEARS_CTRL_C, sys.executable, "-c", SCRIPT, template]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as script:
        _, folder, emulator = script.stdout.readline().split()

        script.send_signal(number)
        script.wait(10)

    assert group_ends(int(emulator))
    if number == signal.SIGKILL:  # nobody was left to do it
        shutil.rmtree(folder)
    assert not Path(folder).exists()
