"""The command ``exporttiles resume``."""

import click

from exporttiles.adapters.dynamodb_jobs import DynamoDbJobs
from exporttiles.adapters.process import SystemClock
from exporttiles.adapters.stepfunctions_workflow import StepFunctionsWorkflow
from exporttiles.cli.command import Command
from exporttiles.cli.stack import Outputs, aws_client, session, stack_option
from exporttiles.usecases.resume_export import ResumeExport


@click.command(cls=Command)
@click.argument("job_id")
@stack_option
def resume(job_id: str, stack: str) -> None:
    """Resume an export that failed.

    Only the missing work is done: finished tile ranges are kept.
    """
    outputs, clock = Outputs(stack), SystemClock()
    jobs = DynamoDbJobs(session().resource("dynamodb").Table(outputs["JobTableName"]), clock)
    workflow = StepFunctionsWorkflow(aws_client("stepfunctions"), outputs["StateMachineArn"])
    job = ResumeExport(jobs, workflow, clock)(job_id)
    print(f"{job.job_id} goes on: attempt {job.attempt}, kept until {job.expires_at:%Y-%m-%d %H:%M} UTC.")
