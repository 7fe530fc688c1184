"""What axe-core finds on a page, told so that whoever reads it knows where to look."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from tools.assets import PACKAGES, fetch

if TYPE_CHECKING:
    from playwright.sync_api import Frame, Page

RUN = """async (options) => {
  const found = await axe.run(document, options);
  return found.violations.map(v => ({id: v.id, impact: v.impact, help: v.help,
    nodes: v.nodes.map(n => n.target.join(' ') + ' :: ' + n.html.slice(0, 160) + ' :: ' + (n.any[0]?.message ?? ''))}));
}"""
WHAT = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], "iframes": False}


@cache
def script() -> str:
    """The pinned axe-core."""
    fetch()
    return (PACKAGES / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def violations(where: Page | Frame) -> list[str]:
    """One line for each element that breaks a rule. Evaluated by the debugger, so that the page's own policy stays as it is."""
    if not where.evaluate("typeof axe === 'object'"):
        where.evaluate(script())
    found: list[dict[str, Any]] = where.evaluate(RUN, WHAT)
    return [f"{one['impact']} {one['id']}: {one['help']} — {node}" for one in found for node in one["nodes"]]
