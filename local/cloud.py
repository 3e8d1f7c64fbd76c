"""The whole stack on this machine: the emulator with template.yaml deployed to it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import URLError
from urllib.request import urlopen

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

from local.signals import exit_on_sigterm

ROOT = Path(__file__).resolve().parent.parent
REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
ARTIFACT_BUCKET = "deployment-artifacts"
START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 5.0


class LocalCloudError(Exception):
    """The emulator did not start, or the stack could not be deployed to it."""


class LocalCloud:
    """An emulator on 127.0.0.1 with the stack deployed. Leaving the context stops all of it, errors or not.

        with LocalCloud() as cloud:
            cloud.client("s3").list_objects_v2(Bucket=cloud.outputs["TileBucketName"])

    Functions run with the interpreter that runs this.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        template: Path | None = ROOT / "template.yaml",
        parameters: dict[str, str] | None = None,
        enforce_roles: bool = False,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare; nothing runs before the context is entered.

        Args:
            port: TCP port to serve; 0 takes a free one.
            template: the template to deploy; None for an emulator without a stack.
            parameters: template parameters; by default those that fit one machine, without tokens.
            enforce_roles: functions may do only what their roles allow; slower.
            say: is called with a line of text before each slow step.
        """
        self.port = port or _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.stack_name = "exporttiles"
        self.outputs: dict[str, str] = {}
        self._template = template
        self._parameters = {
            "PublicBaseUrl": self.url,
            "MaxConcurrency": str(os.cpu_count() or 2),
            "TokenSecurity": "off",
        } | (parameters or {})
        self._enforce_roles = enforce_roles
        self._say = say
        self._exit = ExitStack()
        self._folder = Path()

    @property
    def services_url(self) -> str:
        """Address of the ArcGIS services directory."""
        return f"{self.url}/arcgis/rest/services"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that send a process which uses AWS to this cloud."""
        return environment_of(self.url)

    @property
    def store_options(self) -> dict[str, Any]:
        """Options of obstore for S3."""
        return {
            "endpoint": self.url,
            "region": REGION,
            "access_key_id": CREDENTIALS["AWS_ACCESS_KEY_ID"],
            "secret_access_key": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            "virtual_hosted_style_request": False,
            "client_options": {"allow_http": True},
        }

    def client(self, service: str) -> Any:
        """Return a boto3 client of an AWS service, such as `s3`."""
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=Config(signature_version="v4" if service != "s3" else "s3v4", proxies={}, max_pool_connections=32),
        )

    def __enter__(self) -> Self:
        """Start and deploy.

        Raises:
            LocalCloudError: it did not come up; nothing is left running.
        """
        with ExitStack() as stack:
            stack.enter_context(exit_on_sigterm())
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="exporttiles-")))
            self._start_emulator(stack)
            if self._template:
                self._say(f"Deploying {self._template.name}")
                self.outputs = deploy(self.client, self.stack_name, self._template, self._parameters, self.environment)
            self._exit = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything that was started and remove its files."""
        self._exit.__exit__(kind, error, trace)

    def _start_emulator(self, stack: ExitStack) -> None:
        require_free(self.port)
        self._say(f"Starting the AWS emulator on {self.url}")
        log_path = self._folder / "emulator.log"
        with log_path.open("wb") as log:
            self._emulator = subprocess.Popen(
                [_emulator_python(), ROOT / "local" / "launcher.py"],
                env=self._clean_environment()
                | {
                    "GATEWAY_PORT": str(self.port),
                    "LAMBDA_PYTHON": sys.executable,
                    "AUTH": str(self._enforce_roles).lower(),
                },
                stdin=subprocess.PIPE,  # the launcher ends with it, should this process be killed
                stdout=log,
                stderr=log,
                start_new_session=True,  # a group of its own, to be stopped as one
            )
        stack.callback(_stop, self._emulator)
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not _answers(f"{self.url}/_ministack/health"):
            if self._emulator.poll() is not None or time.monotonic() > deadline:
                raise LocalCloudError(f"the emulator did not start:\n{_tail(log_path.read_text())}")
            time.sleep(0.05)

    def _clean_environment(self) -> dict[str, str]:
        return _clean_environment(self._folder)


def environment_of(url: str) -> dict[str, str]:
    """Return the environment variables that send a process which uses AWS to an emulator."""
    return CREDENTIALS | {
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "NO_PROXY": "127.0.0.1",
    }


def deploy(
    client_of: Callable[[str], Any],
    stack_name: str,
    template: Path,
    parameters: dict[str, str],
    environment: dict[str, str],
) -> dict[str, str]:
    """Create a stack on an emulator, or update it, and return its outputs.

    Args:
        client_of: returns the boto3 client of a service of the emulator.
        stack_name: of the stack.
        template: with paths of code, which is uploaded.
        parameters: of the template; those that are not named keep their values.
        environment: variables that send the AWS CLI to the emulator.

    Raises:
        LocalCloudError: it cannot be deployed.
    """
    with tempfile.TemporaryDirectory(prefix="exporttiles-") as folder:
        client_of("s3").create_bucket(Bucket=ARTIFACT_BUCKET)
        packaged = _package(template, Path(folder), environment)
    client = client_of("cloudformation")
    names = {"StackName": stack_name}
    template_and_parameters: dict[str, Any] = {
        "TemplateBody": packaged,
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    }
    # Not `aws cloudformation deploy`: it looks again after half a minute, and nested stacks take two seconds.
    often = {"Delay": 0.2, "MaxAttempts": 300}
    try:
        existing = _stack(client, stack_name)
        if existing is None:
            client.create_stack(**names, **template_and_parameters)
            client.get_waiter("stack_create_complete").wait(**names, WaiterConfig=often)
        else:
            kept = {each["ParameterKey"] for each in existing["Parameters"]} - parameters.keys()
            template_and_parameters["Parameters"] += [
                {"ParameterKey": name, "UsePreviousValue": True} for name in sorted(kept)
            ]
            client.update_stack(**names, **template_and_parameters)
            client.get_waiter("stack_update_complete").wait(**names, WaiterConfig=often)
        stack = _stack(client, stack_name)
    except (ClientError, WaiterError) as error:
        raise LocalCloudError(f"the deployment failed: {error} {_reasons(client, stack_name)}".rstrip()) from error
    return {output["OutputKey"]: output["OutputValue"] for output in (stack or {}).get("Outputs", [])}


def _stack(client: Any, name: str) -> dict[str, Any] | None:
    try:
        (stack,) = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return dict(stack)


def _reasons(client: Any, stack_name: str) -> str:
    """Return why resources of a stack failed."""
    try:
        events = client.describe_stack_events(StackName=stack_name)["StackEvents"]
    except ClientError:  # it was never made
        return ""
    reasons = {event.get("ResourceStatusReason", "") for event in events if event["ResourceStatus"].endswith("_FAILED")}
    return "; ".join(sorted(filter(None, reasons)))


def _package(template: Path, folder: Path, environment: dict[str, str]) -> str:
    """Upload the code that a template names, and return the template with its addresses."""
    packaged = folder / "packaged.yaml"
    arguments = ["--template-file", template, "--s3-bucket", ARTIFACT_BUCKET, "--output-template-file", packaged]
    done = subprocess.run(
        [_emulator_python().with_name("aws"), "cloudformation", "package", *map(str, arguments)],
        env=_clean_environment(folder) | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LocalCloudError(f"aws cloudformation package failed:\n{_tail(done.stdout + done.stderr)}")
    return packaged.read_text()


def _clean_environment(folder: Path) -> dict[str, str]:
    """Return an environment without the AWS settings of the caller, for the emulator and the AWS CLI."""
    return {"PATH": os.defpath, "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8"}


def require_free(port: int) -> None:
    """Check that a port of 127.0.0.1 can be served.

    Raises:
        LocalCloudError: it is in use, or reserved.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            text = f"Port {port} cannot be used: {error.strerror}. Name another one, as in make serve PORT=8081."
            raise LocalCloudError(text) from error


def _emulator_python() -> Path:
    """Return the interpreter of the emulator and the AWS CLI; the variable EMULATOR_PYTHON names another one."""
    python = Path(os.environ.get("EMULATOR_PYTHON", ROOT / ".venv-emulator" / "bin" / "python"))
    if not python.exists():
        raise LocalCloudError(f"{python} is missing: run `make setup`")
    return python


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as response:  # noqa: S310 (http, on this machine)
            return bool(response.status == 200)
    except (URLError, OSError):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a process and all of its group, by SIGTERM first."""
    try:
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(STOP_TIMEOUT_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # functions that outlived the emulator
        process.wait()
        if process.stdin:
            process.stdin.close()


def _tail(text: str, lines: int = 20) -> str:
    return "\n".join(text.rstrip().splitlines()[-lines:])
