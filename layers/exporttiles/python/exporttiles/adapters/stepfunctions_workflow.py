"""Executions in AWS Step Functions."""

import json
from typing import TYPE_CHECKING

from exporttiles.domain.job import Job
from exporttiles.messages.execution import execution_input, execution_name
from exporttiles.ports.workflow import Execution, ExecutionStatus

if TYPE_CHECKING:  # stubs, not in the layer
    from mypy_boto3_stepfunctions import SFNClient


class StepFunctionsWorkflow:
    """One execution for each attempt of a job, named after the job."""

    def __init__(self, client: "SFNClient", state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    def start(self, job: Job) -> None:
        """Start the execution of a job's current attempt; do nothing if it was started before."""
        try:
            self._client.start_execution(
                stateMachineArn=self._state_machine_arn,
                name=execution_name(job.job_id, job.attempt),
                input=json.dumps(execution_input(job)),
            )
        except self._client.exceptions.ExecutionAlreadyExists:
            return

    def find(self, job_id: str, attempt: int = 1) -> Execution | None:
        """Return the execution of an attempt; None if it was never started."""
        try:
            found = self._client.describe_execution(executionArn=self._arn(job_id, attempt))
        except self._client.exceptions.ExecutionDoesNotExist:
            return None
        return Execution(ExecutionStatus(found["status"]), found.get("error", ""), found.get("cause", ""))

    def stop(self, job_id: str, attempt: int = 1) -> None:
        """Stop the execution of an attempt; do nothing if it has ended."""
        try:
            self._client.stop_execution(executionArn=self._arn(job_id, attempt))
        except self._client.exceptions.ExecutionDoesNotExist:
            return

    def _arn(self, job_id: str, attempt: int) -> str:
        machine = self._state_machine_arn.replace(":stateMachine:", ":execution:")
        return f"{machine}:{execution_name(job_id, attempt)}"
