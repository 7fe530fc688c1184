"""A launch file says who may open our pages, in strict words; what it gets wrong is said with the file's name and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_billing.domain.errors import NotAllowed, SecretMissing
from fhir_billing.doors import DoorInvalid, ancestors, checked_url, entered, find, read_doors

LEAST = "iss: https://ehr.example/fhir/R4\nclient_id: billing\n"


def one(folder: Path, more: str = "", *, name: str = "ehr.yaml", least: str = LEAST) -> Path:
    (folder / name).write_text(least + more, encoding="utf-8")
    return folder


def test_two_words_make_a_door(tmp_path: Path) -> None:
    [door] = read_doors(one(tmp_path)).values()
    assert (door.name, door.client, door.frame_ancestors) == ("ehr", "public", ())
    assert "patient/Condition.rs" in door.scopes
    assert "write" not in door.scopes
    assert "offline_access" not in door.scopes, "least privilege"


def test_no_folder_means_no_doors() -> None:
    assert read_doors(None) == {}


@pytest.mark.parametrize(
    ("more", "say"),
    [
        ("colour: red\n", "'colour' is no word"),
        ("secret: hunter2\n", "a secret does not stand in this file"),
        ("client_secret: hunter2\n", "a secret does not stand in this file"),
        ("client: wizard\n", "client is 'wizard'"),
        ("client: secret\n", "a secret client is not told like this"),
        ("client: key\n", "a key client is not told like this"),
        ("secret_env: X\n", "a public client is not told like this"),
        ("frame_ancestors: ['https://a.example; script-src *']\n", "frame_ancestors has"),
        ("frame_ancestors: ['*']\n", "frame_ancestors has"),
        ("frame_ancestors: ['https:']\n", "frame_ancestors has"),
        ("scopes: []\n", "scopes are no list"),
        ("cds: [{iss: https://ehr.example}]\n", "either jwks or jwks_url"),
        ("cds: [{iss: x, jwks: a.json, jwks_url: https://x.example/k}]\n", "either jwks or jwks_url"),
        ("jwks_url: http://ehr.example/keys\n", "jwks_url is not https"),
        ("title: [a\n", "this is not YAML"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, more: str, say: str) -> None:
    with pytest.raises(DoorInvalid) as error:
        read_doors(one(tmp_path, more))
    assert error.value.say.startswith("ehr.yaml")
    assert say in error.value.say
    assert error.value.fix
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "iss",
    [
        "",
        "ehr.example",
        "ftp://ehr.example",
        "http://ehr.example/fhir",
        "https://ehr.example/#x",
        "https://u:p@ehr.example",
    ],
)
def test_an_address_that_must_not_be_asked_is_refused(tmp_path: Path, iss: str) -> None:
    with pytest.raises(DoorInvalid):
        read_doors(one(tmp_path, least=f"iss: '{iss}'\nclient_id: x\n"))


def test_this_machine_may_be_asked_without_encryption() -> None:
    assert checked_url("http://127.0.0.1:8105/fhir", "iss")


def test_two_doors_are_never_one(tmp_path: Path) -> None:
    one(tmp_path)
    with pytest.raises(DoorInvalid, match="has this iss too"):
        read_doors(one(tmp_path, name="twin.yaml", least=LEAST.replace("R4", "R4/")))
    with pytest.raises(DoorInvalid, match="another file is door ehr"):
        read_doors(one(tmp_path, "door: ehr\n", name="twin.yaml", least=LEAST.replace("R4", "R5")))


def test_only_a_known_ehr_is_entered(tmp_path: Path) -> None:
    doors = read_doors(one(tmp_path))
    assert entered(doors, "https://ehr.example/fhir/R4/").name == "ehr"
    for stranger in (
        "",
        "https://ehr.example/fhir",
        "https://ehr.example/fhir/R4//",
        "https://ehr.example.evil/fhir/R4",
    ):
        with pytest.raises(NotAllowed):
            entered(doors, stranger)
    assert find([], "") is None


def test_who_may_frame_us_is_the_sum_of_all_doors_and_else_nobody(tmp_path: Path) -> None:
    assert ancestors([]) == "'none'"
    one(tmp_path, "frame_ancestors: https://a.example https://*.b.example:8443\n")
    one(tmp_path, "frame_ancestors: [https://a.example]\n", name="two.yaml", least=LEAST.replace("R4", "R5"))
    assert ancestors(read_doors(tmp_path).values()) == "https://a.example https://*.b.example:8443"


def test_a_secret_is_read_where_its_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [door] = read_doors(one(tmp_path, "client: secret\nsecret_env: EHR_TEST_SECRET\n")).values()
    with pytest.raises(SecretMissing, match="EHR_TEST_SECRET is not set"):
        door.secret()
    monkeypatch.setenv("EHR_TEST_SECRET", "s")
    assert door.secret() == "s"
    (tmp_path / "s.txt").write_text("from a file\n")
    [door] = read_doors(one(tmp_path, "client: secret\nsecret_file: s.txt\n")).values()
    assert door.secret() == "from a file"


def test_a_cds_client_has_its_keys_pinned(tmp_path: Path) -> None:
    [door] = read_doors(one(tmp_path, "cds: [{iss: https://ehr.example, jwks: keys.json}]\n")).values()
    assert door.cds[0].jwks == tmp_path / "keys.json"
