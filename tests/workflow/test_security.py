"""Security of the template after SAM's transform: permissions, encryption and expiry."""

import json
import re

import pytest
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from tests.workflow.stack import ROOT, TEMPLATE, inlined, nested_in


class _NoPolicies:
    """SAM asks AWS for the managed policies there are; the template names none."""

    def load(self):
        return {}


def _transformed(path):
    template = yaml_parse(path.read_text())
    for resource in template["Resources"].values():
        for place in ("CodeUri", "ContentUri", "DefinitionUri"):  # where `sam package` would have put them
            if place in resource.get("Properties", {}):
                resource["Properties"][place] = "s3://artifacts/it"
    return transform(template, {}, _NoPolicies())


def _resources():
    whole = _transformed(ROOT / "template.yaml")
    nested = [inlined(_transformed(path)["Resources"], parameters) for path, parameters in nested_in(whole)]
    return {name: resource for part in (whole["Resources"], *nested) for name, resource in part.items()}


with pytest.MonkeyPatch.context() as patch:
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    RESOURCES = _resources()

MANAGED_POLICIES = {
    "AWSLambdaBasicExecutionRole": "SAM gives it to every function: writing logs, to any group of the account",
    "AWSXrayWriteOnlyAccess": "X-Ray knows no resources",
}
PLAIN_TOPICS = {
    "AlarmTopic": "CloudWatch cannot publish to a topic encrypted with the key of AWS; an alarm is no secret",
    "NotificationTopic": "EventBridge cannot publish under SNS's own key, and what it carries leaves as plain mail",
}
FOREVER = {"TileBucket": "the tiles are its owner's"}


def of_type(kind):
    return {name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == kind}


def listed(value):
    return value if isinstance(value, list) else [value]


def text_of(value):
    """Return a reference as text: ``${Name}`` or ``${Name.Attribute}`` where it names something."""
    match value:
        case {"Ref": name}:
            return f"${{{name}}}"
        case {"Fn::GetAtt": path}:
            return f"${{{path if isinstance(path, str) else '.'.join(path)}}}"
        case {"Fn::Sub": str(text)}:
            return text
    return value


ROLES = of_type("AWS::IAM::Role")
STATEMENTS = [
    (role, statement)
    for role, properties in ROLES.items()
    for policy in properties.get("Policies", [])
    for statement in policy["PolicyDocument"]["Statement"]
]
SHARED = {
    "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule"
}
"""Resources that AWS shares between the stacks of an account."""

BUCKETS = of_type("AWS::S3::Bucket")


def allowed(role, action, resource):
    """Return True if a role allows an action, as IAM decides: an explicit deny wins."""

    def holds(statement):
        # What a reference stands for is not known here, so it stands for itself.
        patterns = [re.escape(text_of(each)).replace(r"\*", ".*") for each in listed(statement["Resource"])]
        return action in listed(statement["Action"]) and any(re.fullmatch(each, resource) for each in patterns)

    effects = {statement["Effect"] for name, statement in STATEMENTS if name == role and holds(statement)}
    return effects == {"Allow"}


@pytest.mark.parametrize(("role", "statement"), STATEMENTS)
def test_every_statement_names_its_actions_and_something_of_this_stack(role, statement):
    for action in listed(statement["Action"]):
        assert re.fullmatch(r"[a-z0-9]+:[A-Za-z]+", action), role
    for resource in {*map(text_of, listed(statement["Resource"]))} - SHARED:
        named = re.findall(r"\$\{(\w+)(?:\.\w+)?\}|\$\{(AWS::StackName)\}", resource)
        assert named, f"{role}: {resource}"
        assert all(name in RESOURCES for name, _ in named if name)
        assert re.fullmatch(r"[^*]+([/:]\*(/[a-z]+-\*)?)?", resource), f"{role}: {resource}"
    assert "NotAction" not in statement
    assert "NotResource" not in statement


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_no_managed_policy_but_those_that_sam_adds_to_all(role):
    names = {arn.rpartition("/")[2] for arn in ROLES[role].get("ManagedPolicyArns", [])}

    assert names <= MANAGED_POLICIES.keys()


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_taken_by_one_service_of_aws(role):
    (statement,) = ROLES[role]["AssumeRolePolicyDocument"]["Statement"]

    (service,) = listed(statement["Principal"]["Service"])
    assert service in {"lambda.amazonaws.com", "states.amazonaws.com", "scheduler.amazonaws.com"}


def test_every_function_has_a_role_of_its_own():
    functions = of_type("AWS::Lambda::Function")
    roles = [text_of(properties["Role"]) for properties in functions.values()]

    assert len(set(roles)) == len(functions)


@pytest.mark.parametrize("function", of_type("AWS::Lambda::Function"))
def test_keys_are_read_by_those_who_let_people_in_and_by_nobody_else(function):
    may = allowed(f"{function}Role", "s3:GetObject", "${TileBucket.Arn}/tokens/0f.json")

    assert may is (function in {"ApiFunction", "RequestExportFunction"})


def resolved(value, parameters):
    """Return a value with Ref, Fn::Join, Fn::Split and Fn::If calculated; every condition holds."""
    match value:
        case {"Ref": name}:
            return parameters.get(name, value)
        case {"Fn::Join": [delimiter, texts]}:
            return delimiter.join(resolved(texts, parameters))
        case {"Fn::Split": [delimiter, text]}:
            return resolved(text, parameters).split(delimiter)
        case {"Fn::If": [_, then, _]}:
            return resolved(then, parameters)
        case dict():
            return {name: resolved(each, parameters) for name, each in value.items()}
        case list():
            return [resolved(each, parameters) for each in value]
    return value


def test_other_buckets_are_read_by_those_functions_that_read_tiles_and_nobody_can_do_more_there():
    (policy,) = of_type("AWS::IAM::Policy").values()
    keys = ["arn:aws:kms:eu-central-1:123456789012:key/1234abcd"]

    statements = resolved(policy, {"CacheBuckets": ["a-bucket", "b.bucket"], "CacheKeyArns": keys})["PolicyDocument"]
    granted = {each["Action"]: each["Resource"] for each in statements["Statement"] if each["Effect"] == "Allow"}
    readers = {role for role in ROLES if allowed(role, "s3:GetObject", "${TileBucket.Arn}/caches/World/root.json")}

    told = {f"{name}Role" for name, each in of_type("AWS::Lambda::Function").items() if "CACHE_BUCKETS" in str(each)}
    assert {role["Ref"] for role in policy["Roles"]} == readers == told
    assert granted == {
        "s3:GetObject": ["arn:*:s3:::a-bucket/*", "arn:*:s3:::b.bucket/*"],
        "s3:ListBucket": ["arn:*:s3:::a-bucket", "arn:*:s3:::b.bucket"],
        "kms:Decrypt": keys,
    }


def test_other_buckets_are_told_of_as_their_readers_are():
    (policy,) = of_type("AWS::IAM::Policy").values()
    (_, arns), *_ = [TEMPLATE["Outputs"]["CacheReaderRoleArns"]["Value"]["Join"]]

    assert [each["GetAtt"] for each in arns] == [f"{role['Ref']}.Arn" for role in policy["Roles"]]


@pytest.mark.parametrize("name", ["CacheBuckets", "CacheKeyArns"])
@pytest.mark.parametrize(
    "text", ["*", "a*b", "a/b", "arn:aws:s3:::a", "a b", "arn:aws:kms:*:123456789012:key/a", "A_b"]
)
def test_other_buckets_and_keys_are_named_one_by_one(name, text):
    pattern = TEMPLATE["Parameters"][name]["AllowedPattern"]

    assert not re.fullmatch(pattern, text)
    assert re.fullmatch(pattern, "")


@pytest.mark.parametrize("function", of_type("AWS::Lambda::Function"))
def test_no_function_can_publish_a_service_make_a_key_or_change_a_tile(function):
    for _, statement in [each for each in STATEMENTS if each[0] == f"{function}Role"]:
        if "${TileBucket" in str([text_of(each) for each in listed(statement["Resource"])]):
            assert set(listed(statement["Action"])) <= {"s3:GetObject", "s3:ListBucket"}


@pytest.mark.parametrize("name", BUCKETS)
def test_every_bucket_is_private_encrypted_and_speaks_tls_only(name):
    properties = BUCKETS[name]
    (policy,) = [each for each in of_type("AWS::S3::BucketPolicy").values() if each["Bucket"] == {"Ref": name}]
    (statement,) = policy["PolicyDocument"]["Statement"]

    names = {"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"}
    assert properties["PublicAccessBlockConfiguration"] == dict.fromkeys(names, True)
    (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] in {"AES256", "aws:kms"}
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert set(map(text_of, statement["Resource"])) == {f"${{{name}.Arn}}", f"${{{name}.Arn}}/*"}


@pytest.mark.parametrize("name", [name for name in BUCKETS if name not in FOREVER])
def test_what_a_bucket_keeps_for_clients_has_an_end(name):
    rules = BUCKETS[name]["LifecycleConfiguration"]["Rules"]

    assert any("ExpirationInDays" in rule and "Prefix" not in rule for rule in rules)


def test_queues_tables_and_topics_are_encrypted():
    assert all(queue["SqsManagedSseEnabled"] for queue in of_type("AWS::SQS::Queue").values())
    assert all(table["SSESpecification"]["SSEEnabled"] for table in of_type("AWS::DynamoDB::Table").values())
    topics = of_type("AWS::SNS::Topic")
    assert {name for name in topics if "KmsMasterKeyId" not in topics[name]} == PLAIN_TOPICS.keys()


@pytest.mark.parametrize("kind", ["AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"])
def test_queues_and_topics_take_from_named_rules_alone(kind):
    for policy in of_type(kind).values():
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Principal"] == {"Service": "events.amazonaws.com"}
            sources = listed(statement["Condition"]["ArnEquals"]["aws:SourceArn"])
            assert all(text_of(source).endswith(".Arn}") for source in sources)


def test_a_function_is_called_by_named_sources_alone():
    for permission in of_type("AWS::Lambda::Permission").values():
        assert "${" in text_of(permission["SourceArn"])


def test_every_log_has_an_end_and_every_function_its_own():
    groups = of_type("AWS::Logs::LogGroup")
    used = [text_of(each["LoggingConfig"]["LogGroup"]) for each in of_type("AWS::Lambda::Function").values()]

    assert all(group["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups.values())
    assert len(set(used)) == len(used)
    assert {name.strip("${}") for name in used} <= groups.keys()


@pytest.mark.parametrize("function", of_type("AWS::Lambda::Function"))
def test_every_function_logs_at_the_level_of_the_stack(function):
    logging = of_type("AWS::Lambda::Function")[function]["LoggingConfig"]

    assert (logging["LogFormat"], logging["ApplicationLogLevel"]) == ("JSON", {"Ref": "LogLevel"})


def test_the_access_log_keeps_no_query_for_it_may_hold_a_token():
    (stage,) = of_type("AWS::ApiGatewayV2::Stage").values()

    logged = json.loads(stage["AccessLogSettings"]["Format"])
    assert set(logged.values()) <= {
        "$context.requestId",
        "$context.httpMethod",
        "$context.path",
        "$context.status",
        "$context.responseLatency",
        "$context.identity.sourceIp",
    }


def test_the_api_answers_a_bounded_number_of_requests():
    (stage,) = of_type("AWS::ApiGatewayV2::Stage").values()

    limit = {"Ref": "RequestsPerSecond"}
    assert stage["DefaultRouteSettings"] == {"ThrottlingRateLimit": limit, "ThrottlingBurstLimit": limit}
    assert TEMPLATE["Parameters"]["RequestsPerSecond"]["Default"] <= 1000


def test_a_download_link_works_for_hours_at_most():
    parameter = TEMPLATE["Parameters"]["DownloadLinkSeconds"]

    assert parameter["Default"] <= 3600
    assert parameter["MaxValue"] <= 12 * 3600
