"""How we are known at the EHRs that tests start: one place for what their fixtures say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fhir_billing.ehr.connect import EhrSettings

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
