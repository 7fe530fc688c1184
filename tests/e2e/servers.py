"""How we are known at the EHRs that tests start: one place for what their fixtures say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fhir_billing.ehr import rungs
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.connect import EhrSettings
from fhir_billing.ehr.putting import number_of, receipt
from fhir_billing.ehr.rungs import Told
from fhir_billing.ehr.write import refuse_nothing

if TYPE_CHECKING:
    from tests.conftest import Sekmet

ALL = "system/*.cruds"


def settings_of(found: Sekmet | Mapping[str, str], *, scopes: str = ALL) -> EhrSettings:
    """How to reach a sandbox EHR, or the one with Medplum's router behind an OpenID provider."""
    if not isinstance(found, Mapping):
        return EhrSettings(url=found.url, client_id=found.client, key=found.key, scopes=scopes)
    return EhrSettings(
        url=found["CI_EHR_FHIR"],
        client_id="billing-backend",
        key=Path(found["CI_EHR_KEY"]),
        key_id=found["CI_EHR_KID"],
        token_url=found["CI_EHR_AUTH"] + "/auth/token",
        scopes=scopes,
    )


def told(client: FhirClient, resources: Sequence[dict[str, Any]]) -> str:
    """Tell a chart by the first rung, with nothing remembered; what became of each, the Provenance left out."""
    first = rungs.named("claim-and-response")
    puts = first.write(client, Told(claim=number_of(resources[0]), resources=tuple(resources)), {})
    of_the_claim = [put for put in puts if put.kind != "Provenance"]
    refuse_nothing(of_the_claim)
    return receipt(of_the_claim)
