"""Results: tables and targets, and the page that shows them."""

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Target:
    """A target and its measurement.

    Attributes:
        note: the reason, if the target was not met.
    """

    name: str
    bar: str
    measured: str
    is_met: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of figures; the first column names the rows."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """The results of one section.

    Attributes:
        profiles: where the time of its rows goes; a target that was not met points there.
    """

    title: str
    tables: Sequence[Table]
    targets: Sequence[Target] = field(default_factory=tuple)
    image: str = ""
    profiles: Sequence[Table] = field(default_factory=tuple)

    def write(self, path: Path) -> None:
        """Store the section, so that RESULTS.md can be written without measuring it again."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, path: Path) -> "Section":
        """Return a section that `write` stored."""
        document = json.loads(path.read_text())
        for tables in ("tables", "profiles"):
            document[tables] = [Table(**table) for table in document.get(tables, [])]
        document["targets"] = [Target(**target) for target in document["targets"]]
        return cls(**document)


def page(sections: Iterable[Section], remark: str = "") -> str:
    """Return the text of RESULTS.md."""
    sections = list(sections)
    profiles = [profile for section in sections for profile in section.profiles]
    targets = [(target, bool(section.profiles)) for section in sections for target in section.targets]
    lines = [
        "# Results",
        "",
        "Written by `make bench`. Whole processes, start-up included, run in turn; figures are medians.",
        f"{_machine()} {remark}".rstrip(),
        "",
        *_table(
            Table(
                "Targets",
                ("Target", "Bar", "Measured", "Met"),
                [
                    (each.name, each.bar, each.measured, _met(each, is_profiled=is_profiled))
                    for each, is_profiled in targets
                ],
            )
        ),
    ]
    for section in sections:
        lines += [f"## {section.title}", ""]
        if section.image:
            lines += [f"![{section.title}]({section.image})", ""]
        for table in section.tables:
            lines += _table(table)
    if profiles:
        lines += ["## Profiles", ""]
    for profile in profiles:
        lines += _table(profile)
    return "\n".join(lines).rstrip() + "\n"


def _met(target: Target, *, is_profiled: bool) -> str:
    if target.is_met:
        return "yes"
    return " ".join(["**no**", *filter(None, [target.note, "([profile](#profiles))" if is_profiled else ""])])


def _table(table: Table) -> list[str]:
    return [
        *([f"**{table.title}**", ""] if table.title else []),
        "| " + " | ".join(table.columns) + " |",
        "| --- |" + " ---: |" * (len(table.columns) - 1),
        *("| " + " | ".join(row) + " |" for row in table.rows),
        "",
        *([table.note, ""] if table.note else []),
    ]


def _machine() -> str:
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"Machine: {os.cpu_count()} cores ({platform.machine()}), {gigabytes:.0f} GiB of memory, data in memory, "
        f"{platform.system()}, Python {platform.python_version()}."
    )
