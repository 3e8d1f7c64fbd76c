"""The cost of an idle stack in docs/cost.md counts the resources of the templates."""

import os
import re

from exporttiles.domain.cost import GIGABYTE_SECOND_DOLLARS, INVOCATION_DOLLARS, PUT_DOLLARS
from tests.workflow.stack import RESOURCES, ROOT

DOCUMENT = ROOT / "docs" / "cost.md"
HEAD = "| Idle for a month | how many | price | dollars |\n| --- | ---: | ---: | ---: |\n"
MINUTES = 30 * 24 * 60
RUNS = MINUTES // 5  # of the watchman
POLLERS, POLLS_A_MINUTE = 5, 3  # Lambda asks a queue with five connections, each of which waits 20 seconds
LISTS_A_RUN = 3  # uploads, and a part of the ids below jobs/ and packages/
SECONDS_A_RUN = 0.5
LOG_KILOBYTES_A_RUN = 2
WATCHMAN = (ROOT / "functions" / "watch_jobs" / "app.py").read_text()


def always(kind):
    """Return the resources of a type that every stack has."""
    return [each["Properties"] for each in RESOURCES.values() if each["Type"] == kind and "Condition" not in each]


def metrics_of(alarm):
    """Return how many metrics an alarm looks at: each is paid."""
    return sum("MetricStat" in query for query in alarm["Metrics"]) if "Metrics" in alarm else 1


def queues_that_are_polled():
    return [each for each in always("AWS::Lambda::EventSourceMapping") if "Queue" in str(each["EventSourceArn"])]


def rows():
    """Yield what is paid for, how often, the price of one as text and as dollars."""
    gigabytes = RESOURCES["WatchJobsFunction"]["Properties"]["MemorySize"] / 1024
    seconds = RUNS * SECONDS_A_RUN * gigabytes
    yield "alarms, by the metrics they look at", sum(map(metrics_of, always("AWS::CloudWatch::Alarm"))), "$0.10", 0.10
    yield "dashboard", len(always("AWS::CloudWatch::Dashboard")), "$3.00", 3.00
    yield "metrics that the watchman writes", len(re.findall(r"add_metric\(", WATCHMAN)), "$0.30", 0.30
    polls = len(queues_that_are_polled()) * POLLERS * POLLS_A_MINUTE * MINUTES
    yield "polls of the request queue", polls, "$0.40 a million", 0.40 / 1e6
    yield "LIST requests of the watchman", RUNS * LISTS_A_RUN, "$0.005 a thousand", PUT_DOLLARS
    yield "runs of the watchman", RUNS, "$0.20 a million", INVOCATION_DOLLARS
    yield f"GB-s of the watchman, {SECONDS_A_RUN} s a run", round(seconds), "$0.0000133334", GIGABYTE_SECOND_DOLLARS
    yield "traces of the watchman", RUNS, "$5 a million", 5 / 1e6
    megabytes = round(RUNS * LOG_KILOBYTES_A_RUN / 1000)
    yield f"MB of its logs, {LOG_KILOBYTES_A_RUN} kB a run", megabytes, "$0.50 a GB", 0.50 / 1000


def total():
    return sum(count * dollars for _, count, _, dollars in rows())


def table():
    lines = [f"| {name} | {count:,} | {price} | {count * dollars:.2f} |\n" for name, count, price, dollars in rows()]
    return HEAD + "".join(lines) + f"| **together** | | | **{total():.2f}** |\n"


def test_the_sums_are_those_of_the_templates():
    text = DOCUMENT.read_text()
    if os.environ.get("UPDATE_GOLDEN"):
        text = re.sub(rf"{re.escape(HEAD)}(?:\|.*\n)*", lambda _: table(), text)
        DOCUMENT.write_text(text)

    assert table() in text


def test_whatever_else_names_the_idle_cost_rounds_that_sum():
    named = [
        int(dollars)
        for path in (DOCUMENT, ROOT / "README.md", ROOT / "docs" / "deploy.md")
        for dollars in re.findall(r"about \$(\d+) a\s+month", path.read_text())
    ]

    assert named
    assert set(named) == {round(total())}
