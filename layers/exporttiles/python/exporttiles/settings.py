"""Settings of a Lambda function, read from its environment variables."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any


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
        cache_buckets: other buckets that tile caches may lie in.
        token_security: True if every request needs an API key.
        max_open_jobs, max_tiles_per_day: limits of each caller; 0 for none.
        max_packages: most packages of one batch.
        max_concurrency: greatest number of workers of one export at a time.
        worker_memory_bytes: memory of each worker.
        file_reads_per_second: requests to a cache of single files that one export may send.
        max_database_bytes: limit of MBTiles and GeoPackages, which are written on the disk of a function.
        store_patience: how long requests to S3 are retried while it is busy.
    """

    tile_bucket: str
    package_bucket: str
    job_table: str
    job_lifetime: timedelta = timedelta(days=3)
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
    cache_buckets: tuple[str, ...] = ()
    token_security: bool = False
    max_open_jobs: int = 0
    max_tiles_per_day: int = 0
    max_packages: int = 500
    max_concurrency: int = 200
    worker_memory_bytes: int = 10_240 * 2**20
    file_reads_per_second: int = 5_500
    store_patience: timedelta = timedelta(seconds=15)
    max_database_bytes: int = 9_000_000_000

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
        for name in ("TILE_BUCKET", "PACKAGE_BUCKET", "JOB_TABLE"):
            if name not in variables:
                raise ValueError(f"The environment variable {name} is not set.")
        values = {}
        for name, (attribute, read) in _VARIABLES.items():
            if name in variables:
                try:
                    values[attribute] = read(variables[name])
                except (ValueError, OverflowError) as error:
                    legal = "on or off" if read is _is_on else "a whole number"
                    raise ValueError(
                        f"The environment variable {name} is '{variables[name]}'. It must be {legal}."
                    ) from error
        return cls(**values)


def _is_on(text: str) -> bool:
    """Return True for on and False for off. Refuse all else: a typo must not turn security off."""
    if text not in ("on", "off"):
        raise ValueError(text)
    return text == "on"


def _period(unit: str) -> Callable[[str], timedelta]:
    return lambda text: timedelta(**{unit: int(text)})


_VARIABLES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "TILE_BUCKET": ("tile_bucket", str),
    "PACKAGE_BUCKET": ("package_bucket", str),
    "JOB_TABLE": ("job_table", str),
    "JOB_LIFETIME_DAYS": ("job_lifetime", _period("days")),
    "KEPT_LIFETIME_DAYS": ("kept_lifetime", _period("days")),
    "STATE_MACHINE_ARN": ("state_machine_arn", str),
    "EXPORT_TIMEOUT_SECONDS": ("export_timeout", _period("seconds")),
    "RESUME_HOURS": ("resume_window", _period("hours")),
    "REUSE_HOURS": ("reuse_window", _period("hours")),
    "INBOX_BUCKET": ("inbox_bucket", str),
    "EVENT_BUS": ("event_bus", str),
    "EVENT_BUS_ARN": ("event_bus_arn", str),
    "TIMER_GROUP": ("timer_group", str),
    "TIMER_ROLE_ARN": ("timer_role_arn", str),
    "PUBLIC_BASE_URL": ("public_base_url", lambda text: text.rstrip("/")),
    "DOWNLOAD_LINK_SECONDS": ("download_link_seconds", int),
    "CACHE_BUCKETS": ("cache_buckets", lambda text: tuple(filter(None, text.split(",")))),
    "TOKEN_SECURITY": ("token_security", _is_on),
    "MAX_OPEN_JOBS": ("max_open_jobs", int),
    "MAX_TILES_PER_DAY": ("max_tiles_per_day", int),
    "MAX_PACKAGES": ("max_packages", int),
    "MAX_CONCURRENCY": ("max_concurrency", int),
    "WORKER_MEMORY": ("worker_memory_bytes", lambda text: int(text) * 2**20),
    "FILE_READS_PER_SECOND": ("file_reads_per_second", int),
    "MAX_DATABASE_BYTES": ("max_database_bytes", int),
    "STORE_PATIENCE_SECONDS": ("store_patience", _period("seconds")),
}
"""Environment variables: the attribute that each sets, and how its text is read."""
