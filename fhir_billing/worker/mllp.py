"""A hospital's interface engine sends HL7 v2 to a port of ours, and forgets what we have acknowledged: so nothing is, before it is kept.

Every message goes into the inbox as it came, also one that is refused; only then is it answered. Whoever did not hear the answer
sends the same bytes again, and hears the same. A message under a control id that other bytes have used is kept beside them and
refused. One connection is one thread, and its messages are answered in their order.
Spec: MLLP Release 1; HL7 v2.5.1 chapter 2 (2.9 acknowledgments). There is no TLS here: see docs/hl7v2.md.
"""

from __future__ import annotations

import hashlib
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Self

from fhir_billing.cycle.records import Kind
from fhir_billing.domain.errors import SiteConfig
from fhir_billing.hl7.acknowledge import ACCEPTED, DUPLICATE, ERROR, OURS, REJECTED, UNREADABLE, Verdict, answer, judged
from fhir_billing.hl7.frames import Frame, Frames, framed
from fhir_billing.hl7.message import V2Message
from fhir_billing.logs import log
from fhir_billing.wiring import Wiring

_log = log("mllp")
CHANNEL, FOUND_BY = "mllp", "hl7v2"
LOOPBACK = "127.0.0.0/8, ::1"
MOST_CONNECTIONS = 64
KEPT_OF_TOO_LARGE = 64_000
TICK = 0.5
"""Seconds after which a waiting thread looks whether it should stop."""
SAY_AGAIN = 60.0
"""Seconds until refused connections are said again: a stranger who knocks all day fills no log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a connection may be silent, in seconds."""

    idle: float = 3600.0
    half: float = 30.0
    """In the middle of a message."""
    bind: float = 5.0
    """Until a port that another process has is tried again."""


PATIENCE = Patience()


def key_of(message: V2Message | None, body: bytes) -> str:
    """Under which key a message is kept: sender, place and control id; its hash when it has none that can be read."""
    if message is None or not message.control:
        return f"hl7:unreadable:{hashlib.sha256(body).hexdigest()}"
    parts = (*message.sender, message.control)
    return "hl7:" + ":".join(part.replace("%", "%25").replace(":", "%3A") for part in parts)


def title(message: V2Message | None) -> str:
    """What a person reads of it: `ADT^A03 from ADTSYS`."""
    if message is None:
        return "HL7 v2 that cannot be read"
    kind = "^".join(filter(None, (message.kind, message.event))) or "HL7 v2"
    sender = message.msh.text(3) or message.msh.text(4)
    return f"{kind} from {sender}"[:120] if sender else kind[:120]


def take(wiring: Wiring, body: bytes) -> bytes | None:
    """Keep a message, and say what its sender is answered; None when it wants no answer."""
    now = wiring.clock.now()
    try:
        message, verdict = judged(body, test=wiring.site.test)
        verdict = _kept(wiring, message, body, verdict)
    except Exception as error:
        _log.error("a message could not be kept", error=type(error).__name__)
        verdict = Verdict(code=ERROR, say="the message could not be kept here; send it again", error=OURS)
    return answer(body, verdict, now)


def _kept(wiring: Wiring, message: V2Message | None, body: bytes, verdict: Verdict) -> Verdict:
    key, name = key_of(message, body), title(message)
    digest = hashlib.sha256(body).hexdigest()
    found, new = wiring.store.keep(
        Kind.DOORBELL, key, body, at=wiring.clock.now(), channel=CHANNEL, name=name, who=FOUND_BY
    )
    if found.sha256 != digest:
        found, new = wiring.store.keep(
            Kind.DOORBELL, f"{key}:{digest[:32]}", body, at=wiring.clock.now(), channel=CHANNEL, name=name, who=FOUND_BY
        )
        if verdict.code == ACCEPTED:
            verdict = Verdict(code=ERROR, say=SAME_ID, place="MSH-10", error=DUPLICATE)
    if new and verdict.code != ACCEPTED:
        wiring.store.failed(found.id, verdict.say, [refused(verdict)])
    return verdict


SAME_ID = "MSH-10 is the control id of another message that was kept before"


def refused(verdict: Verdict) -> dict[str, object]:
    """A refusal as the quarantine page shows it."""
    return {"key": "malformed-hl7", "say": verdict.say, "at": verdict.place, "fix": "correct it where it was sent from"}


def _too_large(wiring: Wiring, body: bytes) -> bytes | None:
    """The beginning of a message that is larger than is taken: kept as a sign, refused."""
    verdict = Verdict(code=REJECTED, say="MSH is followed by more than is taken at once", place="MSH", error=UNREADABLE)
    with suppress(Exception):
        beginning = body[:KEPT_OF_TOO_LARGE]
        _kept(wiring, None, beginning, verdict)
    return answer(body, verdict, wiring.clock.now())


class Listener:
    """The port of one tenant."""

    def __init__(
        self, wiring: Wiring, wake: Callable[[], None] = lambda: None, *, patience: Patience = PATIENCE
    ) -> None:
        self.wiring, self.wake, self.patience = wiring, wake, patience
        self.address = address(wiring.settings.mllp_listen)
        self.allowed = networks(wiring.settings.mllp_allow or LOOPBACK)
        self._stop = threading.Event()
        self._open: set[threading.Thread] = set()
        self._refused, self._quiet_until = 0, 0.0
        self._server: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="mllp", daemon=True)

    def start(self) -> None:
        """Listen in a thread; a port that another process of ours has is taken when that one ends."""
        self._server = self._bound()
        self._thread.start()

    def __enter__(self) -> Self:
        """Listen while the block runs."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    @property
    def port(self) -> int:
        """The port that it listens at; 0 while it has none."""
        return int(self._server.getsockname()[1]) if self._server else 0

    def stop(self) -> None:
        """Answer what is being read, then close every connection."""
        self._stop.set()
        for thread in (self._thread, *list(self._open)):
            if thread.is_alive():
                thread.join(timeout=10)

    def _bound(self) -> socket.socket | None:
        host, port = self.address
        server = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        try:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind((host, port))
            server.listen(16)
            server.settimeout(TICK)
        except OSError as error:
            server.close()
            _log.warning("the HL7 v2 port is not free; it is tried again", error=error.strerror)
            return None
        return server

    def _run(self) -> None:
        while self._server is None and not self._stop.wait(self.patience.bind):
            self._server = self._bound()
        if self._server is None:
            return
        with self._server as server:
            while not self._stop.is_set():
                self._say_refused()
                try:
                    connection, (host, *_) = server.accept()
                except TimeoutError:
                    continue
                except OSError as error:
                    _log.warning("a connection failed before it began", error=error.strerror)
                    self._stop.wait(TICK)
                    continue
                self._welcome(connection, str(host))

    def _welcome(self, connection: socket.socket, host: str) -> None:
        self._open = {thread for thread in self._open if thread.is_alive()}
        if not allowed(host, self.allowed) or len(self._open) >= MOST_CONNECTIONS:
            self._refused += 1
            connection.close()
            return
        thread = threading.Thread(target=self._talk, args=(connection,), name="mllp-connection", daemon=True)
        self._open.add(thread)
        thread.start()

    def _say_refused(self) -> None:
        now = time.monotonic()
        if self._refused and now >= self._quiet_until:
            _log.warning("connections are refused", count=self._refused, many=len(self._open) >= MOST_CONNECTIONS)
            self._refused, self._quiet_until = 0, now + SAY_AGAIN

    def _talk(self, connection: socket.socket) -> None:
        frames, silent = Frames(), self.patience.idle
        with connection:
            connection.settimeout(TICK)
            while not self._stop.is_set():
                try:
                    data = connection.recv(65_536)
                except TimeoutError:
                    silent -= TICK
                    if silent <= 0:
                        return
                    continue
                except OSError:
                    return
                if not data or not all(self._answered(connection, frame) for frame in frames.feed(data)):
                    return
                silent = self.patience.half if frames.half else self.patience.idle

    def _answered(self, connection: socket.socket, frame: Frame) -> bool:
        """Whether the connection goes on."""
        said = _too_large(self.wiring, frame.body) if frame.too_large else take(self.wiring, frame.body)
        self.wake()
        try:
            connection.settimeout(self.patience.half)
            if said is not None:
                connection.sendall(framed(said))
            connection.settimeout(TICK)
        except OSError:
            return False  # it will send again what it was not answered
        return not frame.too_large


def listening(wiring: Wiring) -> AbstractContextManager[Listener | None]:
    """Listen while the block runs, where the tenant says so. Raises SiteConfig for settings that cannot be."""
    return Listener(wiring) if wiring.settings.mllp_listen else nullcontext()


def address(text: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[v6]:port`. Raises SiteConfig."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise SiteConfig(f"{text!r} is no host:port", fix="write it as 127.0.0.1:2575")
    return host.strip("[]"), int(port)


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(text: str) -> tuple[Network, ...]:
    """The networks of a list with commas. Raises SiteConfig."""
    try:
        return tuple(ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise SiteConfig(f"FHIR_BILLING_MLLP_ALLOW: {error}", fix="write networks such as 10.1.2.0/24") from None


def allowed(host: str, among: Sequence[Network]) -> bool:
    """Whether an address is in one of the networks."""
    found = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in network for network in among)
