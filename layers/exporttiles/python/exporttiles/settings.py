"""What the environment of a function says, typed and checked once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment of a function.

    Attributes:
        job_lifetime: of a job and its package.
        kept_lifetime: at most, of one whose series keeps it.
        state_machine_arn: only the functions that start exports have one.
        export_timeout: how long the steps of an export may take.
        reuse_window: how old a package may be that answers an equal request; 0 for no reuse.
        resume_window: how long finished work of a job that failed is kept.
        inbox_bucket, event_bus: only the functions that receive requests or
            announce jobs have them.
        event_bus_arn, timer_group, timer_role_arn: only the function that hears
            of new imagery has them.
        public_base_url: scheme and host that clients use; empty takes those of
            the request.
        download_link_seconds: how long a presigned link works.
        token_security: a request must bring an API key.
        max_concurrency: workers that one export may have at a time.
        worker_memory_bytes: what each of them has.
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

    def __post_init__(self) -> None:
        """Refuse what would take packages away before their jobs.

        Raises:
            ValueError: KEPT_LIFETIME_DAYS is less than JOB_LIFETIME_DAYS.
        """
        if self.kept_lifetime < self.job_lifetime:
            raise ValueError("KEPT_LIFETIME_DAYS must be at least JOB_LIFETIME_DAYS.")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Return the settings of this process.

        Raises:
            ValueError: a variable is missing or has no legal value; it says which.
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
            )
        except KeyError as error:
            raise ValueError(f"The environment variable {error} is not set.") from error


def _is_on(name: str, value: str) -> bool:
    """Return a switch; a slip of the pen must not leave a door open."""
    if value not in ("on", "off"):
        raise ValueError(f"The environment variable {name} is '{value}'. Legal are on and off.")
    return value == "on"
