"""The commands ``exporttiles resume`` and ``exporttiles replay``: try again after a failure."""

import click

from exporttiles.adapters.dynamodb_jobs import DynamoDbJobs
from exporttiles.adapters.object_stores import open_store
from exporttiles.adapters.process import SystemClock
from exporttiles.adapters.stepfunctions_workflow import StepFunctionsWorkflow
from exporttiles.cli.command import Command, filled
from exporttiles.cli.stack import Outputs, aws_client, session, stack_option
from exporttiles.domain.errors import JobNotFoundError, JobStateError, RequestError
from exporttiles.domain.wording import counted
from exporttiles.usecases.list_packages import ListPackages
from exporttiles.usecases.resume_export import ResumeExport


@click.command(cls=Command)
@click.argument("job_id", callback=filled)
@stack_option
def resume(job_id: str, stack: str) -> None:
    """Resume a failed export.

    JOB_ID is the id of the job. Finished tile ranges are kept; only the missing work is done.
    """
    outputs, clock = Outputs(stack), SystemClock()
    jobs = DynamoDbJobs(session().resource("dynamodb").Table(outputs["JobTableName"]), clock)
    workflow = StepFunctionsWorkflow(aws_client("stepfunctions"), outputs["StateMachineArn"])
    packages = open_store(f"s3://{outputs['PackageBucketName']}")
    try:
        job = ResumeExport(jobs, workflow, clock, ListPackages(jobs, packages))(job_id)
    except (JobNotFoundError, JobStateError) as error:
        raise RequestError(str(error), "job_id") from error
    print(f"{job.job_id} is resumed: attempt {job.attempt}, kept until {job.expires_at:%Y-%m-%d %H:%M} UTC.")


@click.command(cls=Command)
@stack_option
def replay(stack: str) -> None:
    """Retry failed requests made by file or event.

    They wait in the dead-letter queues of the stack for 14 days.
    """
    outputs = Outputs(stack)
    count = _move(outputs["RequestDeadLetterQueueUrl"], outputs["RequestQueueUrl"])
    print(f"Retried: {counted(count, 'request')}.")
    if "ImageryQueueUrl" in outputs:
        count = _move(outputs["ImageryDeadLetterQueueUrl"], outputs["ImageryQueueUrl"])
        print(f"Retried: {counted(count, 'notice', 'notices')} of new imagery.")


def _move(source: str, target: str) -> int:
    """Move all messages from one queue to another. Return their number."""
    sqs = aws_client("sqs")
    count = 0
    while messages := sqs.receive_message(QueueUrl=source, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            # Sent before it is removed: at worst a request arrives twice, and the second finds the job of the first.
            sqs.send_message(QueueUrl=target, MessageBody=message["Body"])
            sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
            count += 1
    return count
