"""What a checker has to say about a file."""

from dataclasses import dataclass, field

MAX_FINDINGS_PER_PATH = 20


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A fault: the member it was found in, ``""`` for the whole file, and what is wrong."""

    path: str
    text: str


@dataclass(slots=True)
class Findings:
    """Collects faults; a member broken in a thousand places is told of twenty times."""

    all: list[Finding] = field(default_factory=list)
    _counts: dict[str, int] = field(default_factory=dict)

    def add(self, path: str, text: str) -> None:
        """Note one fault."""
        count = self._counts[path] = self._counts.get(path, 0) + 1
        if count <= MAX_FINDINGS_PER_PATH:
            self.all.append(Finding(path, text))
        elif count == MAX_FINDINGS_PER_PATH + 1:
            self.all.append(Finding(path, "There is more wrong than is told here."))

    def require(self, condition: object, path: str, text: str) -> bool:
        """Note a fault unless a condition holds; tell whether it holds."""
        if not condition:
            self.add(path, text)
        return bool(condition)
