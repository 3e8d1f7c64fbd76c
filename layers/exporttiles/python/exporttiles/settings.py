"""Settings of a Lambda function, read from its environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a Lambda function.

    Attributes:
        job_lifetime: time after which a job and its package are removed.
        kept_lifetime: longest time that a package kept by its series may live.
        state_machine_arn: set only for functions that start exports.
        export_timeout: longest time that the steps of an export may take.
        reuse_window: greatest age of a package that may answer an equal request; 0 turns reuse off.
        resume_window: time for which the finished work of a failed job is kept.
        inbox_bucket, event_bus: set only for functions that receive requests or
            announce jobs.
        event_bus_arn, timer_group, timer_role_arn: set only for the function that
            receives new imagery.
        public_base_url: scheme and host that clients use; '' uses those of the request.
        download_link_seconds: longest lifetime of a presigned link; it ends sooner with its credentials.
        token_security: True if every request needs an API key.
        max_concurrency: greatest number of workers of one export at a time.
        worker_memory_bytes: memory of each worker.
        file_reads_per_second: requests to a cache of single files that one export may send.
        store_patience: how long an object store that asks to slow down is asked again.
    """

    tile_bucket: str
    package_bucket: str
    job_table: str
    job_lifetime: timedelta
    kept_lifetime: timedelta = timedelta(days=35)
    state_machine_arn: str = ""
    export_timeout: timedelta = timedelta(days=1)
    resume_window: timedelta = timedelta(days=1)
    reuse_window: timedelta = timedelta()
    inbox_bucket: str = ""
    event_bus: str = ""
    event_bus_arn: str = ""
    timer_group: str = ""
    timer_role_arn: str = ""
    public_base_url: str = ""
    download_link_seconds: int = 3600
    token_security: bool = False
    max_concurrency: int = 200
    worker_memory_bytes: int = 10_240 * 2**20
    file_reads_per_second: int = 5_500
    store_patience: timedelta = timedelta(seconds=15)

    def __post_init__(self) -> None:
        """Check that no package is removed before its job.

        Raises:
            ValueError: KEPT_LIFETIME_DAYS is less than JOB_LIFETIME_DAYS.
        """
        if self.kept_lifetime < self.job_lifetime:
            raise ValueError("KEPT_LIFETIME_DAYS must be at least JOB_LIFETIME_DAYS.")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Return the settings from environment variables, by default those of this process.

        Raises:
            ValueError: a variable is missing or has no legal value; the message names it.
        """
        variables = os.environ if environment is None else environment
        try:
            return cls(
                tile_bucket=variables["TILE_BUCKET"],
                package_bucket=variables["PACKAGE_BUCKET"],
                job_table=variables["JOB_TABLE"],
                job_lifetime=timedelta(days=int(variables.get("JOB_LIFETIME_DAYS", "3"))),
                kept_lifetime=timedelta(days=int(variables.get("KEPT_LIFETIME_DAYS", "35"))),
                state_machine_arn=variables.get("STATE_MACHINE_ARN", ""),
                export_timeout=timedelta(seconds=int(variables.get("EXPORT_TIMEOUT_SECONDS", "86400"))),
                reuse_window=timedelta(hours=int(variables.get("REUSE_HOURS", "0"))),
                resume_window=timedelta(hours=int(variables.get("RESUME_HOURS", "24"))),
                inbox_bucket=variables.get("INBOX_BUCKET", ""),
                event_bus=variables.get("EVENT_BUS", ""),
                event_bus_arn=variables.get("EVENT_BUS_ARN", ""),
                timer_group=variables.get("TIMER_GROUP", ""),
                timer_role_arn=variables.get("TIMER_ROLE_ARN", ""),
                public_base_url=variables.get("PUBLIC_BASE_URL", "").rstrip("/"),
                download_link_seconds=int(variables.get("DOWNLOAD_LINK_SECONDS", "3600")),
                token_security=_is_on("TOKEN_SECURITY", variables.get("TOKEN_SECURITY", "off")),
                max_concurrency=int(variables.get("MAX_CONCURRENCY", "200")),
                worker_memory_bytes=int(variables.get("WORKER_MEMORY", "10240")) * 2**20,
                file_reads_per_second=int(variables.get("FILE_READS_PER_SECOND", "5500")),
                store_patience=timedelta(seconds=int(variables.get("STORE_PATIENCE_SECONDS", "15"))),
            )
        except KeyError as error:
            raise ValueError(f"The environment variable {error} is not set.") from error


def _is_on(name: str, value: str) -> bool:
    """Return True for on and False for off. Refuse all else: a typo must not turn security off."""
    if value not in ("on", "off"):
        raise ValueError(f"The environment variable {name} is '{value}'. Legal are on and off.")
    return value == "on"
