"""A whole visit through the store: kept, drafted, scrubbed, put into an envelope, with every commit; against R4B models reading its resources."""

from __future__ import annotations

import json
import tempfile
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.timing import median
from fhir_billing.cycle.records import Kind
from fhir_billing.cycle.work import work_all
from fhir_billing.domain.lifecycle import State
from fhir_billing.fhir.text import dumps
from fhir_billing.mapping_files import load
from fhir_billing.settings import mappings_root
from fhir_billing.store.schema import migrate
from fhir_billing.store.store import open_store
from fhir_billing.x12.envelope import read
from tests.e2e.charts import many_visits

VISITS = 100
AT = datetime(2026, 3, 4, 12, tzinfo=UTC)


def measure() -> list[dict[str, Any]]:
    """Visits a second, as a ratio to parsing the same resources with models."""
    visits = many_visits(VISITS)
    site = load("demo", mappings_root())

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{Path(folder) / 'book.db'}"
            migrate(url)
            store = open_store(url)
            for encounter, resources in visits:
                body = dumps({"encounter": encounter, "resources": resources})
                store.keep(Kind.VISIT, encounter, body, at=AT, channel="ehr")
            work_all(store, site)
            store.keep(Kind.TIMER, "send", json.dumps({"timer": "send"}).encode(), at=AT)
            work_all(store, site)
            parcels = [p for p in store.due(AT) if p.kind == "envelope"]
            assert sum(p.body.count(b"CLM*") for p in parcels) == VISITS
            assert all(read(p.body).is_sound for p in parcels)
            with store.begin() as book:
                assert len(book.claims(states=[State.QUEUED])) == VISITS
            store.close()

    parsed = [json.loads(dumps(resources)) for _, resources in visits]
    ratio = median(ours) / median(lambda: _models(parsed))
    return [
        {
            "name": "whole visit to 837 through the store",
            "ratio": ratio,
            "against": "fhir.resources R4B parsing the visit's resources",
            "sizes": f"{VISITS} visits, SQLite with full sync",
        }
    ]


def _models(parsed: list[list[dict[str, Any]]]) -> None:
    from fhir.resources.R4B import get_fhir_model_class

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for resources in parsed:
            for resource in resources:
                get_fhir_model_class(resource["resourceType"]).model_validate(resource)
