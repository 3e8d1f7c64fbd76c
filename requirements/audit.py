"""Ask OSV for known holes in what is deployed, with pip-audit; `make audit` calls it.

Ends with 0 where there is none, and with 1 where there is one, or where OSV
could not be asked: the latter is only told, and no failure, with --when-reachable.
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
    """The advisories could not be asked for everything."""


def main() -> int:
    """Return the status of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--osv-url", default=OSV_URL)
    parser.add_argument("--when-reachable", action="store_true", help="that OSV cannot be asked is no failure")
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
    """Return the packages with their holes, as pip-audit tells them.

    It ends in the same way when it finds a hole and when it fails: only a
    whole report tells that all was asked.

    Raises:
        NotAuditedError: there is none.
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
