"""While a file is answered the payer's memory is open on the desk; what it says afterwards is the new memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fhir_billing.domain.money import Money
from fhir_billing.domain.remittance import ClaimPayment
from fhir_billing.simulator.scenario import Scenario
from fhir_billing.simulator.state import DueBack, Numbers, SimState, Standing
from fhir_billing.x12.partners import Controls


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A file that comes back: its name, its bytes, how long after the bill it comes, and why it says what it says."""

    name: str
    body: bytes
    after: timedelta
    why: str


@dataclass(slots=True)
class Desk:
    """A `SimState` that is being changed."""

    scenario: Scenario
    at: datetime
    interchange: int = 0
    traces: int = 0
    icns: int = 0
    seen: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    standing: dict[str, Standing] = field(default_factory=dict)
    due_back: list[DueBack] = field(default_factory=list)
    forwarded: dict[str, Money] = field(default_factory=dict)

    @classmethod
    def opened(cls, scenario: Scenario, at: datetime, state: SimState) -> Desk:
        """A desk with this memory on it."""
        return cls(
            scenario=scenario, at=at, interchange=state.numbers.interchange, traces=state.numbers.trace, icns=state.numbers.icn,
            seen=dict(state.seen), attempts=dict(state.attempts), standing=dict(state.standing),
            due_back=list(state.due_back), forwarded=dict(state.forwarded),
        )  # fmt: skip

    def closed(self) -> SimState:
        """The memory as it is now."""
        return SimState(
            numbers=Numbers(interchange=self.interchange, trace=self.traces, icn=self.icns), seen=self.seen,
            attempts=self.attempts, standing=self.standing, due_back=tuple(self.due_back), forwarded=self.forwarded,
        )  # fmt: skip

    def controls(self) -> Controls:
        """Numbers for one more file."""
        self.interchange += 1
        return Controls(interchange=self.interchange, group=self.interchange)

    def trace(self, payer: str) -> str:
        """A number for one more check."""
        self.traces += 1
        return f"{payer}-{self.traces:08d}"

    def icn(self) -> str:
        """The payer's number for one more decision."""
        self.icns += 1
        return f"EX{self.icns:010d}"

    def stands(self, claim: str, payments: tuple[ClaimPayment, ...]) -> None:
        """These decisions hold now; none at all: the claim is as if it had never been decided."""
        if payments:
            self.standing[claim] = Standing(icn=payments[-1].icn, payments=payments)
        else:
            self.standing.pop(claim, None)

    def by_icn(self, icn: str) -> str:
        """The number of the claim that we decided under this number of ours; empty when none holds."""
        return next((claim for claim, one in self.standing.items() if icn and one.icn == icn), "")


def file_name(sender: str, kind: str, controls: Controls, more: str = "") -> str:
    """`EXC01-835-000000012.x12`; only letters that every file system takes."""
    kept = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "._") else "-" for letter in sender.strip()
    )
    return f"{kept or 'PAYER'}-{kind}-{controls.interchange:09d}{more}.x12"
