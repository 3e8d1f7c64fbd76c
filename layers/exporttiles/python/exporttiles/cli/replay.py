"""The command ``exporttiles replay``."""

import click

from exporttiles.cli.command import Command
from exporttiles.cli.stack import Outputs, aws_client, stack_option
from exporttiles.domain.wording import counted


@click.command(cls=Command)
@stack_option
def replay(stack: str) -> None:
    """Retry the requests by file or event that failed."""
    outputs = Outputs(stack)
    count = _move(outputs["RequestDeadLetterQueueUrl"], outputs["RequestQueueUrl"])
    print(f"Tried again: {counted(count, 'request')}.")
    if "ImageryQueueUrl" in outputs:
        count = _move(outputs["ImageryDeadLetterQueueUrl"], outputs["ImageryQueueUrl"])
        print(f"Looked at again: {counted(count, 'object')} of new imagery.")


def _move(source: str, target: str) -> int:
    """Send all messages of a queue to another; return how many there were."""
    sqs = aws_client("sqs")
    count = 0
    while messages := sqs.receive_message(QueueUrl=source, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            # Sent before it is removed: at worst a request comes twice, and then it finds its job.
            sqs.send_message(QueueUrl=target, MessageBody=message["Body"])
            sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
            count += 1
    return count
