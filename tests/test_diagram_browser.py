"""Chromium shows a diagram as it is meant: under its policy, light and dark, with its links."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser import chromium_running
from tests.support.drawing import diagram_of, picture_of, stage

GOLDEN: Final = Path(__file__).with_name("diagrams") / "stage.png"
WIDE, HIGH = 48, 16
# Fonts differ between machines, so pictures are compared by the mean grey of large cells.
GREYS: Final = f"""async (source) => {{
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = {WIDE}; canvas.height = {HIGH};
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, {WIDE}, {HIGH});
  const pixels = context.getImageData(0, 0, {WIDE}, {HIGH}).data;
  return Array.from({{length: {WIDE * HIGH}}},
    (_, n) => (pixels[4 * n] + pixels[4 * n + 1] + pixels[4 * n + 2]) / 3);
}}"""
COLOURS: Final = """() => {
  const style = (selector, name) => getComputedStyle(document.querySelector(selector))[name];
  return [style(".paper", "fill"), style(".label", "fill"), style(".label", "fontWeight")];
}"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Draw the show that is pinned, and return the address of the file."""
    path = tmp_path_factory.mktemp("drawn") / "stage.svg"
    path.write_text(asyncio.run(picture_of(diagram_of(stage().signal()))))
    return path.as_uri()


@pytest.fixture(scope="module")
def chromium(drawn: str) -> Iterator[Browser]:
    """Run Chromium, after what needs an event loop of its own."""
    with chromium_running() as browser:
        yield browser


def opened(chromium: Browser, scheme: Literal["dark", "light"] = "light") -> Page:
    page = chromium.new_context(color_scheme=scheme).new_page()
    page.set_default_timeout(60_000)
    return page


def test_a_browser_draws_it_and_follows_its_links(
    chromium: Browser, client: httpx.Client, make: Callable[..., dict[str, Any]]
) -> None:
    source, wall = make("sources", type="LAPTOP", name="L"), make("sends", type="WALL", name="W")
    make("connections", sourceType="source", sourceUuid=source["uuid"],
         destinationType="send", destinationUuid=wall["uuid"])  # fmt: skip
    make("sends", type="WALL", name="Dark")
    page = opened(chromium)
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    address = (
        f"{str(client.base_url).rstrip('/')}/api/productions/{wall['productionUuid']}/diagram.svg"
    )
    page.goto(address)
    assert page.evaluate(COLOURS) == ["rgb(255, 255, 255)", "rgb(21, 25, 30)", "700"]
    assert page.locator("g.device").count() == 3
    page.locator(f'g.device[data-uuid="{wall["uuid"]}"] a').first.click()
    page.wait_for_url(f"{address}?trace={wall['uuid']}")
    assert page.locator("g.device").count() == 2
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(COLOURS) == ["rgb(20, 24, 28)", "rgb(238, 241, 244)", "700"]
    page.emulate_media(color_scheme="dark", media="print")
    assert page.evaluate(COLOURS)[0] == "rgb(255, 255, 255)"
    assert not faults
    page.context.close()


def test_no_text_leaves_its_box(chromium: Browser, drawn: str) -> None:
    page = opened(chromium)
    page.goto(drawn)
    outside = page.evaluate(
        """() => [...document.querySelectorAll("g.box")].flatMap((box) => {
          const frame = box.querySelector("rect.body").getBBox();
          return [...box.querySelectorAll("text")].filter((text) => {
            const words = text.getBBox();
            return words.x < frame.x - 1 || words.x + words.width > frame.x + frame.width + 1;
          }).map((text) => text.textContent);
        })"""
    )
    assert outside == []
    page.context.close()


def test_it_looks_as_it_did(chromium: Browser, drawn: str) -> None:
    page = opened(chromium)
    page.set_viewport_size({"width": 1210, "height": 420})
    page.goto(drawn)
    picture = page.screenshot()
    page.goto("about:blank")
    greys = [
        page.evaluate(GREYS, f"data:image/png;base64,{b64encode(content).decode()}")
        for content in (picture, GOLDEN.read_bytes())
    ]
    differences = [abs(one - other) for one, other in zip(*greys, strict=True)]
    assert max(differences) < 60
    assert sum(differences) / len(differences) < 4
    assert min(greys[0]) < 245, "there is nothing on it"
    page.context.close()
