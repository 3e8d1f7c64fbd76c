"""The command ``exporttiles replay``: requests that could not be handled are tried again."""

import argparse

from exporttiles.cli.stack import Outputs, add_stack_option, aws_client
from exporttiles.domain.wording import counted


def add_replay_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of ``exporttiles``."""
    replay = commands.add_parser("replay", help="try requests of files and events again that could not be handled")
    add_stack_option(replay)
    replay.set_defaults(run=_replay)


def _replay(options: argparse.Namespace) -> int:
    outputs = Outputs(options.stack)
    count = _move(outputs["RequestDeadLetterQueueUrl"], outputs["RequestQueueUrl"])
    print(f"Tried again: {counted(count, 'request')}.")
    if "ImageryQueueUrl" in outputs:
        count = _move(outputs["ImageryDeadLetterQueueUrl"], outputs["ImageryQueueUrl"])
        print(f"Looked at again: {counted(count, 'object')} of new imagery.")
    return 0


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
