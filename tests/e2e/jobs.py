"""What a test sees of a job: what it says, the states of its execution, what it left behind."""

from time import monotonic, sleep

from exporttiles.messages.execution import execution_name

AT_ONCE = ["Kind?", "ExportAtOnce", "CloseJob", "Failed?", "ExportSucceeded"]
STEPS = [
    "Kind?",
    "PlanExport",
    "ExportTileRanges",
    "PackTilePackage",
    "Packed?",
    "CloseJob",
    "Failed?",
    "ExportSucceeded",
]


def texts(job, kind=""):
    """Return the messages of a job: all, or errors or warnings alone."""
    return [m["description"] for m in job["messages"] if m["type"].endswith(kind)]


def execution_of(cloud, job_id, attempt=1):
    """Return the ARN of the execution of an attempt."""
    machine = cloud.outputs["StateMachineArn"].replace(":stateMachine:", ":execution:")
    return f"{machine}:{execution_name(job_id, attempt)}"


def end_of(cloud, job_id):
    """Return how an execution ended, once it has: a little later than its job."""
    workflow, deadline = cloud.client("stepfunctions"), monotonic() + 60
    while (status := workflow.describe_execution(executionArn=execution_of(cloud, job_id))["status"]) == "RUNNING":
        assert monotonic() < deadline, "the execution does not end"
        sleep(0.1)
    return status


def states_of(cloud, job_id):
    """Return the states that the execution of a job entered, once it has ended."""
    end_of(cloud, job_id)
    history = cloud.client("stepfunctions").get_execution_history(executionArn=execution_of(cloud, job_id))
    return [event["stateEnteredEventDetails"]["name"] for event in history["events"] if "Entered" in event["type"]]


def left_behind(cloud, job_id):
    """Return the fragments, packages and open uploads of a job."""
    s3, bucket = cloud.client("s3"), cloud.outputs["PackageBucketName"]
    keys = []
    for prefix in (f"jobs/{job_id}/fragments/", f"packages/{job_id}/"):
        keys += [found["Key"] for found in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]
    return keys + s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
