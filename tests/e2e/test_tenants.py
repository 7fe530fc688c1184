"""Two hospitals live in one process, each at its own host with its own EHR and book, and nothing of one is anything to the other."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import uvicorn

from fhir_billing.api.hosts import ByHost
from fhir_billing.cycle.records import Kind
from fhir_billing.ehr.backend_auth import make_key
from fhir_billing.ehr.connect import EhrSettings, connect
from fhir_billing.settings import Settings
from fhir_billing.store.schema import migrate
from fhir_billing.store.vault_redis import PREFIX
from fhir_billing.wiring import Installation, install
from fhir_billing.worker import beat
from tests.conftest import Sekmet
from tests.e2e import charts

SECRETS = {"A_HOOK": "rings-at-north", "B_HOOK": "rings-at-south", "SOUTH_EHR": "backend-secret"}
HOSTS = {"north": "127.0.0.1", "south": "localhost"}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass(slots=True)
class Town:
    """Two tenants behind one port."""

    found: Installation
    port: int
    folder: Path

    def at(self, tenant: str) -> httpx2.Client:
        """A browser at one tenant's address: the host is what tells it from the other."""
        return httpx2.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers={"Host": f"{HOSTS[tenant]}:{self.port}"}, timeout=30
        )

    def ring(self, tenant: str, secret: str, visit: str) -> int:
        with self.at(tenant) as client:
            answer = client.put(f"/hooks/ehr/Encounter/{visit}", headers={"X-Hook-Secret": secret})
        return answer.status_code

    def visits(self, tenant: str) -> set[str]:
        with self.found[tenant].store.looking() as book:
            return {visit.encounter for visit in book.visits()}


def files(folder: Path, port: int, north: str, south: str) -> Path:
    """Two tenant files: north is asked without a token, south with a secret."""
    made = folder / "tenants"
    made.mkdir(exist_ok=True)
    for name, hook in (("north", "A_HOOK"), ("south", "B_HOOK")):
        make_key(made / f"{name}.pem")
        (made / f"{name}.yaml").write_text(
            f"public_url: http://{HOSTS[name]}:{port}\nsite: demo\ndatabase: {name}.db\n"
            f"hooks: {{secret_env: {hook}}}\nehr: {{{north if name == 'north' else south}}}\n"
        )
    return made


@pytest.fixture
def town(tmp_path: Path, sekmet: Sekmet, sekmet_smart: Sekmet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    port = free_port()
    folder = files(
        tmp_path, port, f"url: {sekmet.url}",
        f"url: {sekmet_smart.url}, client_id: {sekmet_smart.client}, secret_env: SOUTH_EHR, scopes: system/*.cruds",
    )  # fmt: skip
    settings = Settings(
        tenants=folder, channels=tmp_path / "channels", session_secret="one-for-the-house-" * 2, redis_url="", demo=True,
        poll_seconds=3600,
    )  # fmt: skip
    smart = EhrSettings(
        url=sekmet_smart.url, client_id=sekmet_smart.client, key=sekmet_smart.key, scopes="system/*.cruds"
    )
    for ehr in (EhrSettings(url=sekmet.url), smart):  # whatever another test closed there is open again
        for name in ("ada", "bo"):
            connect(ehr)[0].client.batch({"resourceType": "Bundle", "type": "batch", "entry": charts.entries(name)})
    found = install(settings)
    for name in found.names:
        migrate(found[name].settings.database_url)
    with Served(found, port):
        yield Town(found, port, folder)


class Served:
    """Serves all tenants, each with its beat, until the block ends."""

    def __init__(self, found: Installation, port: int) -> None:
        config = uvicorn.Config(ByHost(found), host="127.0.0.1", port=port, log_level="warning", access_log=False)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()
        until(lambda: self.server.started, 30)

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join(15)


def until(true: object, seconds: float = 20) -> None:
    ends = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.05)


def closed(ehr: EhrSettings, name: str) -> str:
    """A closed visit in an EHR."""
    client = connect(ehr)[0].client
    client.batch({"resourceType": "Bundle", "type": "batch", "entry": charts.entries(name)})
    visit = client.read(f"Encounter/{name}-visit")
    client.update({**visit, "status": "finished"}, version=visit["meta"]["versionId"])
    return f"{name}-visit"


def test_each_visit_is_billed_in_the_book_of_whose_ehr_rang(town: Town, sekmet: Sekmet, sekmet_smart: Sekmet) -> None:
    smart = EhrSettings(
        url=sekmet_smart.url, client_id=sekmet_smart.client, key=sekmet_smart.key, scopes="system/*.cruds"
    )
    ada, bo = closed(EhrSettings(url=sekmet.url), "ada"), closed(smart, "bo")
    assert town.ring("north", SECRETS["A_HOOK"], ada) == 200
    assert town.ring("south", SECRETS["B_HOOK"], bo) == 200
    until(lambda: town.visits("north") and town.visits("south"))
    both = {f"Encounter/{ada}", f"Encounter/{bo}"}
    assert (town.visits("north") & both, town.visits("south") & both) == ({f"Encounter/{ada}"}, {f"Encounter/{bo}"})
    for one, other, secret in (("south", "north", "A_HOOK"), ("north", "south", "B_HOOK")):
        assert town.ring(one, SECRETS[secret], "dee-visit") in {401, 403}, f"{other}'s secret at {one}'s door"


def test_who_signed_in_at_one_is_nobody_at_the_other(town: Town) -> None:
    with town.at("north") as north, town.at("south") as south:
        token = re.search(r'name="csrf" value="([^"]+)"', north.get("/sign-in").text)
        assert token
        entered = north.post("/sign-in/demo", data={"csrf": token[1], "next": "/"})
        cookie = entered.headers["set-cookie"].partition(";")[0]
        north.cookies.clear()
        assert north.get("/", headers={"Cookie": cookie}).status_code == 200
        away = south.get("/", headers={"Cookie": cookie})
        assert (away.status_code, "/sign-in" in away.headers.get("location", "")) == (303, True)
    a, b = town.found["north"], town.found["south"]
    a.vault.put("session:handle", b"a launch", seconds=60)
    assert b.vault.get("session:handle") is None
    sealed = a.seal.close("session:handle", b"a launch")
    assert b.seal.open("session:handle", sealed) is None, "even carried over it does not open"


def test_each_publishes_its_own_keys(town: Town) -> None:
    for name in town.found.names:
        town.found[name].settings.ehr_key = town.folder / f"{name}.pem"
    kids = []
    for name in ("north", "south"):
        with town.at(name) as client:
            kids.append({key["kid"] for key in client.get("/.well-known/jwks.json").json()["keys"]})
    assert [len(one) for one in kids] == [1, 1]
    assert not kids[0] & kids[1]


@pytest.mark.parametrize(
    "host", ["elsewhere.example", "", "127.0.0.1.elsewhere.example", "[::1]", "[", "127.0.0.1@localhost"]
)
def test_a_host_that_nobody_has_hears_nothing_but_that(town: Town, host: str) -> None:
    request = f"GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", town.port), timeout=10) as line:
        line.sendall(request.encode())
        answer = b"".join(iter(lambda: line.recv(65_536), b""))
    assert answer.split()[1] == b"421"
    assert not [word for word in (b"north", b"south", b"waiting") if word in answer.partition(b"\r\n\r\n")[2]]


def test_a_request_with_two_hosts_is_nobodys(town: Town) -> None:
    request = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", town.port), timeout=10) as line:
        line.sendall(request.encode())
        assert line.recv(100).split()[1] in {b"400", b"421"}


def test_what_is_broken_at_one_stops_nothing_at_the_other(
    tmp_path: Path, sekmet: Sekmet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    port = free_port()
    folder = files(
        tmp_path, port, f"url: {sekmet.url}", "url: http://127.0.0.1:9/fhir, client_id: x, secret_env: SOUTH_EHR"
    )
    found = install(
        Settings(tenants=folder, channels=tmp_path / "channels", session_secret="one-for-the-house-" * 2, redis_url="")
    )
    migrate(found["north"].settings.database_url)  # south has no book
    visit = closed(EhrSettings(url=sekmet.url), "cy")
    monkeypatch.setattr("fhir_billing.api.hosts.AGAIN_SECONDS", 0)
    with Served(found, port):
        town = Town(found, port, folder)
        with town.at("south") as south:
            answer = south.get("/health")
            assert answer.status_code == 503
            assert "db" not in answer.text
        assert town.ring("north", SECRETS["A_HOOK"], visit) == 200
        until(lambda: town.visits("north"))
        migrate(found["south"].settings.database_url)  # its EHR is still down
        with town.at("south") as south:
            assert south.get("/health").status_code == 200, "it is tried again when it is asked for"
        assert town.ring("south", SECRETS["B_HOOK"], visit) == 200
        with town.at("north") as north:
            assert north.get("/health").status_code == 200
    assert found["south"].store.doorbells(found.clock.now().replace(year=2100)), (
        "its doorbell waits until its EHR is back"
    )


def cli(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_BILLING_")} | settings
    return subprocess.run(
        [sys.executable, "-m", "fhir_billing", *words], env=env | SECRETS, capture_output=True, text=True, timeout=120
    )


def test_commands_are_about_all_or_about_the_one_that_is_chosen(tmp_path: Path, sekmet: Sekmet) -> None:
    folder = files(tmp_path, 8000, f"url: {sekmet.url}", "url: http://127.0.0.1:9/fhir")
    env = {"FHIR_BILLING_TENANTS": str(folder), "FHIR_BILLING_CHANNELS": str(tmp_path / "channels")}
    made = cli("migrate", **env)
    assert made.returncode == 0, made.stderr
    assert (folder / "north.db").exists()
    assert (folder / "south.db").exists()
    looked = cli("doctor", **env)
    assert looked.returncode == 3, "south's EHR is down"
    assert looked.stdout.count("ledger, audit chain and kept bytes hold") == 2
    unsaid = cli("ledger", "--all", **env)
    assert unsaid.returncode == 3
    assert "north, south" in unsaid.stderr
    for one in (cli("--tenant", "north", "ledger", "--all", **env), cli("--tenant=south", "ledger", "--all", **env)):
        assert one.returncode == 0, one.stderr
    assert cli("ledger", "--all", **env, FHIR_BILLING_TENANT="east").returncode == 3
    worked = cli("worker", "--once", **env)
    assert worked.returncode == 3, "south's EHR does not answer"
    assert cli("--tenant", "north", "doctor", **env).stdout.count("ledger, audit chain") == 1


def test_with_redis_one_worker_beats_for_each_and_its_keys_carry_their_names(
    tmp_path: Path, sekmet: Sekmet, redis_url: str
) -> None:
    import redis

    folder = files(tmp_path, 8000, f"url: {sekmet.url}", "url: http://127.0.0.1:9/fhir")
    env = {
        "FHIR_BILLING_TENANTS": str(folder), "FHIR_BILLING_CHANNELS": str(tmp_path / "channels"), "REDIS_URL": redis_url,
        "FHIR_BILLING_SESSION_SECRET": "one-for-the-house-" * 2,
    }  # fmt: skip
    assert cli("migrate", **env).returncode == 0
    visit = closed(EhrSettings(url=sekmet.url), "ada")
    os.environ.update(SECRETS)
    found = install(Settings(tenants=folder, session_secret=env["FHIR_BILLING_SESSION_SECRET"], redis_url=redis_url))
    now = found.clock.now()
    body = f'{{"encounter": "Encounter/{visit}", "version": "", "found_by": "hook"}}'.encode()
    for name in found.names:
        found[name].store.keep(Kind.DOORBELL, f"Encounter/{visit}:1", body, at=now, channel="hook", who="hook")
        found[name].vault.put("k", name.encode(), seconds=60)
    assert [found[name].vault.get("k") for name in found.names] == [b"north", b"south"]
    worker = subprocess.Popen(
        [sys.executable, "-m", "fhir_billing", "worker"], env={**os.environ, **env}, stderr=subprocess.DEVNULL
    )
    try:
        town = Town(found, 0, folder)
        until(lambda: town.visits("north"), 60)
        assert not town.visits("south")
    finally:
        worker.terminate()
        worker.wait(20)
    server: redis.Redis = redis.Redis.from_url(redis_url)
    for name in found.names:
        assert list(server.scan_iter(f"{PREFIX}{name}:*"))
    assert list(server.scan_iter("fhir-billing:pace:north:*"))
    beat.work(found["south"])  # its store is well
