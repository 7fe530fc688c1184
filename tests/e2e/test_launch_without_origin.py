"""Some EHRs sandbox the frame so that it has no origin: the visit opens, is answered and left all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.bedside import Ward

NO_ORIGIN = "allow-scripts allow-forms"


def signed_in(url: str) -> str:
    """What another browser was sent back to: this one has none of its cookies."""
    with httpx2.Client(follow_redirects=False) as http:
        for _ in range(9):
            url = str(httpx2.URL(url).join(http.get(url).headers["location"]))
            if "/launch/back" in url:
                return url
    raise AssertionError("the EHR does not send the browser back")


@pytest.mark.parametrize("cookies", [True, False])
def test_a_frame_without_an_origin_works_with_its_cookie_or_without(ward: Ward, page: Page, cookies: bool) -> None:
    url = ward.launch_url(ward.admit())
    page.goto(ward.framing(url if cookies else signed_in(url), sandbox=NO_ORIGIN))
    frame = page.frame_locator("iframe[name=app0]")
    expect(frame.locator("h1")).to_contain_text("One answer left", timeout=20_000)
    frame.locator("button.answer").first.click()
    expect(frame.locator("h1")).to_contain_text("Nothing is missing", timeout=20_000)
    frame.locator("nav a").nth(1).click()
    expect(frame.locator("h1")).to_contain_text("No bills yet", timeout=20_000)
    frame.get_by_role("button", name="Sign out").click()
    expect(frame.locator("h1")).to_contain_text("You are signed out", timeout=20_000)
