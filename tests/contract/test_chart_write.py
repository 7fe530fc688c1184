"""An answer is written into charts nobody here wrote: once, over the version that was read, and only where the EHR takes it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from fhir_billing.domain.question import Answer
from fhir_billing.ehr.chart_write import lay
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.connect import connect
from fhir_billing.fhir.answered import ANSWER, name_of
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.questions import laid
from tests.e2e import charts
from tests.e2e.servers import settings_of

Resource = dict[str, Any]
AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Visit:
    """A visit of somebody's own, so that no other test sees what is written."""

    client: FhirClient
    name: str

    @property
    def encounter(self) -> str:
        return f"Encounter/{self.name}-visit"

    def answer(self, code: str, choice: str | None = None) -> Answer:
        return Answer(
            question=f"diagnosis:{self.encounter}", kind="diagnosis", encounter=self.encounter, about=self.encounter,
            choice=code if choice is None else choice, code=code, label="Cough", at=AT,
        )  # fmt: skip

    def lay(self, *answers: Answer) -> str:
        return lay(self.client, self.encounter, lambda found: laid(found, answers))

    def conditions(self) -> list[Resource]:
        found = self.client.search("Condition", {"encounter": self.encounter})
        return [r for r in found if r["resourceType"] == "Condition"]


@pytest.fixture(params=["sekmet", "ci_ehr"])
def visit(request: pytest.FixtureRequest) -> Visit:
    found: Any = request.getfixturevalue(request.param)
    settings = settings_of(found)
    client = connect(settings)[0].client
    name = f"oz-{uuid.uuid4().hex[:8]}"
    clinic = charts.entries("clinic")
    mine = loads(dumps(charts.entries("oz")).decode().replace("oz", name).encode())
    for entries in (clinic, mine):
        answer = client.batch({"resourceType": "Bundle", "type": "batch", "entry": entries})
        assert {str(e["response"]["status"])[0] for e in answer["entry"]} == {"2"}
    return Visit(client, name)


def test_an_answer_becomes_one_condition_of_the_visit_however_often_it_is_offered(visit: Visit) -> None:
    assert visit.lay(visit.answer("R05.9")) == "written"
    assert visit.lay(visit.answer("R05.9")) == "written"
    (made,) = visit.conditions()
    assert made["code"]["coding"][0] == {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "R05.9"}
    assert made["identifier"] == [{"system": ANSWER, "value": name_of(visit.answer("").question)}]
    assert made["encounter"]["reference"].endswith(visit.encounter)
    assert made["meta"]["versionId"] == visit.client.read(f"Condition/{made['id']}")["meta"]["versionId"]


def test_another_answer_changes_the_same_condition_and_taking_it_back_marks_it_as_an_error(visit: Visit) -> None:
    visit.lay(visit.answer("R05.9"))
    assert visit.lay(visit.answer("J20.9")) == "written"
    (made,) = visit.conditions()
    assert made["code"]["coding"][0]["code"] == "J20.9"
    assert visit.lay(visit.answer("J20.9", choice="")) == "written"
    again = visit.client.read(f"Condition/{made['id']}")
    assert again["verificationStatus"]["coding"][0]["code"] == "entered-in-error"


def test_a_modifier_is_written_over_the_charge_as_it_is_now(visit: Visit) -> None:
    charge = f"ChargeItem/{visit.name}-charge1"
    side = Answer(
        question=f"laterality:{charge}",
        kind="laterality",
        encounter=visit.encounter,
        about=charge,
        choice="left",
        at=AT,
    )
    assert visit.lay(side) == "written"
    first = visit.client.read(charge)
    assert [e["valueCode"] for e in first["extension"]] == ["LT"]
    visit.client.update({**first, "quantity": {"value": 2}}, version=first["meta"]["versionId"])
    assert visit.lay(replace(side, choice="right")) == "written"
    second = visit.client.read(charge)
    assert ([e["valueCode"] for e in second["extension"]], second["quantity"]["value"]) == (["RT"], 2)
    assert visit.lay(replace(side, choice="")) == "written"
    assert "extension" not in visit.client.read(charge)


def test_a_kind_that_the_ehr_does_not_take_is_said_and_is_no_fault(visit: Visit) -> None:
    real = visit.client

    class Refusing:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def create(self, resource: Resource, *, unless: str = "") -> Resource:
            from fhir_billing.domain.errors import ScopeMissing

            raise ScopeMissing("the EHR refuses POST Condition (403)")

    refusing: Any = Refusing()
    said = lay(refusing, visit.encounter, lambda found: laid(found, [visit.answer("R05.9")]))
    assert said == "Condition not taken (scope-missing)"
    assert visit.conditions() == []


def test_what_cannot_be_reached_is_tried_again(visit: Visit) -> None:
    from fhir_billing.domain.errors import EhrUnavailable

    gone = FhirClient("http://127.0.0.1:9", httpx2.Client(timeout=1))
    with pytest.raises(EhrUnavailable):
        lay(gone, visit.encounter, lambda found: found)
