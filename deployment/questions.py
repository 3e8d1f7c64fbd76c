"""Claims about a deployed stack: packages, links, roles, faults, updates and figures."""

import base64
import json
import statistics
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from deployment import probes
from deployment.caches import DAMAGED, LARGE, bundle_key, level_of
from deployment.facts import DisprovedError, Figures, Question, Subject, UnprovedError, errors_of, require
from deployment.probes import CLOSER, PACKER, WORKER
from exporttiles.domain.tiling import BundleIndex
from exporttiles.usecases.pack_tile_package import FINISHING_SECONDS

_TOO_LITTLE_MEGABYTES = 128
_AT_A_TIME = 2
_CORNER = '{"xmin":-20037508,"ymin":19000000,"xmax":-19000000,"ymax":20037508,"spatialReference":{"wkid":3857}}'
_FACTOR = 2.0
_LARGE_REQUEST_BYTES = 7_000_000
_LONG_QUERY = 8_000
_LOG_SECONDS = 60
_METRIC_SECONDS = 300


# Packages ---------------------------------------------------------------------


def _large_package(subject: Subject) -> Figures:
    """Export the large cache; S3 has the checksum of the whole, and ours is equal."""
    began = time.time()
    job = _export_large(subject)
    subject.jobs["large"] = job | {"began": began, "ended": time.time()}
    size_bytes = _check_checksum(subject, job)
    seconds = probes.state_seconds(subject, job["jobId"], "PackTilePackage")
    return {
        "package_gigabytes": round(size_bytes / 1e9, 3),
        "pack_seconds": round(seconds, 1),
        "copy_megabytes_per_second": round(size_bytes / 1e6 / seconds, 1),
        "work_items": subject.size.bundles,
    }


def _by_parts(subject: Subject) -> Figures:
    """Export the large cache while the packer has time for one part in each invocation."""
    functions, packer = subject.stack.client("lambda"), subject.stack.physical_id(PACKER)
    usual = functions.get_function_configuration(FunctionName=packer)["Timeout"]
    probes.configure(functions, packer, Timeout=FINISHING_SECONDS)
    try:
        job = _export_large(subject)
    finally:
        probes.configure(functions, packer, Timeout=usual)
    _check_checksum(subject, job)
    invocations = [name for name, _ in probes.states(subject, job["jobId"])].count("PackTilePackage")
    require(invocations >= subject.size.bundles, f"The packer was invoked {invocations} times.")
    return {"invocations": invocations}


def _check_checksum(subject: Subject, job: Mapping[str, Any]) -> int:
    """Compare the checksum that S3 has of a package with that of the job's report; return the size of the package."""
    require(job["jobStatus"] == "esriJobSucceeded", "; ".join(errors_of(job)))
    report = _verification(subject, job)
    s3, bucket = subject.stack.client("s3"), subject.stack.outputs["PackageBucketName"]
    key = probes.objects(subject, job["jobId"])[0]
    head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    checksum = base64.b64decode(head.get("ChecksumCRC32", "")).hex()
    ours, kind = report["checksums"]["package"], head.get("ChecksumType")
    require(kind == "FULL_OBJECT", f"S3 says that its checksum is of the kind {kind}.")
    require(checksum == ours, f"S3 says {checksum}, the report of the job {ours}.")
    size_bytes: int = head["ContentLength"]
    return size_bytes


def _head(subject: Subject) -> Figures:
    """Ask for the length of the package without downloading it."""
    url = subject.client.package_url(LARGE, _large(subject))
    with subject.client.open(url, "HEAD") as answer:
        length = int(answer.headers["Content-Length"])
    key = probes.objects(subject, _large(subject)["jobId"])[0]
    bucket = subject.stack.outputs["PackageBucketName"]
    size = subject.stack.client("s3").head_object(Bucket=bucket, Key=key)["ContentLength"]
    require(length == size, f"HEAD says {length} bytes, and the package has {size}.")
    return {}


def _range(subject: Subject) -> Figures:
    """Download the first bytes of the package: those of a zip archive."""
    with subject.client.open(subject.client.package_url(LARGE, _large(subject)), Range="bytes=0-3") as answer:
        status, start = answer.status, answer.read()
    require((status, start) == (206, b"PK\x03\x04"), f"The answer was {status} with {start!r}.")
    return {}


def _regional_link(subject: Subject) -> Figures:
    """Follow a link to the package by hand: no second redirect, and the host is in the region."""
    url = subject.client.package_url(LARGE, _large(subject))
    _, link = probes.fetch(subject.client.with_token(url))
    status, _ = probes.fetch(link, Range="bytes=0-3")
    region = subject.stack.client("s3").meta.region_name
    host = urlsplit(link).hostname or ""
    bucket = subject.stack.outputs["PackageBucketName"]
    require(host.startswith(f"{bucket}.s3.{region}."), f"The link leads to {host}.")
    require(status == 206, f"The link answers {status}.")
    return {}


def _encoded_path(subject: Subject) -> Figures:
    """Ask for a service with a percent-encoded name."""
    encoded = subject.client.get(f"{LARGE.replace('_', '%5F')}/ImageServer")
    require(encoded == subject.client.get(f"{LARGE}/ImageServer"), f"The answer was {encoded}.")
    return {}


def _long_address(subject: Subject) -> Figures:
    """Ask with a query of 8,000 characters, as a polygon in a GET request has."""
    answer = subject.client.get(f"{LARGE}/ImageServer", areaOfInterest="0" * _LONG_QUERY)
    require(answer == subject.client.get(f"{LARGE}/ImageServer"), f"The answer was {str(answer)[:200]}.")
    return {"characters": _LONG_QUERY}


def _large_request(subject: Subject) -> Figures:
    """POST more than Lambda takes."""
    try:
        answer = subject.client.post(f"{LARGE}/ImageServer/exportTiles", areaOfInterest="0" * _LARGE_REQUEST_BYTES)
    except HTTPError as error:
        require(error.code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The status is {error.code}.")
        return {"bytes": _LARGE_REQUEST_BYTES}
    raise DisprovedError(f"The answer was {str(answer)[:200]}.")


# Roles ------------------------------------------------------------------------


def _roles(subject: Subject) -> Figures:
    """Let Access Analyzer look at every statement of every role."""
    iam, analyzer = subject.stack.client("iam"), subject.stack.client("accessanalyzer")
    found, roles = [], subject.stack.of_kind("AWS::IAM::Role")
    for role in roles:
        for name in iam.list_role_policies(RoleName=role.physical_id)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role.physical_id, PolicyName=name)["PolicyDocument"]
            answer = analyzer.validate_policy(policyDocument=json.dumps(document), policyType="IDENTITY_POLICY")
            found += [
                f"{role.logical_id}: {each['issueCode']}: {each['findingDetails']}"
                for each in answer["findings"]
                if each["findingType"] in {"ERROR", "SECURITY_WARNING"}
            ]
    require(not found, "; ".join(found))
    return {"roles": len(roles)}


# Faults -----------------------------------------------------------------------


def _throttled(subject: Subject) -> Figures:
    """Export the large cache while two workers may run at a time."""
    with probes.workers_at_a_time(subject, _AT_A_TIME):
        start = time.monotonic()
        job = _export_large(subject)
        seconds = time.monotonic() - start
    require(job["jobStatus"] == "esriJobSucceeded", "; ".join(errors_of(job)))
    return {"workers": _AT_A_TIME, "work_items": subject.size.bundles, "seconds": round(seconds, 1)}


def _out_of_memory(subject: Subject) -> Figures:
    """Export with a worker that cannot hold a bundle."""
    functions, worker = subject.stack.client("lambda"), subject.stack.physical_id(WORKER)
    memory = functions.get_function_configuration(FunctionName=worker)["MemorySize"]
    probes.configure(functions, worker, MemorySize=_TOO_LITTLE_MEGABYTES)
    try:
        job = _export_large(subject)
    finally:
        probes.configure(functions, worker, MemorySize=memory)
    said = "; ".join(errors_of(job))
    require(job["jobStatus"] == "esriJobFailed", f"The job ended as {job['jobStatus']}.")
    require("WorkerMemory" in said, said)
    return {"megabytes": _TOO_LITTLE_MEGABYTES}


def _cancel(subject: Subject) -> Figures:
    """Cancel an export while its workers run."""
    client = subject.client
    job_id = _submit_large(subject)
    _wait_until_started(subject, job_id)
    client.post(f"{LARGE}/ImageServer/jobs/{job_id}/cancel")
    return _ends_cancelled(subject, job_id)


def _stop(subject: Subject) -> Figures:
    """Stop the execution of an export, as an operator does."""
    job_id = _submit_large(subject)
    _wait_until_started(subject, job_id)
    subject.stack.client("stepfunctions").stop_execution(executionArn=probes.execution(subject, job_id))
    return _ends_cancelled(subject, job_id)


def _damaged(subject: Subject) -> Figures:
    """Damage the only bundle of a cache after it was published, and export it."""
    s3, bucket, key = subject.stack.client("s3"), subject.stack.outputs["TileBucketName"], _damaged_key()
    whole = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=bucket, Key=key, Body=bytes(64) + whole[64:])
    began = time.time()
    try:
        job = subject.client.export(DAMAGED, levels="7")
    finally:
        s3.put_object(Bucket=bucket, Key=key, Body=whole)
    subject.jobs["damaged"] = job | {"began": began}
    said = "; ".join(errors_of(job))
    require(job["jobStatus"] == "esriJobFailed", f"The job ended as {job['jobStatus']}.")
    require(key.rpartition("_alllayers/")[2] in said, said)
    return {}


def _counted_once(subject: Subject) -> Figures:
    """Count the datapoints that CloseJob wrote for one failed work item, after which map and execution fail, too."""
    began = _damaged_job(subject)["began"]
    probes.wait(
        lambda: probes.log_lines(subject, CLOSER, "ExportsFailed", began), 2 if subject.endpoint else _LOG_SECONDS
    )
    time.sleep(0 if subject.endpoint else _LOG_SECONDS)  # for those that come late
    count = len([line for line in probes.log_lines(subject, CLOSER, "ExportsFailed", began) if "_aws" in line])
    require(count == 1, f"There are {count} datapoints for one failure.")
    return {"datapoints": count}


def _metric_arrives(subject: Subject) -> Figures:
    """Find the failure among the metrics of CloudWatch."""
    _damaged_job(subject)
    cloudwatch = subject.stack.client("cloudwatch")

    def datapoints() -> list[Any]:
        now = time.time()
        found = cloudwatch.get_metric_statistics(
            Namespace=f"ExportTiles/{subject.stack.name}",
            MetricName="ExportsFailed",
            Dimensions=[{"Name": "service", "Value": "close_job"}],
            StartTime=now - 3_600,
            EndTime=now,
            Period=60,
            Statistics=["Sum"],
        )
        return list(found["Datapoints"])

    found = probes.wait(datapoints, 2 if subject.endpoint else _METRIC_SECONDS)
    require(found, f"There is no datapoint after {_METRIC_SECONDS} s.")
    return {"datapoints": len(found)}


def _redrive(subject: Subject) -> Figures:
    """Redrive the execution of the failed job, whose cache is mended by now."""
    job_id = _damaged_job(subject)["jobId"]
    workflow = subject.stack.client("stepfunctions")
    workflow.redrive_execution(executionArn=probes.execution(subject, job_id))
    probes.wait(
        lambda: workflow.describe_execution(executionArn=probes.execution(subject, job_id))["status"] != "RUNNING", 300
    )
    status = subject.client.get(f"{DAMAGED}/ImageServer/jobs/{job_id}")["jobStatus"]
    require(status == "esriJobFailed", f"The job is {status}.")
    require(not probes.objects(subject, job_id), "It left a package.")
    return {}


# Updates ----------------------------------------------------------------------


def _update(subject: Subject) -> Figures:
    """Update definition and functions while an export waits for its first worker."""
    with probes.workers_at_a_time(subject, 0):
        job_id = _submit_large(subject)
        _wait_until_started(subject, job_id)
        subject.deploy({"SmallExportBytes": "100000000", "WorkerMemory": "2048"})
        status = subject.client.get(f"{LARGE}/ImageServer/jobs/{job_id}")["jobStatus"]
    job = subject.client.wait(LARGE, job_id)
    require(job["jobStatus"] == "esriJobSucceeded", "; ".join(errors_of(job)))
    if status != "esriJobExecuting":
        raise UnprovedError("The export had ended before the update had.")
    return {}


def _at_once(subject: Subject) -> Figures:
    """Export a cache that is small for the parameters by now."""
    job = subject.client.export(DAMAGED, levels="7", exportExtent=_CORNER)
    require(job["jobStatus"] == "esriJobSucceeded", "; ".join(errors_of(job)))
    states = [name for name, *_ in probes.states(subject, job["jobId"])]
    require("ExportAtOnce" in states, f"It went through {', '.join(states)}.")
    return {}


# Figures ----------------------------------------------------------------------


def _cold_starts(subject: Subject) -> Figures:
    """Read from the logs how long functions took to start."""
    figures = {}
    for function in subject.stack.of_kind("AWS::Lambda::Function"):
        reports = [probes.metrics_of(line) for line in probes.log_lines(subject, function.logical_id, "initDurationMs")]
        starts = [each["initDurationMs"] for each in reports if "initDurationMs" in each]
        if starts:
            figures[f"{function.logical_id}_start_milliseconds"] = round(statistics.median(starts))
    if not figures:
        raise UnprovedError("No log has a start of a function.")
    return figures


def _memory_time(subject: Subject) -> Figures:
    """Compare the usage that the large export reports with the usage that Lambda bills."""
    job = _large(subject)
    said = next(message["description"] for message in job["messages"] if message["description"].startswith("Used:"))
    counted = float(said.partition(" GB-s")[0].rpartition(" ")[2].replace(",", ""))
    billed = 0.0
    for name in ("PlanExportFunction", WORKER, PACKER, CLOSER):
        lines = probes.log_lines(subject, name, "billedDurationMs", job["began"], job["ended"] + _LOG_SECONDS)
        function = subject.stack.physical_id(name)
        memory = subject.stack.client("lambda").get_function_configuration(FunctionName=function)["MemorySize"]
        billed += sum(probes.metrics_of(line)["billedDurationMs"] for line in lines) / 1000 * memory / 1024
    if not billed:
        raise UnprovedError("No log has a duration that was billed.")
    require(
        1 / _FACTOR < billed / counted < _FACTOR, f"The export counted {counted} GB-s, and Lambda billed {billed:.1f}."
    )
    return {"counted_gigabyte_seconds": counted, "billed_gigabyte_seconds": round(billed, 1)}


def _never(reason: str) -> Callable[[Subject], Figures]:
    def ask(_: Subject) -> Figures:
        raise UnprovedError(reason)

    return ask


# Helpers ----------------------------------------------------------------------


def _submit_large(subject: Subject) -> str:
    return subject.client.submit(LARGE, levels=str(level_of(subject.size.bundles)))


def _export_large(subject: Subject) -> dict[str, Any]:
    return subject.client.wait(LARGE, _submit_large(subject))


def _large(subject: Subject) -> dict[str, Any]:
    """Return the job of the large export."""
    if "large" not in subject.jobs or subject.jobs["large"]["jobStatus"] != "esriJobSucceeded":
        raise UnprovedError("There is no large package.")
    return subject.jobs["large"]


def _damaged_job(subject: Subject) -> dict[str, Any]:
    if "damaged" not in subject.jobs or subject.jobs["damaged"]["jobStatus"] != "esriJobFailed":
        raise UnprovedError("No export has failed.")
    return subject.jobs["damaged"]


def _damaged_key() -> str:
    return bundle_key(DAMAGED, BundleIndex(7, 0, 0))


def _verification(subject: Subject, job: Mapping[str, Any]) -> dict[str, Any]:
    url = subject.client.get(f"{LARGE}/ImageServer/jobs/{job['jobId']}/{job['results']['verification']['paramUrl']}")
    with subject.client.open(url["value"]["url"]) as answer:
        report: dict[str, Any] = json.load(answer)
    return report


def _wait_until_started(subject: Subject, job_id: str) -> None:
    probes.wait(lambda: any(name == "ExportTileRanges" for name, _ in probes.states(subject, job_id)), 120)


def _ends_cancelled(subject: Subject, job_id: str) -> Figures:
    job = subject.client.wait(LARGE, job_id)
    require(job["jobStatus"] == "esriJobCancelled", f"The job ended as {job['jobStatus']}.")
    probes.wait(lambda: not probes.objects(subject, job_id), 120)
    require(not probes.objects(subject, job_id), "It left a package.")
    return {}


QUESTIONS = (
    Question(
        "roles.policies",
        "Access Analyzer finds no error and no risk in the policies of the roles.",
        _roles,
        "The emulator has no Access Analyzer.",
    ),
    Question("packages.checksum", "S3 compares the checksum of a whole package that it joined.", _large_package),
    Question("packages.by_parts", "A package that takes several invocations of the packer is whole.", _by_parts),
    Question("packages.head", "HEAD returns the length of a package.", _head),
    Question("packages.range", "A part of a package can be downloaded.", _range),
    Question(
        "packages.link",
        "A link leads to the bucket in its region, without another redirect.",
        _regional_link,
        "The emulator has one address for all buckets.",
    ),
    Question("api.encoded_path", "Percent-encoded paths are understood.", _encoded_path),
    Question("api.long_address", "An address of 8,000 characters is understood.", _long_address),
    Question(
        "api.large_request",
        "A request that Lambda cannot take is answered with 413.",
        _large_request,
        "The emulator passes requests of any size to functions.",
    ),
    Question("faults.throttled", "An export whose workers are throttled succeeds, slowly.", _throttled),
    Question(
        "faults.memory",
        "An export whose worker has too little memory says so.",
        _out_of_memory,
        "The emulator gives functions all the memory they want.",
    ),
    Question("faults.cancelled", "A cancelled export ends cancelled and leaves no package.", _cancel),
    Question("faults.stopped", "An export that an operator stops ends cancelled and leaves no package.", _stop),
    Question("faults.damaged", "An export of a damaged bundle fails and names the bundle.", _damaged),
    Question("metrics.once", "One failure is one datapoint.", _counted_once),
    Question(
        "metrics.arrive",
        "Metrics that functions write into their logs arrive in CloudWatch.",
        _metric_arrives,
        "The emulator makes no metrics of logs.",
    ),
    Question(
        "faults.redriven",
        "A redriven execution leaves its job as it ended.",
        _redrive,
        "The emulator cannot redrive an execution.",
    ),
    Question("update.running", "An export that runs while the stack is updated succeeds.", _update),
    Question("update.parameters", "A changed parameter holds for the next export.", _at_once),
    Question(
        "figures.starts",
        "Lambda reports how long functions take to start.",
        _cold_starts,
        "The emulator does not start functions as Lambda does.",
    ),
    Question(
        "figures.memory_time",
        "Exports count the memory and time that Lambda bills, within a factor of two.",
        _memory_time,
        "The emulator bills nothing.",
    ),
    Question(
        "figures.bill",
        "The bill is what the jobs have estimated.",
        _never("The bill is known a day later: compare it in Cost Explorer by the name of the stack."),
    ),
    Question(
        "load.prefixes",
        "An export of a million files waits while S3 splits their prefix.",
        _never("It needs a cache of a million files, and costs more than all other questions together."),
    ),
)
