"""A real FHIR server on loopback plays the EHR: it is filled with charts, its visits are closed, and it is asked again at the end."""

from __future__ import annotations

import copy
import os
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from fhir_billing.cycle.conformance import Found
from fhir_billing.domain import ledger
from fhir_billing.domain.lifecycle import State
from fhir_billing.domain.money import show, spoken
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.subscriptions import subscribe as ask_to_ring
from fhir_billing.ehr.write import find
from fhir_billing.fhir.task import STATUS
from fhir_billing.fhir.text import loads
from fhir_billing.settings import mappings_root
from fhir_billing.wiring import Wiring

Resource = dict[str, Any]
CHARTED = date(2026, 3, 2)
"""The day around which the charts were written; the demo moves it to three days ago."""
STAY_OPEN = frozenset({"yul-visit"})


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Where the sandbox EHR listens, and who we are to it."""

    url: str
    client_id: str
    key: Path


@contextmanager
def running(folder: Path) -> Iterator[Sandbox]:
    """Start sekmet-fhir with SMART Backend Services in a folder of its own; stop it at the end."""
    script = mappings_root().parent / "tests" / "peers" / "sekmet.sh"
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PEERS_RUN": str(folder), "SMART_PORT": "0"}
    done = subprocess.run(
        [str(script), "start", "smart"], env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SystemExit("the sandbox EHR did not start; its reason stands above")
    said = dict(shlex.split(line)[0].split("=", 1) for line in done.stdout.splitlines() if line.startswith("SEKMET"))
    try:
        yield Sandbox(said["SEKMET_SMART"], said["SEKMET_SMART_CLIENT"], Path(said["SEKMET_SMART_KEY"]))
    finally:
        subprocess.run([str(script), "stop", "smart"], env=environment, check=False, stdout=subprocess.DEVNULL)


def client(wiring: Wiring) -> FhirClient:
    """The product's own client, which has the scopes to fill the sandbox as well."""
    ehr = wiring.ehr
    if ehr is None:
        raise SystemExit("the demo has no EHR")
    found: FhirClient = ehr[0].client  # type: ignore[attr-defined]
    return found


# ---- charts -----------------------------------------------------------------------------------


def shift(value: Any, days: int) -> Any:
    """Move the days of a chart; birth dates and what is no date stay as they are."""
    if isinstance(value, dict):
        return {key: child if key == "birthDate" else shift(child, days) for key, child in value.items()}
    if isinstance(value, list):
        return [shift(child, days) for child in value]
    if isinstance(value, str) and len(value) >= 10 and value[:3] == "202" and value[4] == "-" and value[7] == "-":
        moved = date.fromisoformat(value[:10]) + timedelta(days=days)
        return moved.isoformat() + value[10:]
    return value


@dataclass
class Charts:
    """The charts as loaded, and the visits that wait to be closed."""

    patients: int = 0
    visits: list[Resource] = field(default_factory=list)

    def close(self, wiring: Wiring, visits: list[Resource]) -> None:
        """The clinician closes these visits in the EHR."""
        for visit in visits:
            client(wiring).update({**visit, "status": "finished"}, version="")


def load_charts(wiring: Wiring, folder: Path) -> Charts:
    """Put every chart into the EHR, with its days moved to this week."""
    days = (wiring.site.local(wiring.clock.now()) - timedelta(days=3) - CHARTED).days
    charts = Charts()
    paths = [folder / "clinic.json", *sorted(p for p in folder.glob("*.json") if p.name != "clinic.json")]
    paths += sorted(folder.glob("open/*.json"))  # what a clinician is asked about while the visit is open
    for path in paths:
        bundle = copy.deepcopy(loads(path.read_bytes()))
        bundle["entry"] = [{**entry, "resource": shift(entry["resource"], days)} for entry in bundle["entry"]]
        answer = client(wiring).batch(bundle)
        refused = [
            e for e in answer.get("entry", []) if not str(e.get("response", {}).get("status", "")).startswith("2")
        ]
        if refused:
            raise SystemExit(f"the sandbox EHR refused {len(refused)} resources of {path.name}")
        charts.patients += path.name != "clinic.json"
        for entry in bundle["entry"]:
            resource = entry["resource"]
            if resource["resourceType"] == "Encounter" and resource["status"] == "in-progress":
                stays = resource["id"] in STAY_OPEN or path.parent.name == "open"
                charts.visits += [] if stays else [resource]
    return charts


def checked(wiring: Wiring, charts: Charts) -> str:
    """The EHR is tried before it is trusted, and what was found is kept; in words."""
    patient = str(charts.visits[0]["subject"]["reference"]).partition("/")[2]
    run = wiring.check_ehr(writes=True, patient=patient)
    wiring.keep_conformance(run)
    works = sum(one.found is Found.WORKS for one in run.interactions)
    return f"{works} of {len(run.interactions)} interactions that we tried work, the chart is told by {run.rung}"


def subscribe(wiring: Wiring) -> None:
    """Ask the EHR to ring when a visit closes."""
    ask_to_ring(client(wiring), f"{wiring.settings.public_url}/hooks/ehr", wiring.settings.hook_secret)


# ---- what is told -----------------------------------------------------------------------------


def hooks(wiring: Wiring) -> int:
    """For how many visits the doorbell rang."""
    return len({bell.key.rsplit(":", 1)[0] for bell in wiring.store.doorbells_by("hook")})


def visits(wiring: Wiring) -> str:
    """How the finished visits add up."""
    with wiring.store.begin() as book:
        counts = Counter(visit.outcome for visit in book.visits())
    total = sum(counts.values())
    return f"{total} visits = " + " + ".join(f"{n} {word}" for word, n in counts.most_common())


def exchanged(wiring: Wiring) -> str:
    """What left and what came back."""
    with wiring.store.begin() as book:
        kinds = Counter(envelope.kind for envelope in book.envelopes())
        states = Counter(claim.state for claim in book.claims())
    sent = ", ".join(f"{n} files of {kind}" for kind, n in sorted(kinds.items()))
    return f"{sent}; claims are " + ", ".join(f"{n} {state}" for state, n in sorted(states.items()))


def posted(wiring: Wiring) -> str:
    """What the ledger says."""
    with wiring.store.begin() as book:
        journals = book.journals()
    bank = sum(p.amount for j in journals for p in j.postings if p.account == ledger.BANK)
    return f"{len(journals)} journals that sum to zero, {spoken(bank)} in the bank"


def copays(wiring: Wiring) -> list[tuple[str, str]]:
    """Who pays a copay at the desk: Ada's visit."""
    with wiring.store.begin() as book:
        return [(claim.number, "20.00") for claim in book.claims() if claim.patient_name.startswith("Ada ")]


def announced(wiring: Wiring) -> list[tuple[str, str, str]]:
    """Trace, amount and payer of each remittance whose money the bank now shows."""
    with wiring.store.begin() as book:
        found = {(r.trace, r.payer_name) for r in book.remittances() if r.status == "posted" and r.paid > 0}
        sums = [(trace, sum(book.clearing(trace).values()), payer) for trace, payer in sorted(found)]
    return [(trace, show(amount), payer) for trace, amount, payer in sums if amount > 0]


# ---- proof ------------------------------------------------------------------------------------


@dataclass
class Proof:
    """What the EHR answers when it is asked again."""

    asked: int = 0
    resources: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """The chart says what the book says."""
        return self.asked > 0 and not self.differences

    def say(self) -> str:
        """In one line."""
        found = ", ".join(f"{n} {kind}" for kind, n in sorted(self.resources.items()))
        return f"{found}; " + (
            "every status agrees" if self.holds else "; ".join(self.differences[:5]) or "nothing was written"
        )


def ask_the_ehr(wiring: Wiring) -> Proof:
    """Read back what was written for each claim, and compare it with the book."""
    proof = Proof()
    with wiring.store.begin() as book:
        claims = book.claims()
    for claim in claims:
        proof.asked += 1
        wanted = ["Task"] + (["Claim"] if claim.attempt else [])
        wanted += (
            ["ExplanationOfBenefit", "ClaimResponse"] if claim.state in {State.PAID, State.DENIED, State.CLOSED} else []
        )
        for kind in wanted:
            held = find(client(wiring), kind, claim.number)
            if held is None:
                proof.differences.append(f"{claim.number}: the EHR holds no {kind}")
                continue
            proof.resources[kind] += 1
            if kind == "Task":
                code = held["businessStatus"]["coding"][0]["code"]
                if code != STATUS[claim.state][1]:
                    proof.differences.append(f"{claim.number}: the chart says {code}, the book {claim.state}")
    return proof
