"""The command ``exporttiles resume``: an export that failed goes on where it stopped."""

import argparse

from exporttiles.adapters.dynamodb_jobs import DynamoDbJobs
from exporttiles.adapters.stepfunctions_workflow import StepFunctionsWorkflow
from exporttiles.adapters.system_clock import SystemClock
from exporttiles.cli.stack import Outputs, add_stack_option, aws_client, session
from exporttiles.usecases.resume_export import ResumeExport


def add_resume_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of ``exporttiles``."""
    resume = commands.add_parser("resume", help="start an export again that failed; only what is missing is redone")
    resume.add_argument("job_id", help="id of the job")
    add_stack_option(resume)
    resume.set_defaults(run=_resume)


def _resume(options: argparse.Namespace) -> int:
    outputs, clock = Outputs(options.stack), SystemClock()
    jobs = DynamoDbJobs(session().resource("dynamodb").Table(outputs["JobTableName"]), clock)
    workflow = StepFunctionsWorkflow(aws_client("stepfunctions"), outputs["StateMachineArn"])
    job = ResumeExport(jobs, workflow, clock)(options.job_id)
    print(f"{job.job_id} goes on: attempt {job.attempt}, kept until {job.expires_at:%Y-%m-%d %H:%M} UTC.")
    return 0
