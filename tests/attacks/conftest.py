"""One product between two EHRs: one that means well, and one that wants the other's patients."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from fhir_billing.api.app import create_app
from fhir_billing.settings import Settings
from fhir_billing.store.schema import migrate
from fhir_billing.wiring import SystemClock, Wiring
from tests.attacks.other_ehr import OtherEhr
from tests.e2e import charts
from tests.e2e.bedside import SECRET, free_port, served

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Visitor:
    """A browser that keeps cookies as a browser in a frame would, and follows nothing by itself."""

    base: str
    cookies: dict[str, str] = field(default_factory=dict)
    set_cookies: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """One request with the cookies that it holds; paths of cookies are the server's business, not honoured here."""
        headers = dict(more.pop("headers", {}))
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        address = path if path.startswith("http") else self.base + path
        with httpx2.Client(timeout=30, follow_redirects=False) as client:
            answer = client.request(method, address, headers=headers, **more)
        self.addresses += [address, answer.headers.get("location", "")]
        for said in answer.headers.get_list("set-cookie"):
            self.set_cookies.append(said)
            name, _, value = said.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def get(self, path: str, **more: Any) -> httpx2.Response:
        return self.ask("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx2.Response:
        return self.ask("POST", path, **more)

    def begin(self, ehr: OtherEhr) -> str:
        """Open the launch; where the product sends the browser."""
        answer = self.get(f"/launch?{ehr.launch()}")
        assert answer.status_code in {302, 303, 307}, answer.text
        return str(answer.headers["location"])

    def launch(self, ehr: OtherEhr) -> str:
        """The whole way in; the handle of the session."""
        answer = self.get(f"/launch/back?{ehr.back(self.begin(ehr))}")
        return self.arrived(answer)

    def arrived(self, answer: httpx2.Response) -> str:
        """The handle of the session that this answer opened."""
        handles = [name.removeprefix("v-") for name in self.cookies if name.startswith("v-")]
        assert handles, f"{answer.status_code}: {answer.text[:2000]}"
        return handles[-1]


@dataclass
class Between:
    """The product, and the two EHRs that it knows."""

    base: str
    wiring: Wiring
    honest: OtherEhr
    mallory: OtherEhr

    def visitor(self) -> Visitor:
        return Visitor(self.base)

    def audited(self) -> list[Any]:
        """The audit trail, oldest first."""
        import sqlalchemy as sa

        from fhir_billing.store import tables

        with self.wiring.store._engine.connect() as connection:
            return list(connection.execute(sa.select(tables.audit).order_by(tables.audit.c.id)))


def _ehr(name: str) -> OtherEhr:
    own = [*charts.clinic(), *charts.bundle(f"{name}.json")]
    (visit,) = [r for r in own if r["resourceType"] == "Encounter"]
    (patient,) = [r for r in own if r["resourceType"] == "Patient"]
    ehr = OtherEhr(patient["id"], visit["id"])
    ehr.chart = {f"{r['resourceType']}/{r['id']}": r for r in own}
    return ehr


@pytest.fixture(scope="session")
def empty_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated book with nothing in it, to be copied: migrating takes longer than most attacks."""
    made = tmp_path_factory.mktemp("empty") / "book.db"
    migrate(f"sqlite:///{made}")
    return made


@pytest.fixture
def between(tmp_path: Path, empty_book: Path) -> Iterator[Between]:
    """A product with two doors."""
    honest, mallory = _ehr("ada"), _ehr("bo")
    doors = tmp_path / "launches"
    doors.mkdir()
    for name, ehr in (("honest", honest), ("mallory", mallory)):
        (doors / f"{name}.yaml").write_text(f"iss: {ehr.iss}\nclient_id: app-{name}\n", encoding="utf-8")
    database = f"sqlite:///{tmp_path / 'book.db'}"
    shutil.copy(empty_book, tmp_path / "book.db")
    port = free_port()
    base = f"http://localhost:{port}"
    wiring = Wiring(
        settings=Settings(
            database=database,
            channels=tmp_path / "channels",
            site="demo",
            redis_url="",
            public_url=base,
            session_secret=SECRET,
            launches=doors,
        ),
        clock=SystemClock(),
    )
    with served(create_app(wiring, beats=False), port):
        yield Between(base=base, wiring=wiring, honest=honest, mallory=mallory)
    for ehr in (honest, mallory):
        ehr.close()
