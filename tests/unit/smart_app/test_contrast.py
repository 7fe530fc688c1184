"""Grey on grey is unreadable at five in the afternoon: the contrast of every pair of tokens is computed from the style sheet."""

from __future__ import annotations

import re
from itertools import product

import pytest

from smart_app.face import HERE

CSS = (HERE / "static" / "desk.css").read_text(encoding="utf-8")
TONES = ("neutral", "amber", "orange", "red", "blue", "violet", "green", "teal")
THEMES = {"light": ":root {", "dark": ':root[data-theme="dark"] {', "contrast": ':root[data-theme="contrast"] {'}
SYSTEM = {"dark": "prefers-color-scheme: dark", "contrast": "prefers-contrast: more"}


def tokens(theme: str) -> dict[str, str]:
    """The colours of a theme, from its own block."""
    start = CSS.index(THEMES[theme])
    return colours(CSS[start : CSS.index("}", start)])


def colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z0-9-]+): (#[0-9A-Fa-f]{6});", block))


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ratio(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_arithmetic_of_contrast_is_right() -> None:
    assert round(ratio("#000000", "#FFFFFF")) == 21
    assert round(ratio("#777777", "#FFFFFF"), 2) == 4.48


@pytest.mark.parametrize("theme", THEMES)
def test_text_can_be_read_on_every_ground(theme: str) -> None:
    found = tokens(theme)
    grounds = ("canvas", "surface", "sunken", "raised", "row-sel", "row-focus")
    for ink, ground in product(("ink", "ink-2", "ink-3"), grounds):
        assert ratio(found[ink], found[ground]) >= 4.5, f"{theme}: {ink} on {ground}"
    assert ratio(found["accent"], found["surface"]) >= 4.5
    for ground in ("accent", "accent-hover"):
        assert ratio(found["on-accent"], found[ground]) >= 4.5
    assert ratio(found["line-2"], found["surface"]) >= 3, "the edge of an input"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("tone", TONES)
def test_a_tone_is_read_on_its_tint_and_its_icon_on_the_surface(theme: str, tone: str) -> None:
    found = tokens(theme)
    assert ratio(found[tone], found[f"{tone}-tint"]) >= 6.6
    assert ratio(found[tone], found["surface"]) >= 4.5
    least = 9.7 if theme == "contrast" and tone != "neutral" else 4.5
    assert ratio(found[f"{tone}-icon"], found["surface"]) >= least


@pytest.mark.parametrize("theme", SYSTEM)
def test_the_systems_choice_and_ones_own_choice_look_the_same(theme: str) -> None:
    start = CSS.index(SYSTEM[theme])
    block = colours(CSS[start : CSS.index("}", start)])
    chosen = tokens(theme)
    assert {name: chosen[name] for name in block} == block
    assert set(chosen) - set(block) <= {"toast", "on-toast"}


def test_no_colour_stands_outside_the_tokens() -> None:
    rules = CSS[CSS.index("@layer base {") :]
    stray = re.findall(r"#[0-9A-Fa-f]{3,8}\b", rules)
    assert set(stray) <= {"#FFFFFF"}, "the printed page is white; every other colour is a token"


def test_every_icon_that_a_page_uses_is_in_the_list() -> None:
    listed = {
        line.strip() for line in (HERE / "static" / "icons.txt").read_text().splitlines() if line and line[0] != "#"
    }
    used: set[str] = set()
    for path in (HERE / "templates").rglob("*.html"):
        used |= set(re.findall(r'icon\("([a-z0-9-]+)"', path.read_text()))
        used |= set(re.findall(r'kit\.empty\("([a-z0-9-]+)"', path.read_text()))
        used |= set(re.findall(r'kit\.tonechip\("([a-z0-9-]+)"', path.read_text()))
        used |= set(re.findall(r'item\("[^"]+", "([a-z0-9-]+)"', path.read_text()))
    from smart_app import look

    used |= {state.icon for state in look.STATES.values()}
    used |= {row[0] for table in (look.CLINICIAN, look.MESSAGES, look.TOLD, look.REMITTANCES) for row in table.values()}
    assert used <= listed, used - listed
