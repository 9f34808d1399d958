"""What somebody new meets: scripts from anywhere, the version, settings that are wrong."""

import os
import subprocess
from pathlib import Path

import pytest

from app import VERSION
from app.settings import PROJECT, BadSettings, load_settings
from tests.support import forks

SCRIPTS = [
    path
    for path in sorted((PROJECT / "scripts").iterdir())
    if path.is_file() and path.read_bytes().startswith(b"#!")
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_link_to_a_script_finds_the_project(script: Path) -> None:
    """A person links it into a folder of the PATH; the folder of the link is not the project's."""
    finding = ("cd ", "here=")  # one script stays where it is called: files are named to it
    (line,) = [each for each in script.read_text().splitlines() if each.startswith(finding)][:1]
    assert "readlink -f" in line


def test_a_linked_script_runs(tmp_path: Path) -> None:
    link = tmp_path / "install"
    link.symlink_to(PROJECT / "scripts" / "install")
    done = subprocess.run([link, "all"], cwd="/", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "usage: scripts/install [serve|dev]\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_takes_no_environment_is_named(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "install").write_text((PROJECT / "scripts" / "install").read_text())
    tmp_path.chmod(0o500)
    done = subprocess.run(
        ["bash", tmp_path / "scripts" / "install"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"may not write in {tmp_path}" in done.stderr
    assert "mkdir" not in done.stderr


def test_the_version_is_told() -> None:
    done = forks.run("app", "--version", env=os.environ)
    assert (done.returncode, done.stdout) == (0, f"{VERSION}\n")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORT", "eighty", "PORT must be a whole number"),
        ("PORT", "70000", "PORT must be less than or equal to 65535"),
        ("POOL_WAIT", "soon", "POOL_WAIT must be a number"),
        ("API_PAGES", "perhaps", "API_PAGES must be true or false"),
        ("LOG_LEVEL", "LOUD", "LOG_LEVEL must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("OPERATOR_TOKEN", "short", "OPERATOR_TOKEN must have at least 16 characters"),
    ],
)
def test_a_wrong_setting_is_told_in_plain_words(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings) as refused:
        load_settings()
    assert str(refused.value) == f"{words}. docs/operations.md says what each may be."


@pytest.mark.parametrize("words", [("serve",), ()], ids=["serve", "alone"])
@pytest.mark.parametrize(("option", "value"), [("--port", "8080"), ("--host", "::")])
def test_an_option_of_other_servers_leads_to_its_setting(
    option: str, value: str, words: tuple[str, ...]
) -> None:
    done = forks.run("app", *words, option, value, env=os.environ)
    assert done.returncode == 2
    command = f"{option[2:].upper()}={value} python -m app serve"
    assert f"that is a setting here: {command}\n" in done.stderr, "on one line, to be copied"


def test_help_says_each_command_whole() -> None:
    for words in ((), ("release",)):
        lines = forks.run("app", *words, "--help", env=os.environ).stdout.splitlines()
        assert not [line for line in lines if line.rstrip().endswith("...") and "Usage" not in line]


def completed(*words: str) -> list[str]:
    """Return what a shell is told to complete the last of these words with."""
    asked = {"COMP_WORDS": " ".join(("signalbook", *words)), "COMP_CWORD": str(len(words)),
             "_SIGNALBOOK_COMPLETE": "complete_bash", "PATH": os.environ["PATH"]}  # fmt: skip
    done = subprocess.run(
        [PROJECT / "scripts" / "signalbook"], env=asked, capture_output=True, text=True, check=False
    )
    return done.stdout.split()


def test_a_shell_completes_our_words() -> None:
    assert completed("rel") == ["release"]
    assert completed("release", "res") == ["resume"]
    assert "--as-copy" in completed("load", "--")


def test_what_a_shell_is_given_is_for_our_word_alone() -> None:
    script = f"source <({PROJECT}/scripts/signalbook --show-completion) && complete -p"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
    )  # fmt: skip
    assert "signalbook" in done.stdout, done.stderr
    assert "python" not in done.stdout
