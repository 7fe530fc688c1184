"""A browser without a browser: signs in, reads pages, posts their forms as they stand."""

from __future__ import annotations

import re
from html import unescape

from fastapi.testclient import TestClient

from smart_app.app import create_app
from smart_app.example import Example
from smart_app.example_people import NOW
from smart_app.face import FaceSettings


class Desk:
    """The desk over the invented people."""

    def __init__(self, **settings: object) -> None:
        self.example = Example()
        chosen = {"organization": "Example Clinic", "demo": True, "now": lambda: NOW, **settings}
        app = create_app(self.example, self.example, FaceSettings(**chosen))  # type: ignore[arg-type]
        self.http = TestClient(app, raise_server_exceptions=True)

    def sign_in(self) -> Desk:
        page = self.http.get("/sign-in").text
        self.http.post("/sign-in/demo", data={"csrf": field(page, "csrf"), "next": "/"})
        return self

    def read(self, path: str, status: int = 200) -> str:
        answer = self.http.get(path)
        assert answer.status_code == status, f"{path}: {answer.status_code}"
        return answer.text

    def post(self, path: str, page: str, **facts: str) -> tuple[int, str]:
        """Post a form that stood on a page, with its token and its key."""
        form = {"csrf": field(page, "csrf"), "key": field(page, "key"), **facts}
        answer = self.http.post(path, data=form, follow_redirects=True)
        return answer.status_code, answer.text


def field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, f"the page has no field {name}"
    return unescape(found[1])


def words(page: str) -> str:
    """What a reader reads, in one line."""
    inside = re.sub(r"<(script|style|title)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", inside))).strip()
