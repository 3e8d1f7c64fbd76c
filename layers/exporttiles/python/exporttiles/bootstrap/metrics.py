"""Metrics that several functions write."""

from aws_lambda_powertools import single_metric
from aws_lambda_powertools.metrics import MetricUnit

from exporttiles.domain.job import Job


def count_end(job: Job) -> None:
    """Count a job that has ended, for the alarms on failed exports, whichever function closed it."""
    end = "Unchanged" if job.is_up_to_date else job.status
    with single_metric(name=f"Exports{end}", unit=MetricUnit.Count, value=1) as metric:
        metric.add_dimension(name="service", value="close_job")
