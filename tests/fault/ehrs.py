"""An EHR of a test's own, which it may start again empty, and how charts are laid into it."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.connect import EhrSettings, connect
from fhir_billing.fhir.ours import CLAIM_NUMBER
from tests.conftest import Peer
from tests.e2e.servers import settings_of

TTL = "5"
"""Seconds that a token of the second EHR lives: it ends in the middle of a visit."""


@dataclass
class OwnEhr:
    """One server that only this test knows."""

    name: str
    peer: Peer
    settings: EhrSettings

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.settings.url)
        return f"{parts.scheme}://{parts.netloc}"

    def chart(self) -> FhirClient:
        """The EHR as those inside the hospital see it."""
        return connect(self.settings)[0].client

    def stop(self) -> None:
        """It is gone."""
        self.peer.stop(*(["smart"] if self.name == "sekmet" else []))

    def start_empty(self) -> None:
        """It is there again at its place, with its keys, and has nothing: no chart, no hook, nothing of ours."""
        self.stop()
        if self.name == "sekmet":
            shutil.rmtree(self.peer.folder / "sekmet-smart" / "data")
        start(self.name, self.peer, port=urlsplit(self.settings.url).port, auth=urlsplit(self.settings.token_url).port)


def start(name: str, peer: Peer, *, port: int | None = 0, auth: int | None = 0) -> EhrSettings:
    """sekmet: strict backend services, hooks by PUT to endpoint/Type/id. medplum: short tokens, hooks by POST to the endpoint."""
    if name == "sekmet":
        said = peer.start("smart", SMART_PORT=str(port))
        return EhrSettings(
            url=said["SEKMET_SMART"],
            client_id=said["SEKMET_SMART_CLIENT"],
            key=Path(said["SEKMET_SMART_KEY"]),
            token_url=said["SEKMET_SMART"].removesuffix("/fhir") + "/auth/token",
            scopes="system/*.cruds",
        )
    said = peer.start(FHIR_PORT=str(port), AUTH_PORT=str(auth), TTL=TTL)
    return settings_of(said)


def made(name: str, folder: Path) -> OwnEhr:
    """A new one."""
    folder.mkdir()
    peer = Peer({"sekmet": "sekmet.sh", "medplum": "ci-ehr.sh"}[name], folder)
    return OwnEhr(name, peer, start(name, peer))


def put(chart: FhirClient, resources: list[dict[str, Any]]) -> None:
    """Load resources under their own ids, a few hundred at a time."""
    for begin in range(0, len(resources), 200):
        some = resources[begin : begin + 200]
        entry = [{"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}} for r in some]
        answer = chart.batch({"resourceType": "Bundle", "type": "batch", "entry": entry})
        assert {str(e["response"]["status"])[0] for e in answer["entry"]} == {"2"}


def in_status(resources: list[dict[str, Any]], status: str) -> list[dict[str, Any]]:
    """The same chart with its visit in this status."""
    return [{**r, "status": status} if r["resourceType"] == "Encounter" else r for r in resources]


def written(chart: FhirClient, kind: str) -> Counter[str]:
    """How often the chart holds each of our numbers, by kind."""
    found: Counter[str] = Counter()
    for resource in chart.search(kind, {"_count": "200"}):
        if resource.get("resourceType") != kind:
            continue
        found.update(i["value"] for i in resource.get("identifier") or [] if i.get("system") == CLAIM_NUMBER)
    return found
