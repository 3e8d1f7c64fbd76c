"""The steps of an export, run by AWS Step Functions."""

import json
from typing import TYPE_CHECKING

from exporttiles.domain.job import Job
from exporttiles.ports import Execution, ExecutionStatus

if TYPE_CHECKING:  # stubs, not in the layer
    from mypy_boto3_stepfunctions import SFNClient


class StepFunctionsWorkflow:
    """Starts one execution a job, under the job's own id."""

    def __init__(self, client: "SFNClient", state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    def start(self, job: Job) -> None:
        """Start the steps for a job; a second start of one job does nothing."""
        try:
            self._client.start_execution(
                stateMachineArn=self._state_machine_arn,
                name=job.job_id,
                input=json.dumps({"job_id": job.job_id, "expected_bytes": job.expected_bytes}),
            )
        except self._client.exceptions.ExecutionAlreadyExists:
            return

    def find(self, job_id: str) -> Execution | None:
        """Return how the steps of a job fare; None if they were never started."""
        try:
            found = self._client.describe_execution(executionArn=self._arn(job_id))
        except self._client.exceptions.ExecutionDoesNotExist:
            return None
        return Execution(ExecutionStatus(found["status"]), found.get("error", ""), found.get("cause", ""))

    def stop(self, job_id: str) -> None:
        """End the steps of a job; steps that have ended stay as they are."""
        try:
            self._client.stop_execution(executionArn=self._arn(job_id))
        except self._client.exceptions.ExecutionDoesNotExist:
            return

    def _arn(self, job_id: str) -> str:
        return f"{self._state_machine_arn.replace(':stateMachine:', ':execution:')}:{job_id}"
