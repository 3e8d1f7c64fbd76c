"""A deployed stack, with the stacks nested in it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import boto3
import yaml
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

NESTED_STACK = "AWS::CloudFormation::Stack"
_RETAINED = {"Retain", "RetainExceptOnCreate"}


class DeploymentError(Exception):
    """A stack cannot be used, deployed or deleted."""


class _Template(yaml.SafeLoader):  # type: ignore[misc] # it brings no types
    """YAML in which the short forms of intrinsic functions become None."""


_Template.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of a stack or of a stack nested in it.

    Attributes:
        kind: its type, such as ``AWS::S3::Bucket``.
        is_retained: it stays when the stack is deleted.
    """

    logical_id: str
    physical_id: str
    kind: str
    is_retained: bool


@cache
def client(service: str) -> Any:
    """Return a boto3 client of a service, as the environment says at the first call: credentials, region, endpoint.

    Raises:
        DeploymentError: no region is set.
    """
    region = os.environ.get("AWS_REGION")  # which boto3 does not read
    try:
        return boto3.client(service, region_name=region, config=Config(retries={"mode": "standard", "max_attempts": 5}))  # type: ignore[call-overload]
    except BotoCoreError as error:
        raise DeploymentError(f"AWS_REGION: {error} Set AWS_REGION, such as AWS_REGION=eu-central-1.") from error


class Stack:
    """A stack by its name, in the region of the environment.

    Raises:
        DeploymentError: there is no such stack, or it may not be looked at.
    """

    def __init__(self, name: str) -> None:
        try:
            (found,) = client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        except (BotoCoreError, ClientError) as error:
            raise DeploymentError(f"STACK: '{name}' cannot be used: {error}") from error
        self.name = self.stack_name = name
        self.arn: str = found["StackId"]
        self.outputs: dict[str, str] = {
            output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])
        }
        self.parameters = {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])}

    @property
    def services_url(self) -> str:
        """Return the address of the services directory."""
        return self.outputs["ServicesUrl"]

    @property
    def url(self) -> str:
        """Return the address of the API, without a path."""
        return self.services_url.partition("/arcgis/")[0]

    def client(self, service: str) -> Any:
        """Return a boto3 client of a service."""
        return client(service)

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment variables for a process that uses this stack: none besides those of this process."""
        return {}

    @property
    def store_options(self) -> dict[str, Any]:
        """Return the options of obstore for S3, which reads the environment."""
        return {"client_options": {"allow_http": True}}  # if AWS_ENDPOINT_URL is an http address

    @cached_property
    def resources(self) -> list[Resource]:
        """The resources, those of nested stacks among them."""
        return list(_resources(self.name))

    def of_kind(self, kind: str) -> list[Resource]:
        """Return the resources of a type."""
        return [resource for resource in self.resources if resource.kind == kind]

    def physical_id(self, logical_id: str) -> str:
        """Return the name or address of a resource.

        Raises:
            DeploymentError: the stack has no such resource.
        """
        for resource in self.resources:
            if resource.logical_id == logical_id:
                return resource.physical_id
        raise DeploymentError(f"STACK: '{self.name}' has no resource {logical_id}. Is it a stack of exporttiles?")


def _resources(stack: str) -> Iterator[Resource]:
    cloudformation = client("cloudformation")
    body = cloudformation.get_template(StackName=stack, TemplateStage="Processed")["TemplateBody"]
    template = yaml.load(body, _Template) if isinstance(body, str) else body  # noqa: S506  (a SafeLoader)
    for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack):
        for found in page["StackResourceSummaries"]:
            name, physical_id = found["LogicalResourceId"], found.get("PhysicalResourceId")
            if physical_id is None or found["ResourceStatus"] == "DELETE_COMPLETE":
                continue
            if found["ResourceType"] == NESTED_STACK:
                yield from _resources(physical_id)
            policy = template["Resources"].get(name, {}).get("DeletionPolicy")
            yield Resource(name, physical_id, found["ResourceType"], policy in _RETAINED)
