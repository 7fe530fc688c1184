"""A stamp changes when anything of these changes, and says nothing else: a page and its stream compare theirs.

A page takes its stamp before it reads what it shows: what changes in between is then news, and never missed.
"""

from __future__ import annotations

import hashlib
from typing import cast

from fhir_billing.cycle.clinician import ClinicianViews
from smart_app.face import Face
from smart_app.launch.session import Launched


def stamp(face: Face, *keys: str) -> str:
    """The stamp of these visits, claims, practitioners and patients as they are at this moment."""
    wanted = [key for key in keys if key]
    views = cast("ClinicianViews", face.views)
    return hashlib.sha256(views.news(*wanted).encode()).hexdigest()[:16] if wanted else ""


def stamp_of(face: Face, here: Launched, encounter: str) -> str:
    """The stamp of a launched page: its visit, its patient with all claims, and what the clinician is asked."""
    return stamp(face, encounter, here.practitioner, here.patient)
