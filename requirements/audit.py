"""Ask OSV for known vulnerabilities of the deployed packages, with pip-audit; `make audit` calls it.

The exit status is 0 if there are none, and 1 if there are some or OSV cannot be reached.
With --when-reachable, an OSV that cannot be reached is only reported.
"""

import argparse
import json
import subprocess
import sys
from typing import Any

DEPLOYED = "layers/dependencies/requirements.txt"
OSV_URL = "https://api.osv.dev/v1/query"
_SOCKET_SECONDS, _MOST_SECONDS = 3, 60


class NotAuditedError(Exception):
    """OSV could not be asked about every package."""


def main() -> int:
    """Return the status of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--osv-url", default=OSV_URL)
    parser.add_argument("--when-reachable", action="store_true", help="exit with 0 if OSV cannot be reached")
    options = parser.parse_args()
    try:
        audited = audit(options.osv_url)
    except NotAuditedError as error:
        print(f"NOT AUDITED: {options.osv_url} could not be asked for known holes in {DEPLOYED}: {error}")
        return 0 if options.when_reachable else 1
    holes = [(package, hole) for package in audited for hole in package["vulns"]]
    for package, hole in holes:
        mended = f"mended in {', '.join(hole['fix_versions'])}" if hole["fix_versions"] else "not mended yet"
        print(f"KNOWN HOLE: {package['name']} {package['version']} has {hole['id']}, {mended}: {hole['description']}")
    print(f"{len(audited)} packages of {DEPLOYED} audited: {len(holes) or 'no'} known hole{'s'[len(holes) == 1 :]}.")
    return bool(holes)


def audit(osv_url: str) -> list[dict[str, Any]]:
    """Return the packages with their vulnerabilities, from the report of pip-audit.

    pip-audit has the same exit status when it finds one and when it fails: only a
    complete report proves that OSV was asked about every package.

    Raises:
        NotAuditedError: there is no complete report.
    """
    command = [sys.executable, "-m", "pip_audit", "--strict", "--disable-pip", "--require-hashes", "-r", DEPLOYED]
    command += ["--progress-spinner", "off", "--format", "json", "--desc", "on", "--timeout", str(_SOCKET_SECONDS)]
    command += ["--vulnerability-service", "osv", "--osv-url", osv_url]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_MOST_SECONDS)
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired as error:
        raise NotAuditedError(f"no end after {_MOST_SECONDS} s.") from error
    except ValueError as error:
        reason = done.stderr.strip().rpartition("\n")[2].partition(": ")[0]
        raise NotAuditedError(f"{reason}.") from error
    return packages


if __name__ == "__main__":
    sys.exit(main())
