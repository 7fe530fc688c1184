"""An app file says who may read our record, in strict words; what it gets wrong is said with the file's name and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_billing.apps import App, AppInvalid, granted, may, parse_right, read_apps
from fhir_billing.domain.errors import NotAllowed, SecretMissing

LEAST = "client_id: watch\njwks: watch.json\nscopes: [system/Task.rs]\n"


def one(folder: Path, more: str = "", *, name: str = "watch.yaml", least: str = LEAST) -> Path:
    (folder / name).write_text(least + more, encoding="utf-8")
    return folder


def test_three_words_make_an_app(tmp_path: Path) -> None:
    [app] = read_apps(one(tmp_path)).values()
    assert (app.name, app.client_id, app.hosts) == ("watch", "watch", ())
    assert app.jwks == tmp_path / "watch.json"
    assert may(app.rights, "Task", "r") and not may(app.rights, "Claim", "r") and not may(app.rights, "Task", "u")


def test_no_folder_means_no_apps() -> None:
    assert read_apps(None) == {}


@pytest.mark.parametrize(
    ("text", "say"),
    [
        (LEAST + "hots: [x]\n", "'hots' is no word"),
        (LEAST + "client_secret: x\n", "a secret does not stand"),
        ("client_id: watch\nscopes: [system/Task.rs]\n", "in one way"),
        (LEAST + "secret_env: X\n", "in one way"),
        ("jwks: a.json\nscopes: [system/Task.rs]\n", "client_id is missing"),
        ("client_id: a\njwks: a.json\n", "scopes are missing"),
        ("client_id: a\njwks: a.json\nscopes: [patient/Task.rs]\n", "is no scope here"),
        ("client_id: a\njwks: a.json\nscopes: [system/Patient.rs]\n", "is no scope here"),
        ("client_id: a\njwks: a.json\nscopes: [system/Task.sr]\n", "is no scope here"),
        ("client_id: a\njwks: a.json\nscopes: [1]\n", "no list of words"),
        ("client_id: a\njwks_url: http://keys.example/x\nscopes: [system/Task.rs]\n", "not https"),
        (LEAST + "hosts: ['*.example']\n", "hosts has"),
        (LEAST + "hosts: ['https://a.example']\n", "hosts has"),
        (LEAST + "app: 'No Name'\n", "is no name"),
        ("{", "this is not YAML"),
        ("", "it holds nothing"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, say: str) -> None:
    with pytest.raises(AppInvalid, match=say) as found:
        read_apps(one(tmp_path, least=text))
    assert "watch.yaml" in found.value.say
    assert found.value.fix


def test_two_files_are_two_apps_of_two_names_and_clients(tmp_path: Path) -> None:
    one(tmp_path)
    with pytest.raises(AppInvalid, match="has this client_id too"):
        read_apps(one(tmp_path, name="twin.yaml"))
    (tmp_path / "twin.yaml").write_text(LEAST.replace("client_id: watch", "client_id: twin") + "app: watch\n")
    with pytest.raises(AppInvalid, match="is app watch too"):
        read_apps(tmp_path)


def test_a_secret_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOBODY_SET_THIS", raising=False)
    with pytest.raises(SecretMissing, match="NOBODY_SET_THIS"):
        App(name="a", client_id="a", secret_env="NOBODY_SET_THIS").secret()


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("system/Task.rs", ["system/Task.rs"]),
        ("system/Task.cruds", ["system/Task.rs"]),
        ("system/*.cruds", ["system/Task.rs", "system/Claim.r"]),
        ("system/Claim.s", []),
        ("user/Task.rs patient/*.rs", []),
        ("system/Task.rs?status=completed", []),
        ("system/Task.", []),
        ("SYSTEM/Task.rs", []),
    ],
)
def test_no_scope_gives_more_than_the_file(asked: str, given: list[str]) -> None:
    mine = [right for word in ("system/Task.rs", "system/Claim.r") if (right := parse_right(word))]
    assert [str(right) for right in granted(asked.split(), mine)] == given


def test_an_app_is_told_only_where_its_file_says() -> None:
    app = App(name="a", client_id="a", hosts=("a.example", "b.example:8443"), private_hosts=("127.0.0.1:9000",))
    assert app.endpoint("https://a.example/x") == ("a.example", False)
    assert app.endpoint("https://A.example:9999/x") == ("a.example", False)
    assert app.endpoint("https://b.example:8443/x") == ("b.example", False)
    assert app.endpoint("http://127.0.0.1:9000/x") == ("127.0.0.1", True)
    for url in (
        "https://b.example/x",
        "http://a.example/x",
        "https://a.example.evil.example/",
        "https://evil.example/#a.example",
        "https://a.example@evil.example/",
        "https://127.0.0.1:9001/",
        "ftp://a.example/",
        "a.example",
        "",
    ):
        with pytest.raises(NotAllowed):
            app.endpoint(url)
