"""What a scope grants is read in both spellings, and nothing is read into it."""

from __future__ import annotations

import pytest

from fhir_billing.ehr.scopes import allows, of_request, speak_of_types


@pytest.mark.parametrize(
    ("scope", "kind", "letters"),
    [
        ("system/Task.write", "Task", "cud"),
        ("system/Task.read", "Task", "rs"),
        ("system/*.*", "Task", "cruds"),
        ("system/Task.*", "Task", "cruds"),
        ("system/*.cruds", "Task", "cruds"),
        ("system/*.rs", "Task", "rs"),
        ("user/Task.cu", "Task", "cu"),
        ("system/Task.rs?status=ready", "Task", "rs"),
        ("system/Claim.cruds", "Task", ""),
        ("openid", "Task", ""),
        ("launch/patient", "Task", ""),
        ("system/Task.readwrite", "Task", ""),
        ("system/Task", "Task", ""),
        ("system/Task.", "Task", ""),
    ],
)
def test_a_scope_grants_what_it_says(scope: str, kind: str, letters: str) -> None:
    assert {act for act in "cruds" if allows({scope}, kind, act)} == set(letters)


def test_words_and_letters_mean_the_same() -> None:
    for word in ("create", "read", "update", "delete", "search"):
        assert allows({"system/*.cruds"}, "Task", word)


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("GET", "Task/1", ("Task", "r")),
        ("GET", "Task", ("Task", "s")),
        ("POST", "Task/_search", ("Task", "s")),
        ("POST", "Task", ("Task", "c")),
        ("PUT", "Task/1", ("Task", "u")),
        ("PATCH", "Task/1", ("Task", "u")),
        ("DELETE", "Task/1", ("Task", "d")),
        ("POST", "", None),
        ("GET", "metadata", None),
        ("GET", "https://ehr.example/fhir?page=2", None),
        ("POST", "Claim/1/$submit", None),
        ("GET", "Group/1/$export", None),
        ("GET", "Task/1/_history", None),
        ("GET", ".well-known/smart-configuration", None),
    ],
)
def test_a_request_wants_one_thing(method: str, path: str, wanted: tuple[str, str] | None) -> None:
    assert of_request(method, path) == wanted


def test_scopes_of_people_say_nothing_of_types() -> None:
    assert not speak_of_types({"openid", "fhirUser", "launch/patient"})
    assert speak_of_types({"openid", "system/Task.rs"})
