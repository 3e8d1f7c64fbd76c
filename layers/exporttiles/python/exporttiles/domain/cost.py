"""Cost of an export on AWS, without storage and download: measured usage times list prices.

See docs/cost.md.
"""

from dataclasses import dataclass

# us-east-1, 23 November 2026, in US dollars, without free tiers.
GET_DOLLARS = 0.0004 / 1000  # S3: GET and HEAD
PUT_DOLLARS = 0.005 / 1000  # S3: PUT, POST, COPY and LIST; deleting is free
GIGABYTE_SECOND_DOLLARS = 0.0000133334  # Lambda on arm64
INVOCATION_DOLLARS = 0.20 / 1_000_000  # Lambda
TRANSITION_DOLLARS = 0.025 / 1000  # Step Functions, Standard
TABLE_WRITE_DOLLARS = 0.625 / 1_000_000  # DynamoDB on demand, by the kilobyte
EGRESS_GIGABYTE_DOLLARS = 0.09  # S3 to the internet, the first 10 TB of a month; whoever downloads causes it

# Most that a tile costs in an export of 100,000 or more: docs/cost.md, which a test holds against the model.
BUNDLE_TILE_DOLLARS = 0.003 / 100_000
FILE_TILE_DOLLARS = 0.045 / 100_000
DRAWN_TILE_DOLLARS = 0.02 / 100_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Requests to S3 and memory of Lambda.

    Attributes:
        gets: requests that read.
        puts: requests that write, copy or list.
        gigabyte_seconds: memory of functions, by the time that they ran.
    """

    gets: int = 0
    puts: int = 0
    gigabyte_seconds: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        """Return the sum."""
        return Usage(
            self.gets + other.gets, self.puts + other.puts, round(self.gigabyte_seconds + other.gigabyte_seconds, 6)
        )

    def __sub__(self, other: "Usage") -> "Usage":
        """Return the usage since an earlier snapshot."""
        return Usage(
            self.gets - other.gets, self.puts - other.puts, round(self.gigabyte_seconds - other.gigabyte_seconds, 6)
        )


_AROUND = Usage(gets=4, puts=5, gigabyte_seconds=2.0)
"""Usage for accepting, planning and closing a job, taken as a constant: closing cannot count itself."""

_WRITE_KILOBYTES = 2  # a job in the table, about
_JOB_WRITES = (
    9  # begun, planned, ended, twice in an index; created with two counts in a transaction, which costs double
)


@dataclass(frozen=True, slots=True)
class Bill:
    """Complete usage of a finished export.

    Attributes:
        invocations: of functions.
        transitions: of states, in the execution and its children.
        table_writes: kilobytes written to the table.
    """

    used: Usage
    invocations: int
    transitions: int
    table_writes: int

    @property
    def dollars(self) -> float:
        """Return the total price."""
        return (
            self.used.gets * GET_DOLLARS
            + self.used.puts * PUT_DOLLARS
            + self.used.gigabyte_seconds * GIGABYTE_SECOND_DOLLARS
            + self.invocations * INVOCATION_DOLLARS
            + self.transitions * TRANSITION_DOLLARS
            + self.table_writes * TABLE_WRITE_DOLLARS
        )


def bill(used: Usage, work_items: int, *, at_once: bool, packers: int = 1) -> Bill:
    """Return the bill of a finished export.

    Args:
        used: counted by work items and packer, without failed attempts.
        work_items: how many there were; each counts itself in the table.
        at_once: one function made all of it.
        packers: invocations of the packer.
    """
    workers = 0 if at_once else work_items
    more_packers = packers - 1
    return Bill(
        used=used + _AROUND,
        # API, at once, close; API, plan, pack, close and the workers
        invocations=3 if at_once else 4 + workers + more_packers,
        # the states of each child, and its start; packing, and the look whether it is finished
        transitions=5 if at_once else 8 + 2 * workers + 2 * more_packers,
        table_writes=(_JOB_WRITES + work_items) * _WRITE_KILOBYTES,
    )
