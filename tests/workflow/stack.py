"""The templates of the stack: template.yaml, and the nested stacks that it names."""

import json
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


class CloudFormation(yaml.SafeLoader):
    """YAML with the short forms of intrinsic functions, kept as plain values."""


CloudFormation.add_multi_constructor(
    "!",
    lambda loader, suffix, node: {
        suffix: loader.construct_scalar(node)
        if isinstance(node, yaml.ScalarNode)
        else loader.construct_sequence(node, deep=True)
        if isinstance(node, yaml.SequenceNode)
        else loader.construct_mapping(node, deep=True)
    },
)


def inlined(value, parameters):
    """Return a part of a nested template in which the parameters stand for what template.yaml gives them."""
    if isinstance(value, list):
        return [inlined(each, parameters) for each in value]
    if not isinstance(value, dict):
        return value
    match list(value.items()):
        case [("Ref", name)] if name in parameters:
            return parameters[name]
        case [("Sub" | "Fn::Sub" as function, str(text))]:
            return {function: re.sub(r"\$\{(\w+)\}", lambda match: _in_text(match, parameters), text)}
    return {name: inlined(each, parameters) for name, each in value.items()}


def _in_text(match, parameters):
    match parameters.get(match[1]):
        case {"Ref": name}:
            return f"${{{name}}}"
        case {"GetAtt": path} | {"Fn::GetAtt": path}:
            return f"${{{path if isinstance(path, str) else '.'.join(path)}}}"
    return match[0]


def nested_in(template):
    """Return the path and the parameters of each nested stack."""
    return [
        (ROOT / resource["Properties"]["TemplateURL"], resource["Properties"]["Parameters"])
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::CloudFormation::Stack"
    ]


def _read(path):
    return yaml.load(path.read_text(), CloudFormation)  # noqa: S506  (a SafeLoader)


TEMPLATE = _read(ROOT / "template.yaml")
"""The template of the whole stack."""

RESOURCES = TEMPLATE["Resources"] | {
    name: resource
    for path, parameters in nested_in(TEMPLATE)
    for name, resource in inlined(_read(path)["Resources"], parameters).items()
}
"""All resources, those of nested stacks as if they stood in template.yaml."""

MACHINE_TEXT = (ROOT / "statemachine" / "export_tiles.asl.json").read_text()
MACHINE = json.loads(re.sub(r"(?<=: )\$\{\w+\}", "1", MACHINE_TEXT))
"""The state machine, with 1 for the numbers that the template puts in."""
