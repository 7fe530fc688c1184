"""What a story test needs: a clock that is set by hand, a real EHR, the payer simulator, and balances by their short names."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fhir_billing.cycle.act_message import keep_act
from fhir_billing.cycle.arrive import Received, receive
from fhir_billing.cycle.records import ClaimRecord
from fhir_billing.cycle.replay import replay
from fhir_billing.cycle.work import work_all
from fhir_billing.domain import ledger
from fhir_billing.domain.lifecycle import State
from fhir_billing.settings import Settings
from fhir_billing.store.schema import migrate
from fhir_billing.store.store import open_store
from fhir_billing.wiring import Wiring
from fhir_billing.worker import beat

ROOT = Path(__file__).resolve().parents[2]
SHORT = {
    ledger.RECEIVABLE_PAYER: "RP",
    ledger.RECEIVABLE_DISPUTED: "RD",
    ledger.RECEIVABLE_PATIENT: "PT",
    ledger.CLEARING: "CL",
    ledger.BANK: "BK",
    ledger.CONTRACTUAL: "AC",
    ledger.UNAPPLIED: "UN",
    ledger.INTEREST: "FE",
    ledger.DENIED: "AD",
    ledger.OTHER_ADJUSTMENT: "AO",
    ledger.REFUNDS: "RF",
}


@dataclass
class HandClock:
    """The time is what the test says it is."""

    time: datetime

    def now(self) -> datetime:
        """Each look is a microsecond later, so that keys made of times differ."""
        self.time += timedelta(microseconds=1)
        return self.time

    def to(self, day: str, hour: int = 12) -> None:
        """Go to noon of a day."""
        self.time = datetime.fromisoformat(day).replace(hour=hour, tzinfo=UTC)


@dataclass
class Story:
    """One installation in a folder of its own, on SQLite or Postgres."""

    folder: Path
    database: str
    scenario: str
    day: str
    ehr: tuple[Any, Any] | None = None
    site: str = "demo"
    clock: HandClock = field(init=False)
    wiring: Wiring = field(init=False)

    def __post_init__(self) -> None:
        self.clock = HandClock(datetime.now(UTC))
        self.clock.to(self.day)
        migrate(self.database)
        settings = Settings(
            database=self.database,
            channels=self.folder / "channels",
            scenario=ROOT / "examples" / "scenarios" / f"{self.scenario}.yaml",
            site=self.site,
            redis_url="",
        )
        self.wiring = Wiring(settings=settings, clock=self.clock)
        self.wiring.__dict__["ehr"] = self.ehr

    # what happens

    def visit(self, encounter: str, resources: list[dict[str, Any]], *, found_by: str = "hand") -> None:
        """The visit's resources were read from the EHR."""
        from fhir_billing.fhir.text import dumps

        body = dumps({"encounter": encounter, "found_by": found_by, "resources": resources})
        beat.keep_visit(self.wiring, encounter, body, found_by=found_by, at=self.clock.now())
        beat.work(self.wiring)

    def rang(self, encounter: str) -> None:
        """The EHR rang for this visit."""
        from fhir_billing.cycle.records import Kind

        body = json.dumps({"encounter": encounter, "version": "", "found_by": "hook"}).encode()
        self.wiring.store.keep(Kind.DOORBELL, f"{encounter}:{uuid.uuid4()}", body, at=self.clock.now(), channel="hook")
        beat.answer_doorbells(self.wiring)
        beat.work(self.wiring)

    def act(self, name: str, **facts: Any) -> str:
        """A biller does something; the answer is what became of it."""
        message, _ = keep_act(
            self.wiring.store, {"act": name, **facts}, who="Bea Biller", at=self.clock.now(), key=str(uuid.uuid4())
        )
        work_all(self.wiring.store, self.wiring.site)
        with self.wiring.store.begin() as book:
            found = book.message(message.id)
        assert found is not None
        return f"{found.outcome}: {found.say}"

    def send(self) -> None:
        """Ready claims leave."""
        beat.send(self.wiring)
        beat.work(self.wiring)
        beat.relay(self.wiring)
        beat.work(self.wiring)

    def collect(self) -> None:
        """What waits at the channels is kept and worked."""
        beat.collect(self.wiring)
        beat.work(self.wiring)

    def receive(self, name: str, body: bytes, channel: str = "hand") -> Received:
        """A file arrives by hand."""
        return receive(self.wiring.store, self.wiring.site, name=name, body=body, at=self.clock.now(), channel=channel)

    # what is true

    def claims(self) -> dict[str, ClaimRecord]:
        """By number."""
        with self.wiring.store.begin() as book:
            return {claim.number: claim for claim in book.claims()}

    def only_claim(self) -> ClaimRecord:
        """The one claim there is."""
        (claim,) = self.claims().values()
        return claim

    def state(self, number: str) -> State:
        """A claim's state."""
        return self.claims()[number].state

    def balances(self, *numbers: str) -> dict[str, str]:
        """Balances that are not zero, summed over the claims, by short name; charges left out."""
        from fhir_billing.domain.money import show

        sums: dict[str, int] = {}
        with self.wiring.store.begin() as book:
            for number in numbers:
                for account, amount in book.balances(number).items():
                    if account in SHORT:
                        sums[SHORT[account]] = sums.get(SHORT[account], 0) + amount
        return {name: show(amount) for name, amount in sums.items() if amount}

    def worklist(self, *states: State) -> set[str]:
        """The claims that stand on a list."""
        return {number for number, claim in self.claims().items() if claim.state in states}

    def biography(self, number: str) -> list[str]:
        """Kind and sentence of each line."""
        with self.wiring.store.begin() as book:
            return [f"{line.kind}: {line.what}" for line in book.biography(number)]

    def replay_is_equal(self, folder: Path) -> bool:
        """The inbox worked again gives the same book."""
        url = f"sqlite:///{folder / f'replay-{uuid.uuid4()}.db'}"
        migrate(url)
        fresh = open_store(url)
        found = replay(self.wiring.store, fresh, self.wiring.site, self.wiring.store.worked_messages())
        fresh.close()
        assert not found.differences, "\n".join(found.differences)
        return True

    def whole_book(self) -> int:
        """The sum of every posting there is: zero."""
        with self.wiring.store.begin() as book:
            return sum(p.amount for journal in book.journals() for p in journal.postings)


def subset(small: Mapping[str, Any], large: Mapping[str, Any]) -> bool:
    """Whether each item of the small one stands in the large one."""
    return all(large.get(key) == value for key, value in small.items())
