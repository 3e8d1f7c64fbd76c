"""Close orphaned jobs."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from exporttiles.domain.errors import JobNotFoundError
from exporttiles.domain.job import Job, JobStatus
from exporttiles.messages.execution import Failure
from exporttiles.ports.jobs import JobTable
from exporttiles.ports.process import Clock
from exporttiles.ports.workflow import Execution, ExecutionStatus, Workflow
from exporttiles.usecases.close_job import CloseJob

PATIENCE = timedelta(minutes=5)
"""Minimum age: the steps and events of younger jobs are still on their way."""

START_PATIENCE = timedelta(minutes=15)
"""How long a failed start is retried."""

_MOST_JOBS = 1_000


@dataclass(frozen=True, slots=True)
class Watch:
    """The result of one run.

    Attributes:
        open_count: jobs that had not ended, at most 1,000.
        oldest: age of the oldest of them.
        started: jobs whose workflow was started again.
        closed: jobs that were closed.
        failures: errors while single jobs were handled.
    """

    open_count: int
    oldest: timedelta
    started: tuple[Job, ...]
    closed: tuple[Job, ...]
    failures: tuple[Exception, ...]


@dataclass(frozen=True, slots=True)
class WatchJobs:
    """Compares old open jobs with their executions, and closes the orphaned ones.

    Jobs end by their last step, or by the event of their execution. Orphaned
    jobs have neither: their start failed, the event was lost, or a step hangs.

    Attributes:
        export_timeout: how long the steps of a job may take.
    """

    jobs: JobTable
    workflow: Workflow
    close_job: CloseJob
    clock: Clock
    export_timeout: timedelta

    def __call__(self) -> Watch:
        """Check the open jobs, oldest first."""
        now = self.clock.now()
        jobs = list(islice(self.jobs.open_jobs(), _MOST_JOBS))
        started: list[Job] = []
        closed: list[Job] = []
        failures: list[Exception] = []
        for job in jobs:
            age = now - job.waiting_since
            if age < PATIENCE:
                break  # so are the jobs that follow
            try:
                execution = self.workflow.find(job.job_id, job.attempt)
                if execution is None and job.status is JobStatus.SUBMITTED and age < START_PATIENCE:
                    self.workflow.start(job)
                    started.append(job)
                else:
                    ended = self._close(job, execution, is_late=age > self.export_timeout + PATIENCE)
                    closed += [job for job in ended if job]
            except Exception as error:  # noqa: BLE001  (one bad job must not block the others)
                error.add_note(f"while looking at the job {job.job_id}")
                failures.append(error)
        oldest = now - jobs[0].waiting_since if jobs else timedelta()
        return Watch(len(jobs), oldest, tuple(started), tuple(closed), tuple(failures))

    def _close(self, job: Job, execution: Execution | None, *, is_late: bool) -> Iterator[Job | None]:
        """Close a job if its execution has ended or is overdue; yield the closed job."""
        try:
            # Read again: the steps may have closed it before they ended.
            if self.jobs.get(job.job_id).status.is_final:
                return
        except JobNotFoundError:
            return
        attempt = job.attempt
        match execution:
            case None:
                words = "could not be started" if job.status is JobStatus.SUBMITTED else "is lost"
                yield self.close_job.fail(job.job_id, Failure("", f"Its workflow {words}."), attempt)
            case Execution(ExecutionStatus.RUNNING | ExecutionStatus.PENDING_REDRIVE):
                if is_late:
                    yield self.close_job.stop(job.job_id, attempt, timed_out=True)
                    self.workflow.stop(job.job_id, attempt)
            case Execution(ExecutionStatus.TIMED_OUT | ExecutionStatus.ABORTED as status):
                yield self.close_job.stop(job.job_id, attempt, timed_out=status is ExecutionStatus.TIMED_OUT)
            case Execution(ExecutionStatus.FAILED, error, cause):
                failure = Failure.from_json({"error": error, "cause": cause})
                yield self.close_job.fail(job.job_id, failure, attempt)
            case Execution(ExecutionStatus.SUCCEEDED):
                yield self.close_job.fail(job.job_id, Failure("", "Its workflow ended without a result."), attempt)
