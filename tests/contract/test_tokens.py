"""A token is asked for once by all our processes, renewed before it ends, and asked for in the way that the EHR insists on."""

from __future__ import annotations

import gzip
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from fhir_billing.cycle.ports import Vault
from fhir_billing.domain.errors import (
    BillingError,
    EhrBrokeContract,
    EhrUnavailable,
    NotThere,
    RateLimited,
    ScopeMissing,
    SecretMissing,
    TokenRefused,
)
from fhir_billing.ehr import answers
from fhir_billing.ehr.backend_auth import BackendToken, Credentials, make_key, public_keys
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.connect import EhrSettings, connect, token_endpoint
from fhir_billing.store.schema import migrate
from fhir_billing.store.vault_redis import RedisVault
from fhir_billing.store.vault_sql import SqlVault
from tests.conftest import Sekmet
from tests.e2e.servers import settings_of

URL = "https://auth.example/token"
SECRET = "only-for-this-test-" * 2


class TokenServer:
    """Gives t1, t2 … to whoever it knows; its clock is its own."""

    def __init__(self, know: Callable[[dict[str, str], httpx2.Request], bool] = lambda *_: True) -> None:
        self.know, self.given, self.asked = know, 0, 0
        self.lives, self.clock, self.scope = 300, 0.0, "system/*.cruds"
        self.broken: httpx2.Response | None = None

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        if self.broken:
            return self.broken
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        date = {"date": formatdate(time.time() + self.clock, usegmt=True)}
        if not self.know(form, request):
            return httpx2.Response(401, json={"error": "invalid_client"}, headers=date)
        self.given += 1
        said: dict[str, Any] = {"access_token": f"t{self.given}", "expires_in": self.lives}
        return httpx2.Response(200, json=said | ({"scope": self.scope} if self.scope else {}), headers=date)


class Now:
    def __init__(self) -> None:
        self.more = 0.0

    def __call__(self) -> float:
        return time.time() + self.more


@pytest.fixture
def key(tmp_path: Path) -> Path:
    make_key(tmp_path / "key.pem")
    return tmp_path / "key.pem"


def token(
    server: TokenServer, vault: Vault | None = None, now: Callable[[], float] = time.time, **us: Any
) -> BackendToken:
    http = httpx2.Client(transport=httpx2.MockTransport(server))
    return BackendToken(Credentials(client_id="us", **us), URL, http, vault, now=now, sleep=lambda _: None)


@pytest.fixture(params=["sqlite", "redis"])
def vaults(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Vault]]:
    """Makes a vault as each process of one installation has it."""
    url = f"sqlite:///{tmp_path / 'book.db'}"
    if request.param == "sqlite":
        migrate(url)
        yield lambda: SqlVault(url, SECRET, lambda: datetime.now(UTC))
    else:
        address = request.getfixturevalue("redis_url")
        yield lambda: RedisVault(address, SECRET, str(tmp_path))


def test_all_processes_share_one_token(vaults: Callable[[], Vault], key: Path) -> None:
    server = TokenServer()
    each = [token(server, vaults(), key=key) for _ in range(4)]
    assert [one.value() for one in each] == ["t1"] * 4
    assert {one.granted for one in each} == {frozenset({"system/*.cruds"})}
    assert server.asked == 1


def test_what_the_ehr_refused_is_dropped_for_all_and_what_came_after_it_is_kept(
    vaults: Callable[[], Vault], key: Path
) -> None:
    server = TokenServer()
    one, other = token(server, vaults(), key=key), token(server, vaults(), key=key)
    assert [one.value(), other.value()] == ["t1", "t1"]
    one.forget("t1")
    assert one.value() == "t2"
    other.forget("t1")
    assert other.value() == "t2", "the newer one of the other process is found"
    one.forget("t1")
    assert one.value() == "t2", "a late refusal of the old one costs the new one nothing"
    assert server.asked == 2


def test_the_next_token_is_fetched_ahead_by_one_process_and_the_others_go_on(
    vaults: Callable[[], Vault], key: Path
) -> None:
    server, now = TokenServer(), Now()
    one, other = token(server, vaults(), now, key=key), token(server, vaults(), now, key=key)
    assert [one.value(), other.value()] == ["t1", "t1"]
    vault = vaults()
    vault.drop(f"{one._key}:lead")  # it was led a moment ago; four minutes have passed
    now.more = 245
    vault.first(f"{one._key}:lead", seconds=60)
    assert one.value() == "t1", "another process fetches"
    vault.drop(f"{one._key}:lead")
    assert one.value() == "t2"
    assert other.value() == "t2"
    assert server.asked == 2


def test_an_ehr_that_gives_no_next_token_stops_nobody_while_the_last_is_good(key: Path) -> None:
    server, now = TokenServer(), Now()
    own = token(server, None, now, key=key)
    assert own.value() == "t1"
    now.more, server.broken = 245, httpx2.Response(503)
    assert [own.value(), own.value()] == ["t1", "t1"]
    assert server.asked == 2, "it is not asked at each request"
    now.more = 290
    with pytest.raises(EhrUnavailable):
        own.value()


def test_a_vault_that_is_away_costs_a_token_of_its_own(key: Path) -> None:
    away = RedisVault("redis://127.0.0.1:9", SECRET)
    server = TokenServer()
    assert [token(server, away, key=key).value(), token(server, away, key=key).value()] == ["t1", "t2"]


@pytest.mark.parametrize("way", ["header", "form"])
def test_a_secret_is_shown_in_the_header_and_then_in_the_form(way: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s e+cret\n")

    def know(form: dict[str, str], request: httpx2.Request) -> bool:
        if way == "form":
            return form.get("client_secret") == "s e+cret" and form.get("client_id") == "us"
        return httpx2.Headers(request.headers).get("authorization") == "Basic dXM6cyUyMGUlMkJjcmV0"

    server = TokenServer(know)
    assert token(server, secret_file=tmp_path / "secret").value() == "t1"
    assert server.asked == (2 if way == "form" else 1)


def test_a_secret_that_is_nowhere_is_a_matter_of_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_SECRET", raising=False)
    for us in ({"secret_env": "NO_SUCH_SECRET"}, {"secret_file": tmp_path / "nowhere"}, {}):
        with pytest.raises(SecretMissing):
            token(TokenServer(), **us).value()


def test_while_keys_change_the_older_one_is_tried_when_the_new_one_is_not_known(key: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.pem"
    known = make_key(old)

    def know(form: dict[str, str], _: httpx2.Request) -> bool:
        try:
            jwt.decode(form["client_assertion"], KeySet([ECKey.import_key(known["keys"][0])]), algorithms=["ES384"])
        except Exception:
            return False
        return True

    server = TokenServer(know)
    assert token(server, key=key, more_keys=(old,)).value() == "t1"
    assert server.asked == 2
    known = public_keys(key)
    server.asked = 0
    assert token(server, key=key, more_keys=(old,)).value() == "t2"
    assert server.asked == 1, "once it is known, the new key alone"


@pytest.mark.parametrize("off", [-120, 0, 120, -900, 900])
def test_a_clock_that_is_off_keeps_nobody_out(key: Path, off: int) -> None:
    def know(form: dict[str, str], _: httpx2.Request) -> bool:
        keys = KeySet([ECKey.import_key(public_keys(key)["keys"][0])])
        claims = jwt.decode(form["client_assertion"], keys, algorithms=["ES384"]).claims
        theirs = time.time() + off
        return bool(claims["iat"] <= theirs < claims["exp"] <= theirs + 300) and "nbf" not in claims

    server = TokenServer(know)
    server.clock = off
    assert token(server, key=key).value() == "t1"
    assert server.asked == (1 if abs(off) < 130 else 2)


def test_a_wait_that_the_token_endpoint_asks_for_is_said(key: Path) -> None:
    server = TokenServer()
    server.broken = httpx2.Response(429, headers={"retry-after": "7"})
    with pytest.raises(RateLimited) as told:
        token(server, key=key).value()
    assert told.value.retry_after == 7


@pytest.mark.parametrize(("scope", "asked"), [("system/Patient.rs", False), ("openid", True), ("", True)])
def test_what_was_not_granted_is_not_asked_for_where_that_is_known(key: Path, scope: str, asked: bool) -> None:
    server, paths = TokenServer(), []
    server.scope = scope

    def answer(request: httpx2.Request) -> httpx2.Response:
        paths.append(request.url.path)
        return httpx2.Response(403)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    client = FhirClient("https://ehr.example/fhir", http, token(server, key=key))
    with pytest.raises(ScopeMissing):
        client.create({"resourceType": "Task"})
    assert bool(paths) == asked


@pytest.mark.parametrize(
    "sick",
    [
        httpx2.Response(200, html="<html>Sign in"), httpx2.Response(200, content=b""), httpx2.Response(200, content=b"[" * 100_000),
        httpx2.Response(400, html="<html>Bad request"), httpx2.Response(400, json={"resourceType": "OperationOutcome"}),
        httpx2.Response(302, headers={"location": "https://login.example/"}), httpx2.Response(403), httpx2.Response(503, json={"error": "invalid_client"}),
        httpx2.Response(200, content=gzip.compress(b" " * 50_000_000), headers={"x-packed": "gzip"}),
    ],
)  # fmt: skip
def test_a_token_endpoint_that_is_sick_has_not_refused_us(key: Path, sick: httpx2.Response) -> None:
    server = TokenServer()
    server.broken = sick
    if "x-packed" in sick.headers:
        server.broken = httpx2.Response(
            200, stream=httpx2.ByteStream(sick.content), headers={"content-encoding": "gzip"}
        )
    tracemalloc.start()
    with pytest.raises(EhrUnavailable):
        token(server, key=key).value()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 5_000_000


@pytest.mark.parametrize("code", ["invalid_client", "invalid_scope", "unauthorized_client"])
def test_a_refusal_in_the_words_of_oauth_is_one(key: Path, code: str) -> None:
    server = TokenServer()
    server.broken = httpx2.Response(400, json={"error": code})
    with pytest.raises(TokenRefused, match=code):
        token(server, key=key).value()


@pytest.mark.parametrize(
    "said",
    [
        b'"\xc2\xb2"',
        b"1" + b"0" * 400,
        b'"' + b"9" * 400 + b'"',
        b"true",
        b"null",
        b"[]",
        b"-1",
        b"1e400",
        b"59.5",
        b"0",
    ],
)
def test_a_life_that_nobody_can_live_ends_no_sign_in(vaults: Callable[[], Vault], key: Path, said: bytes) -> None:
    server = TokenServer()
    server.broken = httpx2.Response(200, content=b'{"access_token":"t1","scope":["a"],"expires_in":' + said + b"}")
    own = token(server, vaults(), key=key)
    assert own.value() == "t1"
    assert own.granted == frozenset()


@pytest.mark.parametrize("said", [None, 7, {}, "", "t\r\n1", "t²"])
def test_what_cannot_stand_in_a_header_is_no_token(key: Path, said: object) -> None:
    server = TokenServer()
    server.broken = httpx2.Response(200, json={"access_token": said})
    with pytest.raises(TokenRefused):
        token(server, key=key).value()


class Dripping(httpx2.SyncByteStream):
    """Four seconds of a byte now and then."""

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(80):
            time.sleep(0.05)
            yield b" "


def test_a_token_that_drips_is_given_up_and_so_is_where_it_is_had(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "SMALL_SECONDS", 1)
    began = time.monotonic()
    http = httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, stream=Dripping())))
    for where in (URL, lambda: token_endpoint("https://ehr.example/fhir", http)):
        with pytest.raises(EhrUnavailable, match="takes longer than 1 seconds"):
            BackendToken(Credentials(client_id="us", key=key), where, http).value()
    assert time.monotonic() - began < 3.5


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx2.Response(200, html="<html>"), EhrUnavailable), (httpx2.Response(503), EhrUnavailable), (httpx2.Response(302), EhrUnavailable),
        (httpx2.Response(200, content=b"[" * 100_000), EhrBrokeContract), (httpx2.Response(200, content=b" " * 300_000, headers={"content-type": "text/plain"}), EhrBrokeContract),
        (httpx2.Response(404), NotThere),
    ],
)  # fmt: skip
def test_where_tokens_are_had_is_read_with_care(answer: httpx2.Response, error: type[BillingError]) -> None:
    http = httpx2.Client(transport=httpx2.MockTransport(lambda _: answer))
    with pytest.raises(error):
        token_endpoint("https://ehr.example/fhir", http)


def test_a_foreign_ehr_takes_our_key_and_our_secret(sekmet_smart: Sekmet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EHR_SECRET_OF_A_TEST", sekmet_smart.secret)
    by_key = EhrSettings(url=sekmet_smart.url, client_id=sekmet_smart.client, key=sekmet_smart.key)
    by_secret = EhrSettings(
        url=sekmet_smart.url, client_id=sekmet_smart.client, secret_env="EHR_SECRET_OF_A_TEST", scopes="system/*.rs"
    )
    for settings in (by_key, by_secret):
        client = connect(settings)[0].client
        assert client.sign_in()
        client.exchange("GET", "Patient", params={"_count": "1"}).raise_for_status()


def test_whoever_got_none_keeps_nobody_waiting(vaults: Callable[[], Vault], key: Path) -> None:
    server = TokenServer()
    slept: list[float] = []
    server.broken = httpx2.Response(503)
    http = httpx2.Client(transport=httpx2.MockTransport(server))
    own = BackendToken(Credentials(client_id="us", key=key), URL, http, vaults(), sleep=slept.append)
    for _ in range(3):
        with pytest.raises(EhrUnavailable):
            own.value()
    server.broken = None
    assert own.value() == "t1"
    assert slept == []


def test_a_foreign_ehr_that_does_not_know_the_new_key_yet_takes_the_older_one(sekmet_smart: Sekmet, key: Path) -> None:
    assert sekmet_smart.key is not None
    client = connect(
        EhrSettings(url=sekmet_smart.url, client_id=sekmet_smart.client, key=key, more_keys=(sekmet_smart.key,))
    )[0].client
    assert client.sign_in()
    stranger = EhrSettings(url=sekmet_smart.url, client_id=sekmet_smart.client, key=key)
    with pytest.raises(EhrUnavailable):  # it breaks over a key of another kind than the one it knows
        connect(stranger)[0].client.sign_in()
    make_key(key.with_name("rsa.pem"), rsa_key=True)
    with pytest.raises(TokenRefused):
        connect(replace(stranger, key=key.with_name("rsa.pem")))[0].client.sign_in()


def test_the_other_foreign_ehr_does_so_too(ci_ehr: dict[str, str], key: Path) -> None:
    client = connect(
        replace(
            settings_of(ci_ehr), key=key, key_id="", more_keys=(Path(f"{ci_ehr['CI_EHR_KEY']}#{ci_ehr['CI_EHR_KID']}"),)
        )
    )[0].client
    assert client.sign_in()


def test_the_other_foreign_ehr_takes_our_key(ci_ehr: dict[str, str]) -> None:
    assert connect(settings_of(ci_ehr))[0].client.sign_in()
