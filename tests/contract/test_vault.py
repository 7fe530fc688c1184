"""Three vaults keep one promise: what is put in comes out sealed, in time, and once where once was promised."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from fhir_billing.cycle.ports import Vault
from fhir_billing.domain.errors import NotNow, SecretMissing
from fhir_billing.store.schema import migrate
from fhir_billing.store.vault_redis import RedisVault
from fhir_billing.store.vault_sql import SqlVault

SECRET = "only-for-this-test-" * 2


class Time:
    """The real time, and what a test adds to it."""

    def __init__(self) -> None:
        self.more = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.more


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def address(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if kind == "redis":
        return str(request.getfixturevalue("redis_url"))
    url = f"sqlite:///{tmp_path / 'book.db'}" if kind == "sqlite" else request.getfixturevalue("fresh_postgres_url")
    migrate(url)
    return str(url)


def made(kind: str, address: str, *, secret: str = SECRET, now: Any = None) -> Any:
    return RedisVault(address, secret) if kind == "redis" else SqlVault(address, secret, now or Time())


@pytest.fixture
def vault(kind: str, address: str) -> Iterator[Vault]:
    found = made(kind, address)
    yield found
    found.close()


@pytest.fixture
def key() -> str:
    return f"test:{uuid.uuid4()}"


def test_what_was_put_is_there_until_it_is_dropped(vault: Vault, key: str) -> None:
    assert vault.get(key) is None
    vault.put(key, b"one", seconds=60)
    vault.put(key, b"two", seconds=60)
    assert vault.get(key) == b"two"
    vault.drop(key)
    vault.drop(key)
    assert vault.get(key) is None


def test_of_many_who_take_at_once_one_gets_it(vault: Vault, key: str) -> None:
    vault.put(key, b"a login on its way", seconds=60)
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: vault.take(key), range(16)))
    assert [value for value in got if value] == [b"a login on its way"]
    assert vault.get(key) is None


def test_of_many_who_are_first_one_is(vault: Vault, key: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: vault.first(key, seconds=60), range(16))) == 1
    vault.drop(key)
    assert vault.first(key, seconds=60)


def test_another_secret_opens_nothing(kind: str, address: str, vault: Vault, key: str) -> None:
    vault.put(key, b"a token", seconds=60)
    stranger = made(kind, address, secret="another-secret-of-32-characters!")
    assert stranger.get(key) is None
    stranger.close()
    assert vault.get(key) == b"a token"


def test_another_process_finds_it(kind: str, address: str, vault: Vault, key: str) -> None:
    vault.put(key, b"a token", seconds=60)
    other = made(kind, address)
    assert other.take(key) == b"a token"
    other.close()


def test_what_rests_names_neither_key_nor_value(
    kind: str, address: str, vault: Vault, key: str, tmp_path: Path
) -> None:
    vault.put(key, b"a very secret token", seconds=60)
    if kind == "redis":
        server: Any = redis.Redis.from_url(address)
        rests = b"".join(name + (server.get(name) or b"") for name in server.scan_iter("fhir-billing:vault:*"))
    elif kind == "sqlite":
        rests = b"".join(path.read_bytes() for path in tmp_path.glob("book.db*"))
    else:
        import psycopg

        with psycopg.connect(address.replace("+psycopg", "")) as connection:
            rows = connection.execute("select key, value from vault").fetchall()
        rests = b"".join(name.encode() + value for name, value in rows)
    assert rests
    assert b"secret token" not in rests
    assert key.encode() not in rests


def test_what_has_ended_is_not_there(kind: str, address: str, key: str) -> None:
    if kind == "redis":
        found = made(kind, address)
        found.put(key, b"x", seconds=60)
        left = redis.Redis.from_url(address).ttl
        from fhir_billing.store.sealing import digest

        assert 0 < int(str(left(f"fhir-billing:vault:{digest(key)}"))) <= 60, "Redis itself forgets it"
        found.close()
        return
    now = Time()
    found = made(kind, address, now=now)
    found.put(key, b"x", seconds=60)
    assert found.first(f"{key}:n", seconds=60)
    now.more = timedelta(seconds=61)
    assert found.get(key) is None
    assert found.take(key) is None
    assert found.first(f"{key}:n", seconds=60), "a name that has ended is new again"
    assert not found.first(f"{key}:n", seconds=60)
    found.close()


def test_a_value_moved_under_another_name_does_not_open(kind: str, address: str, vault: Vault, key: str) -> None:
    if kind != "redis":
        return
    from fhir_billing.store.sealing import digest

    vault.put(key, b"mine", seconds=60)
    server: Any = redis.Redis.from_url(address)
    name = f"fhir-billing:vault:{digest(key)}"
    server.set(f"fhir-billing:vault:{digest('visit:other')}", server.get(name), ex=60)
    assert vault.get("visit:other") is None


def test_a_secret_that_is_missing_is_named_with_its_fix() -> None:
    with pytest.raises(SecretMissing, match="FHIR_BILLING_SESSION_SECRET"):
        RedisVault("redis://127.0.0.1:1", "")


def test_a_redis_that_is_gone_is_said_in_words() -> None:
    with pytest.raises(NotNow, match="Redis does not answer"):
        RedisVault("redis://127.0.0.1:1", SECRET).get("x")
