"""The gaps that local/launcher.py closes: each test fails when the emulator changes under it."""

import base64
import json
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError

from local.cloud import ROOT, LocalCloud, _answers, _emulator_python, _free_port

FUNCTION = """
import os, sys

class CacheDamagedError(Exception):
    pass

def handler(event, context):
    if event.get("fail"):
        raise CacheDamagedError(event["fail"])
    if event.get("unserialisable"):
        return {1, 2}
    if event.get("say"):
        print(event["say"])
    if "rawPath" in event:
        import json
        return {"statusCode": 200, "body": json.dumps(event)}
    return {"pid": os.getpid(), "python": sys.executable, "secret": os.environ.get("SECRET")}
"""

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  PublicBaseUrl: { Type: String }
  MaxConcurrency: { Type: Number }
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties: { CodeUri: code/, Handler: app.handler, Runtime: python3.13, Architectures: [arm64] }
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      Definition:
        StartAt: Try
        States:
          Try:
            Type: Task
            Resource: !GetAtt Function.Arn
            Catch: [{ ErrorEquals: [CacheDamagedError], ResultPath: $.failure, Next: Caught }]
            End: true
          Caught: { Type: Pass, End: true }
  Api:
    Type: AWS::ApiGatewayV2::Api
    Properties: { Name: api, ProtocolType: HTTP }
  Integration:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      ApiId: !Ref Api
      IntegrationType: AWS_PROXY
      IntegrationUri: !GetAtt Function.Arn
      PayloadFormatVersion: "2.0"
  Route:
    Type: AWS::ApiGatewayV2::Route
    Properties: { ApiId: !Ref Api, RouteKey: $default, Target: !Sub "integrations/${Integration}" }
  Stage:
    Type: AWS::ApiGatewayV2::Stage
    Properties: { ApiId: !Ref Api, StageName: $default, AutoDeploy: true }
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      Metrics:
        - Id: some
          ReturnData: false
          MetricStat:
            Metric: { Namespace: AWS/DynamoDB, MetricName: WriteThrottleEvents }
            Stat: Sum
            Period: 900
        - { Id: filled, Expression: "FILL(some, 0)" }
      EvaluationPeriods: 1
      Threshold: 1
      ComparisonOperator: GreaterThanOrEqualToThreshold
  Nested:
    Type: AWS::CloudFormation::Stack
    Properties: { TemplateURL: nested.yaml }
Outputs:
  NestedFunction: { Value: !GetAtt Nested.Outputs.Function }
  Function: { Value: !Ref Function }
  Machine: { Value: !Ref Machine }
"""

NESTED = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties: { CodeUri: code/, Handler: app.handler, Runtime: python3.13, Architectures: [arm64] }
Outputs:
  Function: { Value: !Ref Function }
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stack")
    (folder / "code").mkdir()
    (folder / "code" / "app.py").write_text(FUNCTION)
    template = folder / "template.yaml"
    template.write_text(TEMPLATE)
    (folder / "nested.yaml").write_text(NESTED)
    os.environ["SECRET"] = "of the caller"
    with LocalCloud(template=template) as cloud:
        yield cloud
    del os.environ["SECRET"]


@pytest.fixture(scope="module")
def invoke(cloud):
    client = cloud.client("lambda")

    def invoke(**event):
        answer = client.invoke(FunctionName=cloud.outputs["Function"], Payload=json.dumps(event), LogType="Tail")
        log = base64.b64decode(answer.get("LogResult", "")).decode()
        return answer.get("FunctionError"), json.load(answer["Payload"]), log

    return invoke


def test_functions_run_with_the_interpreter_of_the_caller(invoke):
    _, result, _ = invoke()

    assert result["python"] == sys.executable


def test_a_nested_stack_may_hold_functions(cloud):
    answer = cloud.client("lambda").invoke(FunctionName=cloud.outputs["NestedFunction"], Payload="{}")

    assert json.load(answer["Payload"])["python"] == sys.executable


def test_an_alarm_may_look_at_an_expression(cloud):
    (alarm,) = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]

    assert (alarm["MetricName"], alarm["Statistic"], alarm["Period"]) == ("WriteThrottleEvents", "Sum", 900)


def test_functions_see_nothing_of_the_callers_environment(invoke):
    _, result, _ = invoke()

    assert result["secret"] is None


def test_an_exception_keeps_its_class_name(invoke):
    error, result, log = invoke(fail="tile 3 is torn")

    assert error
    assert result["errorType"] == "CacheDamagedError"
    assert result["errorMessage"] == "tile 3 is torn"
    assert "Traceback" in log


def test_an_exception_does_not_end_the_functions_process(invoke):
    _, before, _ = invoke()
    invoke(fail="once")
    _, after, _ = invoke()

    assert after["pid"] == before["pid"]


def test_a_result_that_json_cannot_hold_is_a_marshal_error(invoke):
    _, result, _ = invoke(unserialisable=True)

    assert result["errorType"] == "Runtime.MarshalError"


def test_a_state_machine_catches_an_error_by_name(cloud):
    machine = cloud.client("stepfunctions")
    execution = machine.start_execution(stateMachineArn=cloud.outputs["Machine"], input='{"fail": "torn"}')

    while (status := machine.describe_execution(executionArn=execution["executionArn"]))["status"] == "RUNNING":
        time.sleep(0.05)

    assert status["status"] == "SUCCEEDED"
    assert json.loads(status["output"])["failure"]["Error"] == "CacheDamagedError"


def test_a_log_line_belongs_to_its_own_invocation(invoke):
    logs = [invoke(say=f"line {number}")[2] for number in range(20)]

    assert [f"line {number}" in log for number, log in enumerate(logs)] == [True] * 20
    assert not any("line 3" in log for log in logs[4:])
    assert not any("__end_of_log__" in log for log in logs)


def test_a_silent_invocation_does_not_wait_for_log_lines(invoke):
    def seconds():
        start = time.perf_counter()
        invoke()
        return time.perf_counter() - start

    assert min(seconds() for _ in range(20)) < 0.040  # unpatched: each takes 0.060, however idle the machine is


def test_the_api_is_reached_below_arcgis_as_behind_a_custom_domain(cloud):
    host = cloud.url.removeprefix("http://")
    request = Request(f"{cloud.url}/arcgis/rest/services/A%20B/ImageServer?f=json&q=a%2Cb", headers={"X-Try": "1"})

    with urlopen(request) as response:
        event = json.load(response)

    assert event["rawPath"] == "/arcgis/rest/services/A B/ImageServer"
    assert event["rawQueryString"] == "f=json&q=a%2Cb"
    assert event["headers"]["host"] == host
    assert event["headers"]["x-try"] == "1"


def test_the_short_cut_to_s3_keeps_its_rules(cloud):
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="rules")

    put = s3.put_object(
        Bucket="rules", Key="a b/é.jpg", Body=b"0123456789", ContentType="image/jpeg", Metadata={"k": "v"}
    )
    got = s3.get_object(Bucket="rules", Key="a b/é.jpg")

    assert got["Body"].read() == b"0123456789"
    assert (got["ETag"], got["ContentType"], got["Metadata"]) == (put["ETag"], "image/jpeg", {"k": "v"})
    part = s3.get_object(Bucket="rules", Key="a b/é.jpg", Range="bytes=2-4")
    assert (part["ContentRange"], part["Body"].read()) == ("bytes 2-4/10", b"234")
    for arguments, status in [
        ({"Key": "none"}, 404),
        ({"Key": "a b/é.jpg", "IfNoneMatch": put["ETag"]}, 304),
        ({"Key": "a b/é.jpg", "Range": "bytes=10-"}, 416),
        ({"Key": "a b/é.jpg", "IfMatch": '"other"'}, 412),
    ]:
        with pytest.raises(ClientError) as refused:
            s3.get_object(Bucket="rules", **arguments)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="rules", Key="a b/é.jpg", Body=b"", IfNoneMatch="*")


def test_another_version_of_the_emulator_is_refused(tmp_path):
    other = tmp_path / "ministack-9.9.9.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: ministack\nVersion: 9.9.9\n")

    done = subprocess.run(
        [_emulator_python(), ROOT / "local" / "launcher.py"],
        env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert "9.9.9" in done.stderr


def test_the_emulator_ends_with_its_standard_input(tmp_path):
    port = _free_port()
    emulator = subprocess.Popen(
        [_emulator_python(), ROOT / "local" / "launcher.py"],
        env={"PATH": os.defpath, "TMPDIR": str(tmp_path), "GATEWAY_PORT": str(port), "LAMBDA_PYTHON": sys.executable},
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    while not _answers(f"http://127.0.0.1:{port}/_ministack/health"):
        time.sleep(0.05)

    emulator.stdin.close()

    assert emulator.wait(10) is not None
    assert list(Path(tmp_path).glob("ministack-lambda-*")) == []


def test_what_a_schedule_puts_on_a_bus_is_called_as_it_says(cloud):
    bus, queue, scheduler = cloud.client("events"), cloud.client("sqs"), cloud.client("scheduler")
    bus_arn = bus.create_event_bus(Name="scheduled")["EventBusArn"]
    url = queue.create_queue(QueueName="scheduled")["QueueUrl"]
    arn = queue.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus.put_rule(Name="all", EventBusName="scheduled", EventPattern='{"source": ["our.schedule"]}')
    bus.put_targets(Rule="all", EventBusName="scheduled", Targets=[{"Id": "queue", "Arn": arn}])
    scheduler.create_schedule(
        Name="once",
        ScheduleExpression="at(2020-01-01T00:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": bus_arn,
            "RoleArn": "arn:aws:iam::000000000000:role/any",
            "EventBridgeParameters": {"DetailType": "Asked", "Source": "our.schedule"},
            "Input": '{"a": 1}',
        },
    )

    (message,) = queue.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]

    event = json.loads(message["Body"])
    assert (event["detail-type"], event["detail"]) == ("Asked", {"a": 1})


def test_a_throttled_function_is_called_so_by_step_functions(cloud):
    functions, states = cloud.client("lambda"), cloud.client("stepfunctions")
    functions.put_function_concurrency(FunctionName=cloud.outputs["Function"], ReservedConcurrentExecutions=0)
    execution = states.start_execution(stateMachineArn=cloud.outputs["Machine"])["executionArn"]

    while (ended := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
        time.sleep(0.05)
    functions.delete_function_concurrency(FunctionName=cloud.outputs["Function"])

    assert ended["error"] == "Lambda.TooManyRequestsException"


def test_a_distributed_map_runs_as_many_items_at_a_time_as_its_input_says(cloud):
    states = cloud.client("stepfunctions")
    wait = {"Type": "Wait", "Seconds": 1, "End": True}
    items = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "MaxConcurrencyPath": "$.most",
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Wait",
            "States": {"Wait": wait},
        },
        "End": True,
    }
    machine = states.create_state_machine(
        name="bounded",
        definition=json.dumps({"StartAt": "Items", "States": {"Items": items}}),
        roleArn="arn:aws:iam::000000000000:role/any",
    )["stateMachineArn"]
    began = time.monotonic()
    execution = states.start_execution(stateMachineArn=machine, input='{"items": [1, 2, 3, 4], "most": 2}')

    while states.describe_execution(executionArn=execution["executionArn"])["status"] == "RUNNING":
        time.sleep(0.05)

    assert time.monotonic() - began >= 2  # unpatched: all four at once
    (run,) = states.list_map_runs(executionArn=execution["executionArn"])["mapRuns"]
    assert states.describe_map_run(mapRunArn=run["mapRunArn"])["maxConcurrency"] == 2


def test_an_upload_in_parts_is_compared_with_the_checksum_of_the_whole(cloud):
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="whole")
    parts = [b"a" * 5_000, b"b" * 300]
    checksum = base64.b64encode(zlib.crc32(b"".join(parts)).to_bytes(4, "big")).decode()
    wrong = base64.b64encode(bytes(4)).decode()
    upload = {"Bucket": "whole", "Key": "parts"}
    upload["UploadId"] = s3.create_multipart_upload(
        Bucket="whole", Key="parts", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT"
    )["UploadId"]
    done = [
        {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=part)["ETag"]}
        for number, part in enumerate(parts, start=1)
    ]
    complete = {**upload, "MultipartUpload": {"Parts": done}, "ChecksumType": "FULL_OBJECT"}

    with pytest.raises(ClientError, match="BadDigest"):
        s3.complete_multipart_upload(**complete, ChecksumCRC32=wrong)
    s3.complete_multipart_upload(**complete, ChecksumCRC32=checksum)

    found = s3.head_object(Bucket="whole", Key="parts", ChecksumMode="ENABLED")
    assert (found["ChecksumType"], found["ChecksumCRC32"]) == ("FULL_OBJECT", checksum)
