"""Ready claims leave in numbered, sealed envelopes: stored before they are sent, and sent again byte for byte.

One interchange for each payer and kind, with control numbers that this installation has never used before.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict

from fhir_billing.cycle.records import ClaimRecord, EnvelopeRecord, Outcome
from fhir_billing.cycle.turn import Result, Turn, facts
from fhir_billing.domain import posting
from fhir_billing.domain.claim import Claim
from fhir_billing.domain.errors import BillingError, UnknownTradingPartner
from fhir_billing.domain.finding import Finding, Severity
from fhir_billing.domain.lifecycle import Event, State
from fhir_billing.fhir.claim import read_claim
from fhir_billing.fhir.text import loads
from fhir_billing.x12.write_837 import Controls, Receiver, write

MOST_CLAIMS = 100
"""Claims in one transaction set; a 999 that rejects a set rejects them all."""


def send_ready(turn: Turn) -> Result:
    """Put every ready claim into an envelope (timer `send`)."""
    waiting: dict[tuple[str, str], list[ClaimRecord]] = defaultdict(list)
    for claim in turn.book.claims(states=[State.READY]):
        waiting[claim.payer, claim.kind].append(claim)
    count = 0
    for (payer, kind), claims in sorted(waiting.items()):
        if not turn.site.payer(payer).channel:
            for claim in claims:
                _hold(
                    turn,
                    claim,
                    UnknownTradingPartner(
                        f"no file says how {payer or 'this payer'} is reached",
                        fix="write mappings/payers/PAYER.yaml with its channel",
                    ),
                )
            continue
        for start in range(0, len(claims), MOST_CLAIMS):
            count += _send(turn, payer, kind, claims[start : start + MOST_CLAIMS])
    return Result(outcome=Outcome.DONE, say=f"{count} claims put into envelopes")


def _send(turn: Turn, payer: str, kind: str, records: list[ClaimRecord]) -> int:
    written: list[tuple[ClaimRecord, Claim]] = []
    for record in records:
        try:
            written.append((record, read_claim(loads(record.resource))))
        except BillingError as error:
            _hold(turn, record, error)
    if not written:
        return 0
    controls = Controls(
        interchange=turn.book.take_control("*", "interchange"),
        group=turn.book.take_control("*", "group"),
        set_start=turn.book.take_control("*", "set"),
    )
    profile = turn.site.payer(payer)
    receiver = Receiver(id=profile.receiver or profile.id, name=profile.name or profile.id)
    try:
        body = write(
            [claim for _, claim in written],
            sender=turn.site.sender,
            receiver=receiver,
            controls=controls,
            at=turn.site.wall(turn.at),
            test=turn.site.test,
        )
    except BillingError as error:
        if len(written) == 1:
            _hold(turn, written[0][0], error)
            return 0
        return sum(_send(turn, payer, kind, [record]) for record, _ in written)
    _seal(turn, payer, kind, controls, profile.channel, [record for record, _ in written], body)
    return len(written)


def _hold(turn: Turn, record: ClaimRecord, error: BillingError) -> None:
    """A claim that cannot be written is held with the reason; its neighbours go."""
    finding = Finding(key="cannot-be-written", severity=Severity.BLOCKING, say=error.say, fix=error.fix, source="837")
    row = {
        "key": finding.key,
        "severity": "blocking",
        "say": finding.say,
        "at": "Claim",
        "fix": finding.fix,
        "fix_by": "biller",
    }
    turn.move(record, Event.HOLD, f"Held: {error.say}", findings=(*record.findings, row))


def _seal(
    turn: Turn, payer: str, kind: str, controls: Controls, channel: str, records: list[ClaimRecord], body: bytes
) -> None:
    key = f"{payer}-{kind}-{controls.interchange:09d}"
    sha256 = hashlib.sha256(body).hexdigest()
    turn.book.save_envelope(
        EnvelopeRecord(
            key=key,
            partner=payer,
            kind=kind,
            interchange=f"{controls.interchange:09d}",
            group=str(controls.group),
            sets={f"{controls.set_start:04d}": tuple(record.number for record in records)},
            sha256=sha256,
            at=turn.at,
        )
    )
    turn.book.queue(kind="envelope", key=key, destination=channel, body=body, at=turn.at)
    for record in records:
        attempt = record.attempt + 1
        if record.charge != record.billed:
            turn.post(
                posting.charge_billed(
                    claim=record.number,
                    payer=payer,
                    amount=record.charge - record.billed,
                    on=turn.today,
                    attempt=attempt,
                )
            )
        turn.move(
            record, Event.ENVELOPE, f"Put into {key} for {record.payer_name}", attempt=attempt, billed=record.charge
        )
        turn.tell(record.number, "send", f"{key} is sealed; it leaves by {channel}", sha256=sha256)


def envelope_left(turn: Turn) -> Result:
    """A channel took an envelope: its claims are sent (receipt)."""
    said = facts(turn.message)
    key = str(said.get("envelope", ""))
    moved = 0
    for envelope in turn.book.envelopes(key=key):
        for number in (n for numbers in envelope.sets.values() for n in numbers):
            claim = turn.book.claim(number)
            if claim is None or claim.state is not State.QUEUED:
                continue  # an answer was quicker than the receipt
            turn.move(claim, Event.TRANSMIT, f"{key} was taken by {said.get('channel', 'the channel')}")
            moved += 1
    return Result(outcome=Outcome.DONE, say=f"{key}: {moved} claims sent")
