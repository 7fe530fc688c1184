"""Chart and book are laid beside each other: what is missing, changed and gone is told once, what waits is not judged."""

from __future__ import annotations

from fhir_billing.cycle.ports import Known, Sighting
from fhir_billing.cycle.reconcile import Difference, as_row, compare, of_row


def seen(name: str, version: str = "1", status: str = "finished") -> Sighting:
    return Sighting(encounter=f"Encounter/{name}", version=version, status=status)


def held(name: str, version: str = "1", outcome: str = "billed") -> Known:
    return Known(encounter=f"Encounter/{name}", version=version, outcome=outcome)


def kinds(theirs: list[Sighting], ours: list[Known]) -> dict[str, str]:
    return {one.encounter.partition("/")[2]: one.kind for one in compare(theirs, ours)}


def test_each_kind_is_told_and_agreement_is_silent() -> None:
    theirs = [
        seen("new"),
        seen("same"),
        seen("newer", "2"),
        seen("error", "2", "entered-in-error"),
        seen("open", "1", "in-progress"),
    ]
    ours = [held("same"), held("newer"), held("error"), held("lost", outcome="held"), held("back", outcome="voided")]
    assert kinds(theirs, ours) == {"new": "missing", "newer": "changed", "error": "gone", "lost": "gone"}


def test_a_visit_that_was_taken_back_and_is_finished_again_has_changed() -> None:
    assert kinds([seen("a", "3")], [held("a", "2", "voided")]) == {"a": "changed"}
    assert kinds([seen("a", "2", "cancelled")], [held("a", "2", "voided")]) == {}


def test_an_ehr_without_versions_is_judged_by_status_alone() -> None:
    assert kinds([seen("a", "")], [held("a", "2")]) == {}
    assert kinds([seen("a", "2")], [held("a", "")]) == {}


def test_what_comes_twice_is_judged_by_its_last_sighting() -> None:
    assert kinds([seen("a", "1"), seen("a", "2")], [held("a", "2")]) == {}
    assert kinds([seen("b", "1", "in-progress"), seen("b", "2")], []) == {"b": "missing"}


def test_what_waits_and_what_is_young_is_left_to_its_bell() -> None:
    theirs, ours = [seen("a"), seen("b", "2")], [held("b"), held("c")]
    waiting = {"Encounter/a", "Encounter/b", "Encounter/c"}
    assert list(compare(theirs, ours, waiting=waiting)) == []
    assert [one.encounter for one in compare(theirs, ours, is_young=lambda s: s.encounter == "Encounter/a")] == [
        "Encounter/b", "Encounter/c",
    ]  # fmt: skip


def test_a_difference_in_a_run_reads_back_as_itself() -> None:
    for one in compare([seen("a"), seen("b", "22222222-3333")], [held("b", "1"), held("c")]):
        assert of_row(as_row(one)) == one
        assert one.say
    assert (
        "version 22222222," in Difference(encounter="Encounter/b", kind="changed", version="22222222-3", ours="1").say
    )
