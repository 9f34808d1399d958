"""The example of an environment names every setting, with its default, and no other."""

import re

from app.settings import PROJECT, Settings


def test_it_names_every_setting_once_and_no_other() -> None:
    named = re.findall(r"(?m)^# ([A-Z_]+)=", (PROJECT / ".env.example").read_text())
    assert len(named) == len(set(named))
    assert {name.lower() for name in named} == Settings.model_fields.keys()


def test_what_it_proposes_is_the_default() -> None:
    text = (PROJECT / ".env.example").read_text()
    proposed = {n.lower(): v for n, v in re.findall(r"(?m)^# ([A-Z_]+)=(.*)$", text) if v}
    proposed["data_dir"] = str(PROJECT / proposed["data_dir"])
    del proposed["log_format"]  # console for people, JSON in production
    assert Settings(**proposed).model_dump() == Settings().model_dump()
