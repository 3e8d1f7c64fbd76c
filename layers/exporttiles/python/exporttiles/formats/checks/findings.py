"""Findings of a check."""

from dataclasses import dataclass, field

MAX_FINDINGS_PER_PATH = 20


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A fault: the path of the member, ``""`` for the whole file, and a description."""

    path: str
    text: str


@dataclass(slots=True)
class Findings:
    """Collects faults, at most `MAX_FINDINGS_PER_PATH` of each member."""

    all: list[Finding] = field(default_factory=list)
    _counts: dict[str, int] = field(default_factory=dict)

    def add(self, path: str, text: str) -> None:
        """Add a fault."""
        count = self._counts[path] = self._counts.get(path, 0) + 1
        if count <= MAX_FINDINGS_PER_PATH:
            self.all.append(Finding(path, text))
        elif count == MAX_FINDINGS_PER_PATH + 1:
            self.all.append(Finding(path, "More faults were found here than are listed."))

    def require(self, condition: object, path: str, text: str) -> bool:
        """Add a fault if a condition is false; return the condition."""
        if not condition:
            self.add(path, text)
        return bool(condition)
