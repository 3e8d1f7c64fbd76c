"""Proofs as documents: written after a run, and summed up in the README."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from deployment.facts import Fact, Status
from local.cloud import ROOT

PROOFS = ROOT / "docs" / "proof"
README = ROOT / "README.md"
_BEGIN, _END = "<!-- proof: written by `make prove` -->\n", "<!-- /proof -->\n"
_PREFIX = "tests."
_ACCOUNT = re.compile(r"(?<=:)\d{12}(?=:)")  # in an ARN


def write_proof(  # noqa: D417
    folder: Path, facts: Sequence[Fact], *, time: datetime, region: str, endpoint: str, parameters: Mapping[str, str]
) -> Path:
    """Write the facts of a run, one a line, and return the path.

    Args:
        folder: is created; a file of the same day and region is replaced.
        endpoint: of the emulator; '' on AWS.
    """
    head = {
        "date": f"{time:%Y-%m-%d}",
        "region": region,
        "endpoint": endpoint,
        "commit": _commit(),
        "parameters": dict(parameters),
        "facts": [],
    }
    text = json.dumps(head, indent=1).removesuffix("[]\n}")
    lines = ",\n  ".join(json.dumps(fact.to_json()) for fact in facts)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{time:%Y-%m-%d}-{'emulator' if endpoint else region}.json"
    path.write_text(_ACCOUNT.sub("<account>", f"{text}[\n  {lines}\n ]\n}}\n"))
    return path


def _commit() -> str:
    """Return the commit of the working tree, with a mark if it differs from it; '' outside of a repository."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def summary(facts: Sequence[Fact]) -> str:
    """Return the numbers of facts by status."""
    counts = Counter(fact.status for fact in facts)
    return ", ".join(f"{counts[status]} {status}" for status in Status)


def limits(folder: Path = PROOFS) -> str:
    """Return the limits for the README: a summary of the newest proof, or a note that there is none."""
    proofs = [json.loads(path.read_text()) | {"path": path.name} for path in sorted(folder.glob("*.json"))]
    proofs = [proof for proof in proofs if not proof["endpoint"]]
    if not proofs:
        return (
            "- Not yet proved on AWS. The local cloud shows behaviour, not the roles, quotas or speed of AWS;\n"
            "  [`make prove`](docs/deploy.md#prove) tries them on your account, for less than $2.\n"
        )
    return "".join(f"{line}\n" for line in _lines(max(proofs, key=lambda proof: (proof["date"], proof["path"]))))


def _lines(proof: Mapping[str, Any]) -> list[str]:
    facts = proof["facts"]
    by_status = {status: [fact for fact in facts if fact["status"] == status] for status in Status}
    proved, where = len(by_status[Status.PROVED]), f"{proof['region']}, {proof['date']}, commit {proof['commit']}"
    lines = [f"- On AWS ({where}), {proved} of {len(facts)} facts were [proved](docs/proof/{proof['path']})."]
    figures = {name: value for fact in facts for name, value in fact.get("figures", {}).items()}
    if "copy_megabytes_per_second" in figures:
        speed, size = figures["copy_megabytes_per_second"], figures["package_gigabytes"]
        lines.append(f"- A package of {size:g} GB was joined at {speed:g} MB/s.")
    for status, words in ((Status.FAILED, "Failed on AWS"), (Status.UNPROVED, "Not proved on AWS")):
        tests = [fact for fact in by_status[status] if fact["name"].startswith(_PREFIX)]
        named = [_with_reason(fact) for fact in by_status[status] if fact not in tests]
        if tests:
            named.append(f"{len(tests)} end-to-end tests")
        if named:
            lines.append(f"- {words}: {'; '.join(named)}.")
    return lines


def _with_reason(fact: Mapping[str, Any]) -> str:
    return f"{fact['claim'].rstrip('.')} ({fact['reason'].rstrip('.')})"


def with_limits(readme: str, folder: Path = PROOFS) -> str:
    """Return the README with the summary of the newest proof."""
    pattern = f"{re.escape(_BEGIN)}.*{re.escape(_END)}"
    return re.sub(pattern, lambda _: f"{_BEGIN}{limits(folder)}{_END}", readme, flags=re.DOTALL)
