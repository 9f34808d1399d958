"""Video formats: every usual spelling is read, one is printed, and rates stay exact."""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules.formats import (
    _FORMAT,
    _RATE,
    LONGEST,
    MOST_PIXELS,
    TRADE_RATES,
    USUAL_WIDTHS,
    Blanking,
    Format,
    Scan,
    family,
    parse_format,
    parse_rate,
    raster_format,
    rate_text,
    same_rate,
)

T = TypeVar("T")
F23, F29, F59, F119 = (Fraction(n * 1000, 1001) for n in (24, 30, 60, 120))

# As read, the canonical name, the spelling of pages, and frames per second.
SPELLINGS = [
    # The lines name the format.
    ("1080p59.94", "1080p59.94", "1920 x 1080 @ 59.94", F59),
    ("1080P59.94", "1080p59.94", "1920 x 1080 @ 59.94", F59),
    ("1080 P / 59.94", "1080p59.94", "1920 x 1080 @ 59.94", F59),
    ("1080p/59.94", "1080p59.94", "1920 x 1080 @ 59.94", F59),
    ("1080/59.94p", "1080p59.94", "1920 x 1080 @ 59.94", F59),
    ("1080 59.94p", "1080p59.94", "1920 x 1080 @ 59.94", F59),
    ("  1080p  59.940 ", "1080p59.94", "1920 x 1080 @ 59.94", F59),
    ("1080p\u00a059.94Hz", "1080p59.94", "1920 x 1080 @ 59.94", F59),
    ("1080p60000/1001", "1080p59.94", "1920 x 1080 @ 59.94", F59),
    ("1080p59.94005994005994", "1080p59.94", "1920 x 1080 @ 59.94", F59),
    ("1080p23.98", "1080p23.98", "1920 x 1080 @ 23.98", F23),
    ("1080p23.976", "1080p23.98", "1920 x 1080 @ 23.98", F23),
    ("1080p23.97", "1080p23.98", "1920 x 1080 @ 23.98", F23),
    ("1080p24", "1080p24", "1920 x 1080 @ 24", Fraction(24)),
    ("1080p24.00", "1080p24", "1920 x 1080 @ 24", Fraction(24)),
    ("1080p29.97", "1080p29.97", "1920 x 1080 @ 29.97", F29),
    ("1080p47.95", "1080p47.95", "1920 x 1080 @ 47.95", F23 * 2),
    ("1080p119.88", "1080p119.88", "1920 x 1080 @ 119.88", F119),
    ("720p50", "720p50", "1280 x 720 @ 50", Fraction(50)),
    ("720p 60 fps", "720p60", "1280 x 720 @ 60", Fraction(60)),
    ("2160p60", "2160p60", "3840 x 2160 @ 60", Fraction(60)),
    ("4320p119.88", "4320p119.88", "7680 x 4320 @ 119.88", F119),
    ("1080p60 RB", "1080p60 RBv1", "1920 x 1080 @ 60 RBv1", Fraction(60)),
    # Interlaced: the trade counts fields, the EBU frames.
    ("1080i59.94", "1080i59.94", "1920 x 1080 @ 59.94i", F29),
    ("1080i/59.94", "1080i59.94", "1920 x 1080 @ 59.94i", F29),
    ("1080/59.94i", "1080i59.94", "1920 x 1080 @ 59.94i", F29),
    ("1080i/29.97", "1080i59.94", "1920 x 1080 @ 59.94i", F29),
    ("1080i29.97", "1080i59.94", "1920 x 1080 @ 59.94i", F29),
    ("1080i30000/1001", "1080i59.94", "1920 x 1080 @ 59.94i", F29),
    ("1080i60000/1001", "1080i59.94", "1920 x 1080 @ 59.94i", F29),
    ("1080i25", "1080i50", "1920 x 1080 @ 50i", Fraction(25)),
    ("1080i/25", "1080i50", "1920 x 1080 @ 50i", Fraction(25)),
    ("1080i50", "1080i50", "1920 x 1080 @ 50i", Fraction(25)),
    ("1080i/50", "1080i50", "1920 x 1080 @ 50i", Fraction(25)),
    ("1080I 60", "1080i60", "1920 x 1080 @ 60i", Fraction(30)),
    ("1080i30", "1080i60", "1920 x 1080 @ 60i", Fraction(30)),
    ("1080i100", "1080i100", "1920 x 1080 @ 100i", Fraction(50)),
    ("1080i119.88", "1080i119.88", "1920 x 1080 @ 119.88i", F59),
    ("486i59.94", "486i59.94", "720 x 486 @ 59.94i", F29),
    ("576i50", "576i50", "720 x 576 @ 50i", Fraction(25)),
    # Segmented frames are frames.
    ("1080psf23.98", "1080psf23.98", "1920 x 1080 @ 23.98psf", F23),
    ("1080PsF 23.976", "1080psf23.98", "1920 x 1080 @ 23.98psf", F23),
    ("1080/29.97PsF", "1080psf29.97", "1920 x 1080 @ 29.97psf", F29),
    ("1080psf25", "1080psf25", "1920 x 1080 @ 25psf", Fraction(25)),
    # Rasters.
    ("1920x1080@59.94", "1920x1080@59.94", "1920 x 1080 @ 59.94", F59),
    ("1920 x 1080 @ 59.94i", "1920x1080@59.94i", "1920 x 1080 @ 59.94i", F29),
    ("1920 X 1080 @ 29.97 I", "1920x1080@59.94i", "1920 x 1080 @ 59.94i", F29),
    ("1920 × 1080 @ 59.94", "1920x1080@59.94", "1920 x 1080 @ 59.94", F59),
    ("1920x1080p60", "1920x1080@60", "1920 x 1080 @ 60", Fraction(60)),
    ("1920x1080 60Hz", "1920x1080@60", "1920 x 1080 @ 60", Fraction(60)),
    ("1920x1080/60", "1920x1080@60", "1920 x 1080 @ 60", Fraction(60)),
    ("1920 x 1080 @ 60.0", "1920x1080@60", "1920 x 1080 @ 60", Fraction(60)),
    ("1920x1080@23.976psf", "1920x1080@23.98psf", "1920 x 1080 @ 23.98psf", F23),
    ("3840x2160@60 rbv2", "3840x2160@60 RBv2", "3840 x 2160 @ 60 RBv2", Fraction(60)),
    ("3840x2160@60 CVT-RB3", "3840x2160@60 RBv3", "3840 x 2160 @ 60 RBv3", Fraction(60)),
    ("3840 x 1080 @ 60 CVT-RB", "3840x1080@60 RBv1", "3840 x 1080 @ 60 RBv1", Fraction(60)),
    ("4096x2160@24", "4096x2160@24", "4096 x 2160 @ 24", Fraction(24)),
    ("1366x768@59.79", "1366x768@59.79", "1366 x 768 @ 59.79", Fraction(5979, 100)),
    ("1920x1200@59.95", "1920x1200@59.95", "1920 x 1200 @ 59.95", Fraction(5995, 100)),
    ("2560x1440@75.025", "2560x1440@75.025", "2560 x 1440 @ 75.025", Fraction(75025, 1000)),
    ("2560x1440@143.86", "2560x1440@143.86", "2560 x 1440 @ 143.86", Fraction(144000, 1001)),
    ("2688x96@61", "2688x96@61", "2688 x 96 @ 61", Fraction(61)),
]
REFUSALS = [
    ("", "neither lines"), ("HD", "neither lines"), ("UHD", "neither lines"),
    ("4K60", "neither lines"), ("59.94", "neither lines"), ("p59.94", "neither lines"),
    ("108060", "neither lines"), ("1080p1000", "neither lines"), ("1080p-60", "neither lines"),
    ("1080p5 9.94", "neither lines"), ("1080p59,94", "neither lines"), ("1080q6", "neither lines"),
    ("1080p６０", "neither lines"), ("1080pſf24", "neither lines"), ("1080p60RB4", "neither lines"),
    ("SL - 1920 x 1080", "neither lines"), ("1920x@60", "neither lines"),
    ("1080", "no rate"), ("1080p", "no rate"), ("1920 x 1080", "no rate"),
    ("1080/60", "neither p, i nor psf"), ("1080@59.94", "neither p, i nor psf"),
    ("1080p59.94i", "twice"), ("1080p59.94p", "twice"),
    ("1081p60", "1081 lines name no format"), ("1200p60", "its width is needed"),
    ("0x1080@60", "0 pixels wide"), ("1920x0@60", "0 pixels high"), ("99999x1@60", "to 32768"),
    ("1080p61", "61 frames per second are not usual"), ("1080p59.95", "59.95 frames"),
    ("1080i61", "61 fields"), ("1080i39", "78 fields"), ("1920x1080@43.48i", "43.48 fields"),
    ("1080psf50", "psf has 1 to 30 frames"), ("1080i144", "i has 1 to 60 frames"),
    ("1920x1080@0", "less than one"), ("1920x1080@0.999", "less than one"),
    ("1920x1080@59.9312", "more than 3 decimals"), ("1920x1080@61000/1001", "more than 3 decimals"),
    ("1080p59.94" + " " * LONGEST, "more than 64 characters"),
]  # fmt: skip

PIXELS = st.integers(1, MOST_PIXELS)
USUAL = st.sampled_from(sorted(TRADE_RATES))
BLANKINGS = st.sampled_from(["NONE", "RBv1", "RBv2", "RBv3"])
INTERLACE = USUAL.filter(lambda rate: rate <= 60)
SEGMENTED = USUAL.filter(lambda rate: rate <= 30)
# What no rate over 1.001 claims for itself.
ANY_RATE = st.integers(1000, 999_000).map(lambda n: parse_rate(f"{n / 1000:.3f}"))
LINES = st.sampled_from(sorted(USUAL_WIDTHS))
FORMATS = st.one_of(
    st.builds(Format, st.none(), LINES, st.just("p"), USUAL, BLANKINGS),
    st.builds(Format, st.none() | PIXELS, LINES, st.just("i"), INTERLACE, BLANKINGS),
    st.builds(Format, st.none() | PIXELS, LINES, st.just("psf"), SEGMENTED, BLANKINGS),
    st.builds(Format, PIXELS, PIXELS, st.just("p"), USUAL | ANY_RATE, BLANKINGS),
)
GARBAGE = st.one_of(
    st.text(max_size=80),
    st.text("0123456789xpisf@/. rbv×", max_size=24),
    st.from_regex(re.compile(_FORMAT.pattern, re.VERBOSE | re.ASCII), fullmatch=True),
)


@pytest.mark.parametrize(("text", "name", "page", "rate"), SPELLINGS)
def test_every_spelling_is_read(text: str, name: str, page: str, rate: Fraction) -> None:
    video = parse_format(text)
    assert (video.trade_name, video.display_id, video.rate) == (name, page, rate)


def test_a_format_has_its_parts() -> None:
    assert parse_format("1080i50") == Format(None, 1080, "i", Fraction(25))
    assert parse_format("3840x1080@60 RB") == Format(3840, 1080, "p", Fraction(60), "RBv1")


@pytest.mark.parametrize(("text", "reason"), REFUSALS)
def test_what_cannot_be_read_says_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as refusal:
        parse_format(text)
    message = str(refusal.value)
    assert message.startswith(f"“{text[:40]}")
    assert message.endswith("write, for example, 1080p59.94, 1080i59.94 or 1920x1080@60")


def test_the_examples_of_a_message_are_formats() -> None:
    with pytest.raises(ValueError, match="for example, ") as refusal:
        parse_format("")
    examples = str(refusal.value).partition("for example, ")[2]
    assert [parse_format(one).trade_name for one in re.split(", | or ", examples)]


@given(FORMATS)
def test_what_is_printed_is_read_back(video: Format) -> None:
    assert parse_format(video.trade_name) == video
    width = USUAL_WIDTHS[video.lines] if video.width is None else video.width
    page = parse_format(video.display_id)
    assert page == Format(width, video.lines, video.scan, video.rate, video.blanking)
    assert page.display_id == video.display_id


@given(PIXELS, PIXELS, st.sampled_from(["p", "i", "psf"]), USUAL | ANY_RATE, BLANKINGS)
def test_the_id_of_a_raster_is_read_back(
    width: int, lines: int, scan: Scan, rate: Fraction, blanking: Blanking
) -> None:
    try:
        video = raster_format(width, lines, rate, scan, blanking)
    except ValueError as refusal:
        assert "per second" in str(refusal)  # noqa: PT017  # either is right, by the rate
        return
    assert (video.width, video.lines, video.scan) == (width, lines, scan)
    assert rate in {video.rate, video.trade_rate}
    assert parse_format(video.display_id) == video
    assert raster_format(width, lines, video.trade_rate, scan, blanking) == video


@given(FORMATS)
def test_two_formats_of_one_name_are_one(video: Format) -> None:
    assert parse_format(video.trade_name.upper().replace("@", " @  ")) == video
    assert parse_format(video.trade_name).trade_name == video.trade_name


@given(INTERLACE.filter(lambda rate: rate < 40), st.sampled_from(["1080i", "1080i/"]))
def test_frames_and_fields_name_the_same_format(frames: Fraction, prefix: str) -> None:
    by_frames = parse_format(f"{prefix}{rate_text(frames)}")
    assert by_frames == parse_format(f"{prefix}{rate_text(frames * 2)}")
    assert (by_frames.rate, by_frames.trade_rate) == (frames, frames * 2)


def read_or_message(read: Callable[[str], T], text: str) -> T | str:
    """Return what a text is read as, or the message of its refusal; any other error is raised."""
    try:
        return read(text)
    except ValueError as error:
        return str(error)


@given(GARBAGE)
def test_garbage_is_refused_or_read_and_nothing_else(text: str) -> None:
    video = read_or_message(parse_format, text)
    if isinstance(video, str):
        assert len(video) < 300
        assert "for example" in video
    else:
        assert parse_format(video.trade_name) == video


@given(st.text(max_size=30) | st.from_regex(re.compile(_RATE.pattern, re.ASCII), fullmatch=True))
def test_a_rate_is_refused_or_read_exactly(text: str) -> None:
    rate = read_or_message(parse_rate, text)
    if isinstance(rate, str):
        assert "for example, 59.94 or 60" in rate
    else:
        assert parse_rate(rate_text(rate)) == rate
        assert abs(rate - Fraction(text.strip())) < Fraction(1, 10)


@pytest.mark.parametrize("length", [65, 1_000_000])
@pytest.mark.parametrize("piece", ["1", " ", "1x", "p", "rb", "1080p59.94 ", "1.", "/", "psf "])
def test_a_long_text_is_refused_unread(piece: str, length: int) -> None:
    with pytest.raises(ValueError, match="more than 64 characters") as refusal:
        parse_format(piece * length)
    assert len(str(refusal.value)) < 300
    with pytest.raises(ValueError, match="is no rate"):
        parse_rate(f"1{piece.strip()}" * length)


def test_no_pattern_repeats_without_a_bound() -> None:
    """A text of bounded length and pieces of bounded length make reading linear."""
    for pattern in (_FORMAT.pattern, _RATE.pattern):
        assert not re.search(r"[*+]|,\}", pattern)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("23.98", F23), ("23.976", F23), ("29.97", F29), ("59.94", F59), ("119.88", F119),
        ("59.9", F59), ("60000/1001", F59), (str(60000 / 1001), F59), (str(24000 / 1001), F23),
        ("60", Fraction(60)), ("60.0", Fraction(60)), ("59", Fraction(59)),
        ("59.93", Fraction(5993, 100)), ("59.95", Fraction(5995, 100)), ("25", Fraction(25)),
    ],
)  # fmt: skip
def test_decimals_of_the_trade_are_exact(text: str, rate: Fraction) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "sixty", "-60", "1e2", "0", "1000", "1/0", "60/1001", "nan"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no rate: .*; write, for example, 59\.94 or 60"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("59.94", ["23.976", "29.97", "59.94", "119.88"]),
        ("60", ["24", "30", "60", "120"]),
        ("50", ["25", "50", "100"]),
        (None, ["48", "47.95", "59.95", "72", "75", "144"]),
    ],
)
def test_rates_have_families(name: str | None, numbers: list[str]) -> None:
    assert {family(parse_rate(number)) for number in numbers} == {name}


def test_the_family_of_an_interlaced_format_is_that_of_its_fields() -> None:
    for name in ("1080i59.94", "1080i60", "1080i50"):
        video = parse_format(name)
        assert family(video.rate) == family(video.trade_rate) == name.removeprefix("1080i")


def test_the_same_rate_is_exactly_as_many_frames() -> None:
    full, half, nearly = map(parse_format, ("1080p59.94", "1080i59.94", "1920x1080@60"))
    assert same_rate(half, parse_format("1280x720@29.97"))
    assert same_rate(full, parse_format("720p59.940"))
    assert not same_rate(full, half)
    assert not same_rate(full, nearly)


@pytest.mark.parametrize(
    ("width", "lines", "rate"),
    [
        (None, 1081, Fraction(60)), (None, 1080, Fraction(61)), (0, 1080, Fraction(60)),
        (1920, MOST_PIXELS + 1, Fraction(60)), (1920, -1, Fraction(60)),
        (1920, 1080, Fraction(0)), (1920, 1080, Fraction(10**400)), (1920, 1080, Fraction(1, 3)),
        (1920, 1080, Fraction(5994, 100)), (1920, 1080, Fraction(100, 3)),
        (1920, 1080, Fraction(61000, 1001)),
    ],
)  # fmt: skip
def test_a_format_that_no_text_can_carry_is_not_made(
    width: int | None, lines: int, rate: Fraction
) -> None:
    with pytest.raises(ValueError, match=r"."):
        Format(width, lines, "p", rate)
