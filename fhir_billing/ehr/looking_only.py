"""A chart that is only compared takes every write and passes none on: what would be written is decided as if it were."""

from __future__ import annotations

from fhir_billing.domain.errors import ImpossibleState
from fhir_billing.ehr.client import FhirClient, Resource

NOWHERE = "not-written"


class LookingOnly(FhirClient):
    """Reads like the client that it was made from; a write is answered and goes nowhere."""

    def __init__(self, client: FhirClient) -> None:
        self.__dict__.update(client.__dict__)

    def create(self, resource: Resource, *, unless: str = "") -> Resource:
        """As if it had been made."""
        return {**resource, "id": NOWHERE}

    def update(self, resource: Resource, *, version: str) -> Resource:
        """As if it had been changed."""
        return dict(resource)

    def batch(self, bundle: Resource) -> Resource:
        """Nothing is asked of a transaction here."""
        raise ImpossibleState("a chart that is only compared was sent a transaction")
