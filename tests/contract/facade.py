"""A real server of ours with one visit that was paid, and apps that come to it by HTTP."""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from fhir_billing.api.app import create_app
from tests.e2e.charts import chart, encounter_of, finished
from tests.e2e.story import Story

CHART = "https://ehr.example/fhir"
SECRET = "thirty-two characters of a secret"
DAY = "2026-03-04"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def served(app: Any, port: int) -> Iterator[None]:
    """An ASGI application on a port of this machine."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield
    server.should_exit = True
    thread.join(timeout=10)


@dataclass
class House:
    """One installation of ours, on a port."""

    folder: Path
    port: int = field(default_factory=free_port)
    name: str = "house"
    database: str = ""
    redis_url: str = ""

    def __post_init__(self) -> None:
        home = self.folder / self.name
        home.mkdir(parents=True)
        self.apps = home / "apps"
        self.apps.mkdir()
        self.story = Story(
            folder=home, database=self.database or f"sqlite:///{home / 'book.db'}", scenario="pays", day=DAY
        )
        settings = self.story.wiring.settings
        settings.apps, settings.session_secret, settings.ehr_url = self.apps, SECRET, CHART
        settings.redis_url = self.redis_url
        settings.public_url, settings.files = self.url, home / "files"
        self.keys: dict[str, Any] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def fhir(self) -> str:
        return f"{self.url}/fhir"

    def app(self, name: str, *scopes: str, alg: str = "ES384", **more: Any) -> None:
        """An app with a key of its own."""
        if "secret_env" not in more:
            key: Any = ECKey.generate_key("P-384") if alg == "ES384" else RSAKey.generate_key(2048)
            public = {**key.as_dict(private=False), "kid": name, "alg": alg, "use": "sig"}
            (self.apps / f"{name}.jwks.json").write_text(json.dumps({"keys": [public]}))
            self.keys[name] = (key, alg)
            more["jwks"] = f"{name}.jwks.json"
        said = {"app": name, "client_id": f"{name}-client", "scopes": list(scopes), **more}
        (self.apps / f"{name}.yaml").write_text(json.dumps(said))
        self.story.wiring.__dict__.pop("apps", None)

    def paid(self, *names: str) -> None:
        """Visits that are closed, sent and paid."""
        for name in names:
            resources = finished(chart(name))
            self.story.visit(encounter_of(resources), resources)
        self.story.send()
        for _ in range(4):
            self.story.collect()

    def statement(self, name: str, **changes: Any) -> str:
        """What the app signs, with what an attacker changes."""
        key, alg = self.keys[changes.pop("key", name)]
        now = int(self.story.clock.now().timestamp())
        header = {"alg": alg, "kid": name, "typ": "JWT", **changes.pop("header", {})}
        said = {
            "iss": f"{name}-client",
            "sub": f"{name}-client",
            "aud": f"{self.url}/auth/token",
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + 240,
            **changes,
        }
        return jwt.encode(header, said, key, algorithms=[alg])

    def ask_token(self, name: str, scope: str, *, statement: str = "") -> httpx2.Response:
        form = {
            "grant_type": "client_credentials",
            "scope": scope,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": statement or self.statement(name),
        }
        return httpx2.post(f"{self.url}/auth/token", data=form)

    def client(self, name: str, scope: str = "system/*.rs") -> httpx2.Client:
        """The app with a token."""
        answer = self.ask_token(name, scope)
        assert answer.status_code == 200, answer.text
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}", "Accept": "application/fhir+json"}
        return httpx2.Client(base_url=f"{self.fhir}/", headers=headers)

    @contextmanager
    def open(self, *, beats: bool = False) -> Iterator[None]:
        with served(create_app(self.story.wiring, beats=beats), self.port):
            yield
