"""The example of an environment names every setting, with its default, and no other."""

import re

from app.settings import PROJECT, Settings


def test_it_names_every_setting_once_and_what_compose_asks_for() -> None:
    names = re.findall(r"(?m)^# ([A-Z_]+)=", (PROJECT / ".env.example").read_text())
    assert len(names) == len(set(names))
    asked = re.findall(r"\$\{([A-Z_]+):", (PROJECT / "compose.yaml").read_text())
    settings = {name.upper() for name in Settings.model_fields}
    assert set(names) == settings | set(asked)


def test_what_it_proposes_is_the_default() -> None:
    text = (PROJECT / ".env.example").read_text()
    proposed = {n.lower(): v for n, v in re.findall(r"(?m)^# ([A-Z_]+)=(.*)$", text) if v}
    proposed["data_dir"] = str(PROJECT / proposed["data_dir"])
    del proposed["log_format"]  # console for people, JSON in production
    assert Settings(**proposed).model_dump() == Settings().model_dump()
