"""A claim's status leaves by HL7 v2 as bytes that were stored before, under one control id, until the hospital says that it has them.

The message is composed once, from the visit as it was last read, and waits in the outbox; it is sent again as the same bytes
after a silence, and stays there with what was said after AE or AR. A later status of the same claim overtakes one that waits.
Spec: MLLP Release 1; HL7 v2.5.1 chapter 2: 2.9 acknowledgments, 2.14.8 MSA.
"""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Iterator

from fhir_billing.cycle.conformance import load
from fhir_billing.cycle.records import OutboxRecord
from fhir_billing.domain.errors import ChannelUnavailable, SiteConfig, TheirContract
from fhir_billing.fhir.text import loads
from fhir_billing.hl7.acknowledge import read_answer
from fhir_billing.hl7.frames import Frames, framed
from fhir_billing.hl7.status import status
from fhir_billing.wiring import Wiring
from fhir_billing.worker.mllp import address

KIND, RUNG = "hl7", "hl7v2"
PATIENCE = 20.0
"""Seconds that an answer may take."""
REST = 30.0
"""Seconds for which a receiver that did not answer is left alone, so that one that is down does not stop everything else."""
_silent: dict[str, float] = {}


class HospitalRefused(TheirContract):
    """The hospital's interface engine answered AE or AR."""

    code = "hl7-refused"


def goes_by_hl7(wiring: Wiring) -> bool:
    """Whether the chart is told by HL7 v2: the site says so, or nothing better was found and there is somewhere to send."""
    chosen = wiring.settings.ehr_rung
    if chosen != "auto":
        return chosen == RUNG
    if not wiring.settings.hl7_out:
        return False
    run = load(wiring.store.cursor("conformance"))
    return run is not None and run.rung in {RUNG, "page-only"}


def put(wiring: Wiring, parcel: OutboxRecord) -> str:
    """Compose the message of a write-back and store it to be sent; once, however often it is asked for."""
    told = loads(parcel.body)
    key = f"{KIND}:{parcel.key}"
    control = f"FB{hashlib.sha256(key.encode()).hexdigest()[:18].upper()}"
    at = parcel.created_at or wiring.clock.now()
    with wiring.store.begin() as book:
        claim = book.claim(str(told["claim"]))
        visit = book.visit(claim.encounter) if claim else None
        read = book.message(visit.message) if visit else None
        chart = loads(read.body).get("resources", []) if read and read.channel == "ehr" else []
        body = status(
            told["resources"], chart, control=control, at=at, site=wiring.settings.site.upper(), test=wiring.site.test
        )
        book.queue(kind=KIND, key=key, destination=wiring.settings.hl7_out, body=body, at=at, claim=parcel.claim)
    return f"goes by HL7 v2 as {control}"


def send(wiring: Wiring, parcel: OutboxRecord) -> str:
    """Send a stored message and wait for its acknowledgment. Raises ChannelUnavailable, or HospitalRefused with what was said."""
    where = wiring.settings.hl7_out or parcel.destination
    if not where:
        raise SiteConfig("nowhere to send HL7 v2 to", fix="set FHIR_BILLING_HL7_OUT to host:port")
    control = parcel.body.split(b"\r", maxsplit=1)[0].split(b"|")[9].decode()
    host, port = address(where)
    if time.monotonic() < _silent.get(where, 0):
        raise ChannelUnavailable("the hospital's HL7 v2 receiver did not answer a moment ago")
    try:
        with socket.create_connection((host, port), timeout=PATIENCE) as connection:
            connection.sendall(framed(parcel.body))
            for body in _heard(connection):
                said = read_answer(body)
                if said.control == control:
                    break
            else:
                raise ChannelUnavailable("the hospital closed the connection without an answer")
    except OSError as error:
        _silent[where] = time.monotonic() + REST
        raise ChannelUnavailable(f"the hospital's HL7 v2 receiver does not answer ({type(error).__name__})") from None
    if not said.taken:
        raise HospitalRefused(f"the hospital answered {said.code}: {said.say or 'no reason given'}"[:300])
    return f"{said.code} {control}"


def _heard(connection: socket.socket) -> Iterator[bytes]:
    """What comes back within our patience."""
    frames, end = Frames(), time.monotonic() + PATIENCE
    while (left := end - time.monotonic()) > 0:
        connection.settimeout(left)
        data = connection.recv(65_536)
        if not data:
            return
        for frame in frames.feed(data):
            yield frame.body
    raise TimeoutError
