"""The servers that tests talk to are real: a FHIR server, Redis, Postgres, a browser; each is started once, on loopback.

Someone who lacks a Debian package sees the tests that need it skipped, with the package named. Where `CI` is set
nothing may be skipped: the same lack is a failure. Unit, property and house tests cannot open a socket at all.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import hypothesis
import pytest
import pytest_socket

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.e2e.bedside import Ward

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / "tests" / "peers"
WITHOUT_SOCKETS = ("unit", "property", "house")

hypothesis.settings.register_profile("everyday", max_examples=50, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True)
hypothesis.settings.register_profile(
    "campaign", max_examples=int(os.environ.get("CAMPAIGN_EXAMPLES", "5000")), deadline=None
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "everyday"))


def lacking(what: str) -> NoReturn:
    """Skip with a reason on somebody's own machine; fail where nothing may be skipped."""
    if os.environ.get("CI"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


def pytest_runtest_setup(item: pytest.Item) -> None:
    folder = Path(item.path).relative_to(ROOT / "tests").parts[0]
    if folder in WITHOUT_SOCKETS:
        pytest_socket.disable_socket(allow_unix_socket=True)  # an event loop talks to itself through one
    else:
        pytest_socket.enable_socket()


def pytest_runtest_teardown(item: pytest.Item) -> None:
    pytest_socket.enable_socket()


class Peer:
    """One start script of tests/peers in a run folder of its own, so that two test runs never meet."""

    def __init__(self, script: str, folder: Path) -> None:
        self.script = PEERS / script
        self.folder = folder

    def start(self, *words: str, **settings: str) -> dict[str, str]:
        """Start it, or find it running; answer the KEY=VALUE lines it prints."""
        out = self._run("start", *words, **settings)
        pairs = (line.partition("=") for line in out.splitlines() if "=" in line and not line.startswith("#"))
        return {key: "".join(shlex.split(value)) for key, _, value in pairs}

    def stop(self, *words: str) -> None:
        self._run("stop", *words)

    def _run(self, *words: str, **settings: str) -> str:
        log = self.folder / "started.log"
        with log.open("ab") as complaints:  # not a pipe: a server that lives on would hold it open
            done = subprocess.run(
                [str(self.script), *words],
                env={**os.environ, "PEERS_RUN": str(self.folder), **settings},
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                check=False,
            )
        if done.returncode:
            pytest.fail(f"{self.script.name} {' '.join(words)}:\n{log.read_text()[-3000:]}", pytrace=False)
        return done.stdout


@pytest.fixture(scope="session")
def peers_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the servers of this test session keep their data, keys and logs."""
    return tmp_path_factory.mktemp("peers")


@pytest.fixture(scope="session")
def redis_url(peers_run: Path) -> Iterator[str]:
    """An empty Redis of Debian's; tests that share it take key names of their own."""
    if not shutil.which("redis-server"):
        lacking("Debian package redis-server is missing. As root: apt-get install redis-server")
    peer = Peer("backing.sh", peers_run)
    yield peer.start("redis", REDIS_PORT="0")["BACKING_REDIS"]
    peer.stop("redis")


@pytest.fixture(scope="session")
def postgres_url(peers_run: Path) -> Iterator[str]:
    """A Postgres of Debian's with one empty database, as SQLAlchemy names it."""
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        lacking("Debian package postgresql is missing. As root: apt-get install postgresql")
    peer = Peer("backing.sh", peers_run)
    found = peer.start("postgres", PG_PORT="0")["BACKING_POSTGRES"]
    yield found.replace("postgresql://", "postgresql+psycopg://")
    peer.stop("postgres")
    for data in Path("/var/lib/postgresql").glob("peers-*") if os.geteuid() == 0 else ():
        if not (data / "postmaster.pid").exists():  # a server refuses to be root and keeps its data there instead
            shutil.rmtree(data, ignore_errors=True)


@pytest.fixture
def fresh_postgres_url(postgres_url: str) -> Iterator[str]:
    """A database that only this test has seen."""
    import psycopg

    server = postgres_url.replace("+psycopg", "")
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'create database "{name}"'.encode())
        yield postgres_url.rpartition("/")[0] + f"/{name}"
        connection.execute(f'drop database "{name}" with (force)'.encode())


@pytest.fixture(params=["sqlite", "postgres"])
def each_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind: a test that takes this runs once on SQLite and once on Postgres."""
    if request.param == "postgres":
        return str(request.getfixturevalue("fresh_postgres_url"))
    return f"sqlite:///{tmp_path / 'book.db'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sekmet:
    """A running sekmet-fhir: an EHR nobody here wrote."""

    url: str
    client: str = ""
    key: Path | None = None
    secret: str = ""

    @property
    def token_url(self) -> str:
        return self.url.removesuffix("/fhir") + "/auth/token"


@pytest.fixture(scope="session")
def sekmet(peers_run: Path) -> Iterator[Sekmet]:
    """The sandbox EHR without sign-in; hooks arrive as PUT endpoint/Type/id."""
    peer = Peer("sekmet.sh", peers_run)
    yield Sekmet(url=peer.start("open", OPEN_PORT="0")["SEKMET_OPEN"])
    peer.stop("open")


@pytest.fixture(scope="session")
def sekmet_smart(peers_run: Path) -> Iterator[Sekmet]:
    """The sandbox EHR behind strict SMART Backend Services (private_key_jwt)."""
    peer = Peer("sekmet.sh", peers_run)
    said = peer.start("smart", SMART_PORT="0")
    yield Sekmet(
        url=said["SEKMET_SMART"],
        client=said["SEKMET_SMART_CLIENT"],
        key=Path(said["SEKMET_SMART_KEY"]),
        secret=said["SEKMET_SMART_SECRET"],
    )
    peer.stop("smart")


@pytest.fixture(scope="session")
def staff_oidc(peers_run: Path) -> Iterator[str]:
    """The issuer of an OpenID provider for staff; it takes any client and secret."""
    peer = Peer("staff-oidc.sh", peers_run)
    yield peer.start(OIDC_PORT="0")["STAFF_OIDC"]
    peer.stop()


@pytest.fixture(scope="session")
def ci_ehr(peers_run: Path) -> Iterator[dict[str, str]]:
    """An EHR with SMART launch, PKCE and enforced scopes: CI_EHR_FHIR, CI_EHR_AUTH, CI_EHR_KEY, CI_EHR_KID."""
    peer = Peer("ci-ehr.sh", peers_run)
    yield peer.start(FHIR_PORT="0", AUTH_PORT="0")
    peer.stop()


@pytest.fixture(scope="session")
def ward(peers_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """A bedside: an EHR of its own with its page, and the product that it opens in a frame."""
    from tests.e2e import bedside

    folder = peers_run / "bedside"
    folder.mkdir()
    peer = Peer("ci-ehr.sh", folder)

    def start(back: str) -> dict[str, str]:
        return peer.start(FHIR_PORT="0", AUTH_PORT="0", REDIRECT_URIS=back, FHIR_USER="Practitioner/dr-lin")

    with bedside.ward(tmp_path_factory.mktemp("bedside"), start) as made:
        yield made
    peer.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    if not (found := shutil.which("chromium")):
        lacking("Debian package chromium is missing. As root: apt-get install chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page of a browser that has no history."""
    context = chromium.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The large charts and payer files that lie beside the repository; a clone alone does not have them."""
    found = ROOT.parent / "shared" / "data"
    if not found.is_dir():
        lacking(
            f"../shared/data is not beside {ROOT.name}: the large charts and payer files are tested only where it is"
        )
    return found.parent
