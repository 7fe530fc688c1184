"""Every channel keeps the same promises: whole files, once each, nothing lost when a process dies."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from fhir_billing import payers
from fhir_billing.cycle.ports import Channel
from fhir_billing.domain.errors import ChannelUnavailable, ControlNumberReused, MappingInvalid, UnknownTradingPartner
from fhir_billing.payers import ChannelSettings
from fhir_billing.payers.loopback import read_scenario_file
from tests.unit.simulator.bills import bill, visit

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "examples" / "scenarios"
AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


class HandClock:
    def __init__(self) -> None:
        self.time = AT

    def now(self) -> datetime:
        return self.time


def opened(name: str, root: Path, clock: HandClock | None = None, scenario: str = "pays") -> Channel:
    settings = ChannelSettings(
        root=root, clock=clock or HandClock(), scenario=SCENARIOS / f"{scenario}.yaml", quiet_seconds=0
    )
    return payers.channel(name, settings)


def an_answer(name: str, channel: Channel, root: Path, number: int = 1) -> bytes:
    """Make one file wait at a channel."""
    if name == "loopback":
        channel.send(f"EXC01-837P-{number:09d}.x12", bill(visit("Ada", number=f"C-{number}"), number=number))
    else:
        path = root / name / "in" / f"answer-{number}.x12"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"ISA answer %d" % number)
    return next(iter(channel.fetch())).body


# ---- every channel -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", payers.channel_names())
def test_the_same_name_and_bytes_again_are_harmless(name: str, tmp_path: Path) -> None:
    channel = opened(name, tmp_path)
    body = bill(visit("Ada"))
    assert channel.send("EXC01-837P-000000001.x12", body) == channel.send("EXC01-837P-000000001.x12", body)
    assert len([path for path in tmp_path.rglob("EXC01-837P-*") if path.read_bytes() == body]) == 1


@pytest.mark.parametrize("name", payers.channel_names())
def test_the_same_name_with_other_bytes_is_refused(name: str, tmp_path: Path) -> None:
    channel = opened(name, tmp_path)
    channel.send("EXC01-837P-000000001.x12", b"one")
    with pytest.raises(ControlNumberReused):
        channel.send("EXC01-837P-000000001.x12", b"two")
    assert [path.read_bytes() for path in tmp_path.rglob("EXC01-*")] == [b"one"]


@pytest.mark.parametrize("name", payers.channel_names())
@pytest.mark.parametrize("bad", ["../out.x12", "a/b", "", ".hidden", "a\\b", "a\x00b"])
def test_a_name_cannot_leave_its_folder(name: str, bad: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not the name of a file"):
        opened(name, tmp_path).send(bad, b"x")


@pytest.mark.parametrize("name", payers.channel_names())
def test_a_file_waits_until_it_is_taken_and_taking_twice_is_harmless(name: str, tmp_path: Path) -> None:
    channel = opened(name, tmp_path)
    body = an_answer(name, channel, tmp_path)
    first = list(channel.fetch())
    assert [one.token for one in first] == [one.token for one in channel.fetch()]
    for one in first:
        channel.took(one.token)
        channel.took(one.token)
    assert list(channel.fetch()) == [] == list(opened(name, tmp_path).fetch())
    assert first[0].body == body
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert body in kept


@pytest.mark.parametrize("name", payers.channel_names())
def test_a_channel_that_cannot_be_reached_says_so(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("a file where a folder should be")
    channel = opened(name, tmp_path)
    with pytest.raises(ChannelUnavailable):
        channel.send("a.x12", b"x")
    with pytest.raises(ChannelUnavailable):
        list(channel.fetch())


@pytest.mark.parametrize("name", payers.channel_names())
def test_a_channel_knows_its_name(name: str, tmp_path: Path) -> None:
    assert opened(name, tmp_path).name == name


def test_an_unknown_channel_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownTradingPartner, match="loopback"):
        opened("carrier-pigeon", tmp_path)


# ---- folder --------------------------------------------------------------------------------------------------------


def test_what_somebody_is_still_writing_is_not_taken(tmp_path: Path) -> None:
    channel = payers.channel("folder", ChannelSettings(root=tmp_path, clock=HandClock(), quiet_seconds=60))
    assert list(channel.fetch()) == []
    incoming = tmp_path / "folder" / "in"
    for name in ("young.x12", "old.x12", "old.x12.part", ".old.x12", "old.filepart"):
        (incoming / name).write_bytes(b"x")
        if "old" in name:
            os.utime(incoming / name, (time.time() - 120,) * 2)
    assert [one.name for one in channel.fetch()] == ["old.x12"]


def test_a_file_replaced_since_it_was_read_is_not_put_away(tmp_path: Path) -> None:
    channel = opened("folder", tmp_path)
    an_answer("folder", channel, tmp_path)
    (one,) = channel.fetch()
    path = tmp_path / "folder" / "in" / one.name
    path.unlink()
    path.write_bytes(b"another")
    channel.took(one.token)
    (other,) = channel.fetch()
    assert other.body == b"another"
    channel.took(other.token)
    path.write_bytes(b"a third under the same name")
    (third,) = channel.fetch()
    channel.took(third.token)
    assert len(list((tmp_path / "folder" / "taken").iterdir())) == 2


# ---- loopback ------------------------------------------------------------------------------------------------------


def test_answers_come_when_their_time_comes(tmp_path: Path) -> None:
    clock = HandClock()
    channel = opened("loopback", tmp_path, clock, "story-s1")
    channel.send("a.x12", bill(visit("Ada")))
    clock.time = AT + timedelta(minutes=1)
    seen = {}
    for day in (0, 1, 13, 14):
        clock.time = AT + timedelta(days=day, minutes=1)
        seen[day] = [one.name.split("-")[1] for one in channel.fetch()]
        for one in channel.fetch():
            channel.took(one.token)
    assert seen == {0: ["999", "277CA"], 1: ["277CA"], 13: [], 14: ["835"]}


def test_time_counts_from_the_sending_not_from_the_first_look(tmp_path: Path) -> None:
    clock = HandClock()
    channel = opened("loopback", tmp_path, clock, "story-s1")
    channel.send("a.x12", bill(visit("Ada")))
    clock.time = AT + timedelta(days=20)
    found = list(channel.fetch())
    assert [one.name.split("-")[1] for one in found] == ["999", "277CA", "277CA", "835"]


def test_bills_are_answered_in_the_order_they_came(tmp_path: Path) -> None:
    clock = HandClock()
    channel = opened("loopback", tmp_path, clock)
    for number, name in ((1, "z.x12"), (2, "a.x12")):
        clock.time += timedelta(seconds=1)
        channel.send(name, bill(visit("Ada", number=f"C-{number}"), number=number))
    traces = [one.body for one in channel.fetch() if "-835-" in one.name]
    assert b"C-1" in traces[0] and b"C-2" in traces[1]


def test_memory_outlives_the_process_and_says_why(tmp_path: Path) -> None:
    opened("loopback", tmp_path).send("a.x12", bill(visit("Ada")))
    list(opened("loopback", tmp_path).fetch())
    channel = opened("loopback", tmp_path)
    channel.send("b.x12", bill(visit("Ada"), number=2))
    remits = [one for one in channel.fetch() if "-835-" in one.name]
    assert [b"CAS*OA*18*125~" in one.body for one in remits] == [False, True]
    kept = msgspec.json.decode((tmp_path / "loopback" / "state.json").read_bytes())
    assert "attempt 2" in kept["answered"]["b.x12"]["why"][0]


def test_a_scenario_that_cannot_be_read_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("rules:\n  - does: explodes\n")
    with pytest.raises(MappingInvalid, match=r"mine\.yaml: scenario file\.rules\[1\]\.does"):
        read_scenario_file(path)
    path.write_text("rules: [\n")
    with pytest.raises(MappingInvalid, match="not YAML"):
        read_scenario_file(path)
    with pytest.raises(MappingInvalid, match="cannot be read"):
        read_scenario_file(tmp_path / "none.yaml")


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_scenario_can_be_read(path: Path) -> None:
    assert read_scenario_file(path).name == path.stem


def test_a_process_killed_at_every_step_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop after each file operation in turn, as a kill would; a fresh process then finishes, and all is as if nothing had been."""

    class KilledError(BaseException):
        pass

    def run(root: Path, stop_after: int) -> bool:
        steps = 0

        def counted(function: Callable[..., object]) -> Callable[..., object]:
            def call(*args: object, **kwargs: object) -> object:
                nonlocal steps
                steps += 1
                if steps > stop_after:
                    raise KilledError
                return function(*args, **kwargs)

            return call

        with monkeypatch.context() as patch:
            patch.setattr(os, "link", counted(os.link))
            patch.setattr(os, "fsync", counted(os.fsync))
            patch.setattr(Path, "rename", counted(Path.rename))
            patch.setattr(Path, "unlink", lambda self, missing_ok=False: None)  # what is killed does not tidy up
            try:
                channel = opened("loopback", root)
                for number in (1, 2):
                    channel.send(f"{number}.x12", bill(visit("Ada", number=f"C-{number}"), number=number))
                for one in channel.fetch():
                    channel.took(one.token)
            except KilledError:
                return False
        return True

    def outcome(root: Path) -> dict[str, bytes]:
        channel = opened("loopback", root)
        for number in (1, 2):
            channel.send(f"{number}.x12", bill(visit("Ada", number=f"C-{number}"), number=number))
        for one in channel.fetch():
            channel.took(one.token)
        assert list(channel.fetch()) == []
        return {path.name: path.read_bytes() for path in (root / "loopback" / "done").iterdir()}

    expected = outcome(tmp_path / "whole")
    assert len(expected) == 8
    for step in range(200):
        root = tmp_path / str(step)
        finished = run(root, step)
        assert outcome(root) == expected, f"killed after step {step}"
        if finished:
            break
    else:
        pytest.fail("never finished")
    assert step > 20


WORKER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from fhir_billing.payers import ChannelSettings, channel
from tests.unit.simulator.bills import bill, visit
class Clock:
    def now(self): return datetime(2026, 3, 2, 12, tzinfo=UTC)
root, count = Path(sys.argv[1]), int(sys.argv[2])
one = channel("loopback", ChannelSettings(root=root, clock=Clock(), scenario=Path(sys.argv[3])))
print("ready", flush=True)
for number in range(1, count + 1):
    one.send(f"{number:03d}.x12", bill(visit("Ada", number=f"C-{number}"), number=number))
    for file in one.fetch():
        (root / "kept").mkdir(exist_ok=True)
        with (root / "kept" / f"{file.name}").open("ab") as kept:
            pass
        one.took(file.token)
"""


def worker(root: Path, count: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", WORKER, str(root), str(count), str(SCENARIOS / "pays.yaml")]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def paid(root: Path) -> list[str]:
    files = sorted((root / "loopback" / "done").glob("*-835-*"))
    from fhir_billing.x12.read_835 import remittances

    return sorted(one.claim for path in files for check in remittances(path.read_bytes()) for one in check.claims)


def test_two_processes_at_once_pay_each_claim_once(tmp_path: Path) -> None:
    pair = [worker(tmp_path, 12) for _ in range(2)]
    assert [process.wait(timeout=60) for process in pair] == [0, 0]
    assert paid(tmp_path) == sorted(f"C-{number}" for number in range(1, 13))


def test_processes_killed_at_random_moments_pay_each_claim_once(tmp_path: Path) -> None:
    chance = random.Random(7)
    for _ in range(4):
        process = worker(tmp_path, 25)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0.005, 0.08))
        process.send_signal(signal.SIGKILL)
        process.wait()
    last = worker(tmp_path, 25)
    assert last.wait(timeout=60) == 0
    assert paid(tmp_path) == sorted(f"C-{number}" for number in range(1, 26))


def test_threads_share_a_channel(tmp_path: Path) -> None:
    channel = opened("loopback", tmp_path)

    def work(start: int) -> None:
        for number in range(start, start + 5):
            channel.send(f"{number}.x12", bill(visit("Ada", number=f"C-{number}"), number=number))
            for one in channel.fetch():
                channel.took(one.token)

    threads = [threading.Thread(target=work, args=(start,)) for start in (1, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paid(tmp_path)) == len(set(paid(tmp_path))) == 10
