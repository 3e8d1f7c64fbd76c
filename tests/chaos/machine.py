"""Interpreter of the state machine file: the part of the Amazon States Language that the file uses.

Source: https://states-language.net. Anything else raises `NotImplementedError`.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporttiles.ports.objects import ObjectReader

TEXT = (Path(__file__).parents[2] / "statemachine" / "export_tiles.asl.json").read_text(encoding="utf-8")
DEFINITION = json.loads(re.sub(r"(?<=: )\$\{\w+\}", "1", TEXT))
_ATTEMPTS = 3  # of a retrier without MaxAttempts

Step = Callable[[str, Any], Any]
"""Runs a function by its name, such as ``PlanExport``, with a payload; returns its answer or raises `StepError`."""


class StepError(Exception):
    """A step failed, with the error name and cause that Step Functions would report."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.failure = {"Error": error, "Cause": cause}


@dataclass(frozen=True, slots=True)
class Machine:
    """Runs an execution.

    Attributes:
        step: runs a function.
        objects: the package bucket, where a map finds its items.
    """

    step: Step
    objects: ObjectReader

    def run(self, state: Any, machine: Mapping[str, Any] = DEFINITION) -> Any:
        """Run an execution and return its output.

        Raises:
            StepError: the execution failed.
        """
        name = machine["StartAt"]
        while True:
            definition = machine["States"][name]
            match definition["Type"]:
                case "Succeed":
                    return state
                case "Fail":
                    raise StepError(*(str(_at(definition[key], state)) for key in ("ErrorPath", "CausePath")))
                case "Choice":
                    name = _choose(definition, state)
                case "Task" | "Map":
                    state, name = self._attempt(definition, state)
                    if name is None:
                        return state
                case other:
                    raise NotImplementedError(other)

    def _attempt(self, definition: Mapping[str, Any], state: Any) -> tuple[Any, str | None]:
        """Run a step with its retries; return its output and the name of the next state."""
        tries = dict.fromkeys(range(len(definition.get("Retry", []))), 0)
        while True:
            try:
                result = self._task(definition, state) if definition["Type"] == "Task" else self._map(definition, state)
            except StepError as error:
                number, retrier = next(
                    ((n, r) for n, r in enumerate(definition.get("Retry", [])) if _matches(r, error)), (0, None)
                )
                if retrier and tries[number] < retrier.get("MaxAttempts", _ATTEMPTS):
                    tries[number] += 1
                    continue
                catcher = next((c for c in definition.get("Catch", []) if _matches(c, error)), None)
                if catcher is None:
                    raise
                return _put(catcher["ResultPath"], state, error.failure), catcher["Next"]
            return _put(definition.get("ResultPath", "$"), state, result), definition.get("Next")

    def _task(self, definition: Mapping[str, Any], state: Any) -> Any:
        call = _filled(definition["Parameters"], state)
        if definition["Resource"] == "arn:${Partition}:states:::states:startExecution.sync":
            return self.run(json.loads(json.dumps(call["Input"])))
        if definition["Resource"] != "arn:${Partition}:states:::lambda:invoke":
            raise NotImplementedError(definition["Resource"])
        payload = json.loads(json.dumps(call["Payload"]))
        answer = json.loads(json.dumps(self.step(re.sub(r"\W|FunctionArn", "", call["FunctionName"]), payload)))
        return _filled(definition.get("ResultSelector", {"Payload.$": "$.Payload"}), {"Payload": answer})

    def _map(self, definition: Mapping[str, Any], state: Any) -> Any:
        path = definition.get("MaxConcurrencyPath")
        if not (_at(path, state) if path else definition["MaxConcurrency"]) > 0:
            raise StepError("States.Runtime", "The map has no concurrency.")
        reader = definition["ItemReader"]
        if reader["ReaderConfig"] != {"InputType": "JSON"}:
            raise NotImplementedError(reader)
        try:
            items = json.loads(self.objects.read(_filled(reader["Parameters"], state)["Key"]))
        except Exception as error:
            raise StepError("States.ItemReaderFailed", str(error)) from error
        for item in items:
            try:
                self.run(item, definition["ItemProcessor"])
            except StepError as error:
                cause = "The specified tolerated failure threshold was exceeded"
                raise StepError("States.ExceedToleratedFailureThreshold", cause) from error
        return None


def _matches(rule: Mapping[str, Any], error: StepError) -> bool:
    return bool({"States.ALL", error.failure["Error"]} & set(rule["ErrorEquals"]))


def _choose(definition: Mapping[str, Any], state: Any) -> str:
    for choice in definition["Choices"]:
        rule = dict(choice)
        variable, following = rule.pop("Variable"), rule.pop("Next")
        found = _at(variable, state)
        match rule:
            case {"IsPresent": True}:
                is_met = found is not None
            case {"BooleanEquals": expected}:
                is_met = found is expected
            case {"NumericLessThan": limit}:
                is_met = found < limit
            case other:
                raise NotImplementedError(other)
        if is_met:
            return str(following)
    return str(definition["Default"])


def _at(path: str, state: Any) -> Any:
    for name in path.split(".")[1:]:
        state = state.get(name) if isinstance(state, dict) else None
    return state


def _put(path: str | None, state: Any, result: Any) -> Any:
    if path is None:
        return state
    if path == "$":
        return result
    return {**state, path.removeprefix("$."): result}


def _filled(template: Mapping[str, Any], state: Any) -> dict[str, Any]:
    """Fill the paths of a payload template from the state."""
    return {
        name.removesuffix(".$"): _at(value, state)
        if name.endswith(".$")
        else _filled(value, state)
        if isinstance(value, dict)
        else value
        for name, value in template.items()
    }
