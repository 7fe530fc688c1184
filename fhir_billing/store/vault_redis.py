"""With Redis, what all processes share for a short time lies there, sealed, and Redis itself forgets it in time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis

from fhir_billing.domain.errors import NotNow
from fhir_billing.store.sealing import Seal, digest

PREFIX = "fhir-billing:vault:"


class RedisVault:
    """Implements `cycle.ports.Vault`; threads and processes may share it."""

    def __init__(self, url: str, secret: str, tenant: str = "") -> None:
        self._seal, self._prefix = Seal(secret), f"{PREFIX}{tenant}:" if tenant else PREFIX
        self._redis: Any = redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)

    def close(self) -> None:
        """Let the connections go."""
        self._redis.close()

    def put(self, key: str, value: bytes, *, seconds: int) -> None:
        """Keep a value for so long."""
        with _asked():
            self._redis.set(self._name(key), self._seal.close(key, value), ex=seconds)

    def get(self, key: str) -> bytes | None:
        """The value, when it is there and has not ended."""
        with _asked():
            return self._opened(key, self._redis.get(self._name(key)))

    def take(self, key: str) -> bytes | None:
        """The value, once (GETDEL)."""
        with _asked():
            return self._opened(key, self._redis.getdel(self._name(key)))

    def first(self, key: str, *, seconds: int) -> bool:
        """True for the one who set it (SET NX)."""
        with _asked():
            return bool(self._redis.set(self._name(key), b"", ex=seconds, nx=True))

    def drop(self, key: str) -> None:
        """Forget it."""
        with _asked():
            self._redis.delete(self._name(key))

    def _name(self, key: str) -> str:
        return self._prefix + digest(key)

    def _opened(self, key: str, found: bytes | None) -> bytes | None:
        return None if found is None else self._seal.open(key, found)


@contextmanager
def _asked() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise NotNow(f"Redis does not answer ({type(error).__name__})", fix="check REDIS_URL and try again") from error
