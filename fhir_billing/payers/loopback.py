"""The payer simulator behind a channel as dumb as any other: a bill is laid into a folder, the answers wait in another.

What the simulator remembers and the answers whose time has not come lie in one file that is replaced whole, so a
process that dies at any point has either answered a bill or not looked at it yet. Files get their names from the
simulator, so that handing one over twice is handing it over once. A lock keeps two processes apart.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import yaml

from fhir_billing.cycle.ports import Channel, Clock, Waiting
from fhir_billing.domain.errors import ChannelUnavailable, ControlNumberReused, MappingInvalid
from fhir_billing.payers import ChannelSettings
from fhir_billing.simulator import Scenario, SimState, answer, read_scenario, reasons


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """An answer whose time has not come."""

    name: str
    body: bytes
    due: datetime


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """How a bill was answered, and why."""

    sha256: str
    at: datetime
    why: list[str]
    answers: list[str]


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that must survive, in one file."""

    state: SimState = msgspec.field(default_factory=SimState)
    answered: dict[str, Told] = msgspec.field(default_factory=dict)
    held: list[Held] = msgspec.field(default_factory=list)


def open_channel(settings: ChannelSettings) -> Channel:
    """The simulator below the channels' root, in the folder `loopback`."""
    scenario = read_scenario_file(settings.scenario) if settings.scenario else Scenario()
    return LoopbackChannel(root=settings.root / "loopback", scenario=scenario, clock=settings.clock)


def read_scenario_file(path: Path) -> Scenario:
    """A scenario from its YAML file; every value is read as text, so that no amount becomes a float."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - text only, no objects
    except OSError as fault:
        raise MappingInvalid(f"scenario {path.name} cannot be read: {fault.strerror}", fix="check its path") from fault
    except yaml.YAMLError as fault:
        raise MappingInvalid(f"scenario {path.name} is not YAML: {fault}", fix="correct it there") from fault
    try:
        return read_scenario(content or {})
    except MappingInvalid as fault:
        raise MappingInvalid(f"{path.name}: {fault.say}", fix=fault.fix) from fault


class LoopbackChannel:
    """`in` holds every bill that was sent, `out` the answers that wait, `done` those that were taken."""

    name = "loopback"

    def __init__(self, root: Path, scenario: Scenario, clock: Clock) -> None:
        self.root, self.scenario, self.clock = root, scenario, clock
        self.bills, self.answers, self.done = root / "in", root / "out", root / "done"
        self.memory_file = root / "state.json"
        self._read: tuple[tuple[int, int, int], Memory] | None = None

    def send(self, name: str, body: bytes) -> str:
        """Lay a bill into `in`. Its time is the clock's, so that answers come when they would."""
        with self._reachable():
            target = self.bills / _plain(name)
            if not self._laid(target, body, self.clock.now()) and target.read_bytes() != body:
                raise ControlNumberReused(f"{name} was sent with other content", fix="number the envelope anew")
        return f"loopback took {name}, sha256 {hashlib.sha256(body).hexdigest()[:16]}"

    def fetch(self) -> list[Waiting]:
        """Answer what came, hand over what is due; the oldest first."""
        with self._reachable(), self._locked():
            self._hand_over(self._answer(self._recalled()))
            paths = [path for path in self.answers.iterdir() if not path.name.startswith(".")]
            paths.sort(key=lambda path: (path.stat().st_mtime_ns, path.name))
            return [Waiting(name=path.name, body=path.read_bytes(), token=path.name) for path in paths]

    def took(self, token: str) -> None:
        """Put an answer away."""
        with self._reachable(), self._locked():
            path = self.answers / _plain(token)
            if path.exists():
                path.rename(self.done / token)

    def _answer(self, memory: Memory) -> Memory:
        """Let the simulator answer each new bill, in the order they came; after each one everything is saved."""
        bills = [
            path for path in self.bills.iterdir() if not path.name.startswith(".") and path.name not in memory.answered
        ]
        for path in sorted(bills, key=lambda path: (path.stat().st_mtime_ns, path.name)):
            body = path.read_bytes()
            at = _moment(path).replace(second=0, microsecond=0)  # X12 knows no seconds
            answers, state = answer(body, self.scenario, at, memory.state)
            told = Told(
                sha256=hashlib.sha256(body).hexdigest(),
                at=at,
                why=reasons(answers),
                answers=[one.name for one in answers],
            )
            held = [Held(name=one.name, body=one.body, due=at + one.after) for one in answers]
            memory = Memory(state=state, answered={**memory.answered, path.name: told}, held=[*memory.held, *held])
            self._save(memory)
        return memory

    def _hand_over(self, memory: Memory) -> None:
        """Write what is due into `out`, then forget it. Killed in between, it is written again under the same name."""
        now = self.clock.now()
        due = sorted((held for held in memory.held if held.due <= now), key=lambda held: held.due)
        for count, held in enumerate(due):
            if not (self.done / held.name).exists():
                moment = held.due + timedelta(microseconds=count)  # keeps the order of those that are due together
                self._laid(self.answers / held.name, held.body, moment)
        if due:
            left = [held for held in memory.held if held.due > now]
            self._save(Memory(state=memory.state, answered=memory.answered, held=left))

    # ---- files ----

    def _laid(self, target: Path, body: bytes, moment: datetime) -> bool:
        """Make a file that is whole the moment it has its name; False when the name is taken."""
        unfinished = target.parent / f".{uuid.uuid4().hex}"
        try:
            with unfinished.open("xb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            nanoseconds = _nanoseconds(moment)
            os.utime(unfinished, ns=(nanoseconds, nanoseconds))
            os.link(unfinished, target)
        except FileExistsError:
            return False
        finally:
            unfinished.unlink(missing_ok=True)
        return True

    def _recalled(self) -> Memory:
        """The memory as it was saved last; read again only when somebody else has written it."""
        try:
            stamp = _stamp(self.memory_file)
        except FileNotFoundError:
            return Memory()
        if self._read is None or self._read[0] != stamp:
            try:
                self._read = stamp, msgspec.json.decode(self.memory_file.read_bytes(), type=Memory)
            except (msgspec.DecodeError, msgspec.ValidationError) as fault:
                raise ChannelUnavailable(
                    f"{self.memory_file.name} of the payer simulator cannot be read", fix="remove the loopback folder"
                ) from fault
        return self._read[1]

    def _save(self, memory: Memory) -> None:
        unfinished = self.root / f".{uuid.uuid4().hex}"
        with unfinished.open("xb") as file:
            file.write(msgspec.json.encode(memory))
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(self.memory_file)
        self._read = _stamp(self.memory_file), memory

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time; a lock ends with the process that holds it."""
        with (self.root / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for folder in (self.root, self.answers):  # written under this lock only: what is unfinished was killed
                for unfinished in folder.glob(".*"):
                    unfinished.unlink(missing_ok=True)
            yield

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            for folder in (self.bills, self.answers, self.done):
                folder.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as fault:
            raise ChannelUnavailable(
                f"the payer simulator's folder cannot be used: {fault.strerror or fault}",
                fix="look at its rights and its disk",
            ) from fault


def _plain(name: str) -> str:
    """A name that stays in its folder."""
    if not name or name.startswith(".") or "/" in name or "\\" in name or "\x00" in name:
        raise ValueError(f"{name!r} is not the name of a file")
    return name


def _stamp(path: Path) -> tuple[int, int, int]:
    facts = path.stat()
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _moment(path: Path) -> datetime:
    """When a file was laid down, to the microsecond."""
    return _EPOCH + timedelta(microseconds=path.stat().st_mtime_ns // 1000)


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
