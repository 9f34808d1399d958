"""Settings: from the environment, checked at once, documented, never shown."""

import re
from pathlib import Path

import pytest

from app import errors
from app.settings import PROJECT, BadSettings, Settings, load_settings

OPERATIONS = PROJECT / "docs" / "operations.md"
ERRORS = PROJECT / "docs" / "errors.md"


def every_error() -> list[type[errors.SignalbookError]]:
    found = [errors.SignalbookError]
    for error in found:
        found.extend(error.__subclasses__())
    return found


def test_every_setting_is_documented_and_none_besides() -> None:
    section = OPERATIONS.read_text().partition("\n## Settings\n")[2].partition("\n## ")[0]
    names = re.findall(r"^\| `([A-Z_]+)` \|", section, re.MULTILINE)
    assert sorted(names) == sorted(name.upper() for name in Settings.model_fields)


def test_every_error_code_is_documented_and_drawn_in_the_tree() -> None:
    table, tree = ERRORS.read_text(), errors.__doc__ or ""
    for error in every_error():
        assert re.search(rf"^\| `{error.code}` \|", table, re.MULTILINE), error.code
        assert re.search(rf"\b{error.__name__}\b.*\b{error.code}\b", tree), error.__name__
    codes = dict(re.findall(r"^\| `([A-Z_]+)` \| (\d+|–) \|", table, re.MULTILINE))
    statuses = {error.code: str(error.status) for error in every_error()}
    to_sockets = {code for code, status in codes.items() if status == "–"}
    assert {**statuses, **dict.fromkeys(to_sockets, "–")} == codes


def test_error_codes_are_each_ones_own() -> None:
    codes = [error.code for error in every_error()]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "many"), ("PORT", "70000"), ("ENVIRONMENT", "staging"), ("POOL_SIZE", "0"),
     ("ACCESS_TOKEN", "short"), ("ANONYMOUS", "yes"), ("DRAIN", "-1"), ("LOG_LEVEL", "LOUD")],
)  # fmt: skip
def test_a_wrong_setting_is_named_but_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings, match=name) as refused:
        load_settings()
    assert value not in str(refused.value).replace(name, "")


def test_a_short_token_is_told_in_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCESS_TOKEN", "short")
    with pytest.raises(BadSettings, match=r"^ACCESS_TOKEN must have at least 16 characters\. docs"):
        load_settings()


def test_an_empty_setting_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "ACCESS_TOKEN", "PORT"):
        monkeypatch.setenv(name, "")
    settings = load_settings()
    assert (settings.database_url, settings.access_token, settings.port) == (None, None, 3010)


def test_secrets_are_not_in_the_settings_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCESS_TOKEN", "s3cret-s3cret-s3cret")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:s3cret@db/x")
    assert "s3cret" not in repr(load_settings())
    assert "s3cret" not in load_settings().model_dump_json()


def test_origins_are_a_comma_separated_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example, https://b.example,")
    assert load_settings().origins == ("https://a.example", "https://b.example")
    monkeypatch.delenv("CORS_ORIGINS")
    assert load_settings().origins == ("*",)
    monkeypatch.setenv("ENVIRONMENT", "production")
    assert load_settings().origins == ()


def test_production_needs_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    with pytest.raises(BadSettings, match="DATABASE_URL"):
        load_settings().refuse_without_database()
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/x")
    load_settings().refuse_without_database()


def test_the_data_folder_is_not_in_git() -> None:
    default = Settings.model_fields["data_dir"].default
    assert isinstance(default, Path)
    assert f"{default.name}/" in (PROJECT / ".gitignore").read_text().splitlines()
