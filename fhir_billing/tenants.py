"""Several EHRs live in one installation, each in a house of its own: one tenant file, one chart, one book, one address."""

from __future__ import annotations

from collections.abc import Mapping

import yaml


def written(name: str, *, public_url: str, site: str, database: str, ehr: Mapping[str, object]) -> str:
    """A tenant file as text; what an EHR's part leaves empty is left out. Secrets are named in it, never written."""
    said = {
        "tenant": name,
        "public_url": public_url,
        "site": site,
        "database": database,
        "ehr": {key: value for key, value in ehr.items() if value},
    }
    return yaml.safe_dump(said, sort_keys=False, allow_unicode=True)
