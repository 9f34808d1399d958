"""The catalogue of equipment: every entry has its source, and none is what no maker builds."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from app.equipment.device_catalogue import FOLDER, BadEntry, read_catalogue
from app.rules.formats import parse_format
from app.rules.links import CARRIES, FASTEST, LINKS, link_for

PAGE = """category = "{category}"

[[devices]]
manufacturer = "Example"
model = "EX 1"
source = "{source}"
verified = true
{more}ports = [
    {{ {port} }},
]
"""
GOOD: Mapping[str, str] = {
    "category": "CONVERTER", "source": "https://example.com/ex1", "more": "",
    "port": 'label = "SDI IN", direction = "in", connector = "BNC", family = "SDI", link = "3G"',
}  # fmt: skip


def page(folder: Path, **changed: str) -> Path:
    (folder / "converters.toml").write_text(PAGE.format(**{**GOOD, **changed}))
    return folder


def test_a_good_entry_is_read(tmp_path: Path) -> None:
    (only,) = read_catalogue(page(tmp_path))
    (device,) = only.devices
    assert (only.category, device.model, device.ports[0].link) == ("CONVERTER", "EX 1", "3G")


SDI = 'label = "SDI OUT", direction = "out", connector = "BNC", family = "SDI"'


@pytest.mark.parametrize(("changed", "words"), [
    ({"source": ""}, "source"),
    ({"source": "remembered"}, "source"),
    ({"category": "TOASTER"}, "category"),
    ({"more": 'weight = "3 kg"\n'}, "weight"),
    ({"port": SDI.replace("BNC", "XLR")}, "no XLR connector carries SDI"),
    ({"port": SDI.replace("BNC", "HDMI")}, "no HDMI connector carries SDI"),
    ({"port": SDI + ', link = "48G"'}, "not 48G"),
    ({"port": SDI + ', link = "24G"'}, "carries 12G at most"),
    ({"port": SDI + ', link = "3G", most = "2160p60"'}, "2160p60 needs 12G"),
    ({"port": SDI + ', most = "8K"'}, "no video format"),
    ({"port": SDI + ", count = 0"}, "count"),
    ({"port": SDI + ', loop = "SDI IN"'}, "loops SDI IN through"),
    ({"port": SDI.replace('"out"', '"in"') + ', loop = "SDI OUT"'}, "loops nothing through"),
    ({"port": SDI + " },\n    { " + SDI}, "have one label"),
    ({"more": 'cards = [{ model = "C", ports = [] }]\n'}, "no slots"),
    ({"port": "label"}, "is no TOML"),
], ids=str)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(
    tmp_path: Path, changed: dict[str, str], words: str
) -> None:
    with pytest.raises(BadEntry) as refused:
        read_catalogue(page(tmp_path, **changed))
    assert words in str(refused.value)
    assert "converters.toml" in str(refused.value)


def test_a_device_is_there_once(tmp_path: Path) -> None:
    text = (page(tmp_path) / "converters.toml").read_text()
    (tmp_path / "others.toml").write_text(text)
    with pytest.raises(BadEntry, match="twice"):
        read_catalogue(tmp_path)


@pytest.mark.parametrize(("family", "most", "link"), [
    ("SDI", "576i25", "270M"), ("SDI", "720p60", "1.5G"), ("SDI", "1080i59.94", "1.5G"),
    ("SDI", "1080p29.97", "1.5G"), ("SDI", "1080psf25", "1.5G"), ("SDI", "1080p59.94", "3G"),
    ("SDI", "2160p30", "6G"), ("SDI", "2160p50", "12G"), ("SDI", "4320p60", "24G"),
    ("SDI", "720p120", "3G"), ("HDMI", "1440p60", "1.3"), ("HDMI", "1080p240", "2.0"),
    ("HDMI", "2560x1080@144", "2.0"), ("HDMI", "1080p60", "1.3"),
    ("HDMI", "2160p30", "1.4"), ("HDMI", "2160p60", "2.0"),
    ("HDMI", "3840x2160@120", "2.1"), ("REFERENCE", "1080p60", None),
])  # fmt: skip
def test_the_link_that_a_format_needs(family: str, most: str, link: str | None) -> None:
    assert link_for(family, parse_format(most)) == link


def test_the_tables_speak_of_the_same() -> None:
    for (connector, family), link in FASTEST.items():
        assert family in CARRIES[connector]
        assert link in LINKS[family]


def test_ours_is_read_whole_and_sorted() -> None:
    pages = read_catalogue()
    assert len(pages) == len([*FOLDER.glob("*.toml")]) > 0
    for each in pages:
        names = [(d.manufacturer.casefold(), d.model.casefold()) for d in each.devices]
        assert names == sorted(names), each.category
