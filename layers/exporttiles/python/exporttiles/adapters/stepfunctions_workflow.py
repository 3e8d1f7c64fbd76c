"""The steps of an export, run by AWS Step Functions."""

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # stubs, not in the layer
    from mypy_boto3_stepfunctions import SFNClient


class StepFunctionsWorkflow:
    """Starts one execution a job, under the job's own id."""

    def __init__(self, client: "SFNClient", state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    def start(self, job_id: str) -> None:
        """Start the steps for a job; a second start of one job does nothing."""
        try:
            self._client.start_execution(
                stateMachineArn=self._state_machine_arn,
                name=job_id,
                input=json.dumps({"job_id": job_id}),
            )
        except self._client.exceptions.ExecutionAlreadyExists:
            return
