"""What an EHR does is found by trying, not by its name or its word: the same run on servers that differ, and on some that lie."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
import yaml

from fhir_billing.cli import main
from fhir_billing.cycle.conformance import Conformance, Found, Interaction, dump, load
from fhir_billing.ehr import check as checking
from fhir_billing.ehr import connect as connecting
from fhir_billing.ehr.check import Wanted, check
from fhir_billing.ehr.check.probes import KEYS, SYSTEM
from fhir_billing.ehr.connect import EhrSettings, connect
from fhir_billing.settings import Settings
from fhir_billing.store.schema import migrate
from fhir_billing.tenants import read_tenants
from tests.conftest import Peer
from tests.contract.odd_ehr import OddEhr
from tests.contract.other_manners import OtherManners
from tests.contract.test_ehr import load as load_charts
from tests.e2e.servers import ALL, settings_of

if TYPE_CHECKING:
    from tests.conftest import Sekmet

WRITTEN = ["write-task", "write-claim", "write-claim-response", "write-eob", "write-communication", "write-document", "write-charge-item"]  # fmt: skip


def finish(settings: EhrSettings) -> None:
    """The charts are there, and three visits are finished."""
    client = connect(settings)[0].client
    load_charts(client)
    for name in ("ada", "bo", "cy"):
        visit = client.read(f"Encounter/{name}-visit")
        client.update({**visit, "status": "finished"}, version=visit["meta"]["versionId"])


@pytest.fixture
def open_ehr(sekmet: Sekmet) -> Iterator[str]:
    """An EHR with closed visits, which are open again for whoever comes next."""
    settings = EhrSettings(url=sekmet.url)
    finish(settings)
    yield sekmet.url
    load_charts(connect(settings)[0].client)


def found(run: Conformance) -> dict[str, Found]:
    return {row.key: row.found for row in run.interactions}


def said(run: Conformance, key: str) -> str:
    return next(row.say for row in run.interactions if row.key == key)


@pytest.fixture(scope="module", params=["sekmet", "sekmet_smart", "ci_ehr"])
def tried(request: pytest.FixtureRequest) -> Iterator[tuple[str, EhrSettings, Conformance]]:
    settings = settings_of(request.getfixturevalue(request.param))
    finish(settings)
    yield request.param, settings, check(settings, Wanted(writes=True), datetime.now(UTC))
    load_charts(connect(settings)[0].client)


def test_a_visit_can_be_found_read_and_written_about_on_each(tried: tuple[str, EhrSettings, Conformance]) -> None:
    _, _, run = tried
    assert run.is_usable()
    assert "poll" in run.triggers
    rows = found(run)
    assert {rows[key] for key in ("read-visit", "search-visit", "read-patient", "read-coverage", "read-charge-item")} == {Found.WORKS}  # fmt: skip
    assert {key: rows[key] for key in WRITTEN} == dict.fromkeys(WRITTEN, Found.WORKS)
    assert run.works("if-match")
    assert run.works("if-none-exist")
    assert (run.rung, run.facts["rung-by"]) == ("claim-and-response", "tried")
    assert load(dump(run)) == run, "what was found is kept as text and read again"


def test_what_differs_between_them_comes_out_of_trying(tried: tuple[str, EhrSettings, Conformance]) -> None:
    name, _, run = tried
    rows, facts = found(run), run.facts
    if name == "ci_ehr":
        assert (facts["etag"], facts["transaction"], facts["include"], facts["topics"]) == ("uuid", "not-atomic", "ignored", "none")  # fmt: skip
        assert rows["search-includes"] is Found.IGNORED
        assert rows["transaction"] is Found.PARTLY
        assert rows["topic-subscription"] is Found.MISSING
        assert rows["conditional-read"] is Found.IGNORED
        assert rows["paging"] is Found.PARTLY
        assert rows["bulk-export"] is not Found.WORKS
        assert run.gathering == "batch"
        assert run.triggers[0] == "hook"
    else:
        assert (facts["etag"], facts["transaction"], facts["include"], facts["topics"]) == ("number", "atomic", "honoured", "Basic")  # fmt: skip
        assert rows["search-includes"] is Found.WORKS
        assert rows["transaction"] is Found.WORKS
        assert rows["conditional-read"] is Found.WORKS
        assert run.gathering == "includes"
        assert run.triggers[0] == "topic"
    every = [row for row in run.interactions if row.found not in {Found.WORKS, Found.NOT_TRIED}]
    assert all(row.say and row.instead for row in every), "what does not work says why, and what is done instead"


def test_probes_leave_nothing_behind(tried: tuple[str, EhrSettings, Conformance]) -> None:
    _, settings, run = tried
    assert "left" not in run.facts
    client = connect(settings)[0].client
    for kind in (*KEYS, "Subscription"):
        everything = list(client.search(kind, {"_count": "1000"}))
        assert not [r for r in everything if SYSTEM in json.dumps(r, default=str) or "conformance-probe" in json.dumps(r, default=str)], kind  # fmt: skip


def test_without_permission_nothing_is_written_and_each_row_says_so(open_ehr: str) -> None:
    settings = EhrSettings(url=open_ehr, scopes=ALL)
    run = check(settings, Wanted(), datetime.now(UTC))
    rows = found(run)
    for key in (*WRITTEN, "subscription", "if-match", "if-none-exist", "transaction"):
        assert (rows[key], said(run, key)) == (Found.NOT_TRIED, "run with --write")
    assert run.is_usable()
    assert run.facts["rung-by"] == "declared", "what was not tried is only its word"
    assert "not tried" in run.facts["sentences"].splitlines()[-1]


def test_an_ehr_that_declares_nothing_and_may_not_be_tried_leaves_it_open_how_the_chart_is_told(
    ci_ehr: dict[str, str],
) -> None:
    run = check(settings_of(ci_ehr), Wanted(), datetime.now(UTC))
    assert run.rung == ""


@pytest.fixture(scope="module")
def narrow(peers_run: Path) -> Iterator[Sekmet]:
    """An EHR that grants its client less than all."""
    from tests.conftest import Sekmet

    folder = peers_run / "narrow"
    folder.mkdir()
    peer = Peer("sekmet.sh", folder)
    scopes = "system/Encounter.rs system/Patient.rs system/Condition.rs system/Task.cruds"
    told = peer.start("smart", SMART_PORT="0", SCOPES=scopes)
    yield Sekmet(url=told["SEKMET_SMART"], client=told["SEKMET_SMART_CLIENT"], key=Path(told["SEKMET_SMART_KEY"]))
    peer.stop("smart")


def test_scopes_that_were_not_granted_show_as_forbidden_and_the_rest_works(narrow: Sekmet) -> None:
    scopes = "system/Encounter.rs system/Patient.rs system/Condition.rs system/Task.cruds"
    settings = EhrSettings(url=narrow.url, client_id=narrow.client, key=narrow.key, scopes=scopes)
    run = check(settings, Wanted(writes=True), datetime.now(UTC))
    rows = found(run)
    assert set(run.granted_scopes) == set(scopes.split())
    assert rows["search-visit"] is Found.WORKS
    assert rows["write-task"] is Found.WORKS
    assert rows["read-coverage"] in {Found.FORBIDDEN, Found.NOT_TRIED}
    assert rows["read-location"] is Found.FORBIDDEN
    assert rows["write-communication"] is Found.FORBIDDEN
    assert rows["write-document"] is Found.FORBIDDEN
    assert run.rung == "task", "the best rung that these scopes allow"
    assert rows["if-match"] is Found.WORKS, "the manners of writing are tried on what is allowed"


def test_what_is_not_granted_is_not_tried_and_no_bill_is_made_without_coverages(
    narrow: Sekmet, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, str]] = []

    def heard(method: str, path: str, query: dict[str, str]) -> int:
        asked.append((method, path))
        return 0

    proxy = OtherManners(narrow.url, refuse=heard)
    scopes = "system/Encounter.rs system/Patient.rs system/Condition.rs system/Task.cruds"
    words = ["--client-id", narrow.client, "--key", str(narrow.key), "--scopes", scopes, "--write", "--patient", "ada",
             "--token-url", narrow.url.removesuffix("/fhir") + "/auth/token"]  # fmt: skip
    assert main(["ehr", "check", proxy.url, *words]) == 1
    proxy.close()
    assert {path for method, path in asked if method == "POST"} <= {"", "Task"}
    assert not [path for _, path in asked if path.startswith(("Coverage", "ChargeItem", "Location"))]
    out = capsys.readouterr().out
    assert "Messages (Communication): forbidden, not granted" in out
    assert "no bill can be made without what may not be read: Coverages, by patient; Procedures, by visit or patient or Charges" in out  # fmt: skip


def test_an_ehr_that_gives_no_token_is_asked_nothing_more(narrow: Sekmet, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--client-id", "nobody", "--key", str(narrow.key)]
    assert main(["ehr", "check", narrow.url, *words]) == 1
    out = capsys.readouterr().out
    assert "or give the name under which it is registered: --key-id" in out.replace("\n      ", " ")
    assert "Connection" in out
    assert "Reading" not in out
    assert "Visits are found by" not in out
    assert main(["ehr", "check", narrow.url, *words, "--key-id", "k1"]) == 1
    assert "--key-id" not in capsys.readouterr().out


@pytest.mark.parametrize("odd", ["elsewhere"], indirect=True)
def test_a_wrong_path_is_told_from_an_ehr_that_refuses(odd: OddEhr, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ehr", "check", odd.url]) == 1
    out = capsys.readouterr().out
    assert "the address may lack its last part, such as /fhir" in out
    assert "visits cannot be searched without a patient" not in out


def test_nobody_at_the_address_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ehr", "check", "http://127.0.0.1:9/fhir"]) == 3
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "fhir-billing: nobody answers at http://127.0.0.1:9/fhir\n")


def test_an_ehr_without_a_visit_is_judged_the_same_when_it_is_checked_and_when_it_is_added(tmp_path: Path) -> None:
    ehr = OddEhr("empty")
    assert main(["ehr", "check", ehr.url]) == 0
    assert added(tmp_path, ehr.url) == 0
    ehr.close()
    assert (tmp_path / "south.yaml").exists()


def test_an_ehr_that_refuses_the_scopes_we_ask_for_says_so_in_the_row_of_the_token(narrow: Sekmet) -> None:
    settings = EhrSettings(url=narrow.url, client_id=narrow.client, key=narrow.key, scopes=ALL)
    run = check(settings, Wanted(), datetime.now(UTC))
    assert found(run)["token"] is Found.FORBIDDEN
    assert not run.is_usable()


def test_a_client_secret_is_enough_where_an_ehr_insists_on_one(
    ci_ehr: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_SECRET_OF_THIS_TEST", "backend-secret")
    settings = EhrSettings(
        url=ci_ehr["CI_EHR_FHIR"],
        client_id="billing-backend-secret",
        secret_env="THE_SECRET_OF_THIS_TEST",
        token_url=ci_ehr["CI_EHR_AUTH"] + "/auth/token",
        scopes=ALL,
    )
    run = check(settings, Wanted(), datetime.now(UTC))
    assert found(run)["token"] is Found.WORKS
    assert run.granted_scopes


class Enough(Exception):
    """Somebody stopped it."""


def test_a_check_that_is_stopped_half_way_takes_its_probes_away(open_ehr: str) -> None:
    def step(done: int, total: int, row: Interaction) -> None:
        if row.key == "write-document":
            raise Enough

    with pytest.raises(Enough):
        check(EhrSettings(url=open_ehr), Wanted(writes=True), datetime.now(UTC), step)
    client = connect(EhrSettings(url=open_ehr))[0].client
    for kind in (*KEYS, "Subscription"):
        held = list(client.search(kind, {"_count": "1000"}))
        assert not [r for r in held if "conformance-probe" in json.dumps(r, default=str)], kind


@pytest.fixture
def odd(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[OddEhr]:
    """A bad server, and a check that is not patient."""
    short = httpx2.Timeout(0.5)
    monkeypatch.setattr(checking, "PATIENCE", short)
    monkeypatch.setattr(connecting, "TIMEOUT", short)
    ehr = OddEhr(request.param)
    yield ehr
    ehr.close()


def test_an_ehr_that_declares_everything_and_does_nothing_is_found_out() -> None:
    ehr = OddEhr("liar")
    run = check(EhrSettings(url=ehr.url), Wanted(writes=True), datetime.now(UTC))
    ehr.close()
    rows = {row.key: row for row in run.interactions}
    assert rows["write-task"].declared
    for key in (*WRITTEN[:1], "write-communication", "write-document", "subscription"):
        assert rows[key].found is Found.MISSING, key
        assert "there is none" in rows[key].say
    for key in ("search-visit", "search-includes", "search-by-last-updated"):
        assert rows[key].found is Found.IGNORED, key
    for key in ("batch", "transaction", "bulk-export", "topic-subscription", "if-match", "if-none-exist"):
        assert rows[key].found is not Found.WORKS, key
    assert run.rung in {"", "page-only", "hl7v2"}, "nothing is told to who keeps nothing"


@pytest.mark.parametrize(
    ("odd", "code"),
    [("html", 1), ("refuses", 1), ("redirects", 1), ("crashes", 1), ("nonsense", 1), ("hangs", 3), ("half", 1)],
    indirect=["odd"],
)
def test_a_bad_server_gives_rows_and_an_exit_code_and_no_traceback(
    odd: OddEhr, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ehr", "check", odd.url, "--write", "--json"]) == code
    out = capsys.readouterr().out
    run = load(out)
    assert run is not None
    assert len(run.interactions) > 30
    assert not [row for row in run.interactions if row.found is Found.WORKS and row.group == "writing back"]
    assert "Zztest" not in out, "no word of a chart"
    assert len(odd.asked) < 120
    assert not [path for _, path in odd.asked if "elsewhere" in path]


def test_nobody_at_the_address_is_not_reachable_and_a_wrong_address_is_wrong_usage() -> None:
    assert main(["ehr", "check", "http://127.0.0.1:9/fhir"]) == 3
    assert main(["ehr", "check", "ehr.example/fhir"]) == 2
    assert main(["ehr", "check", "http://127.0.0.1:9/fhir", "--key", "/no/such.pem"]) == 2


def test_the_table_ends_with_what_will_be_done(open_ehr: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ehr", "check", open_ehr, "--write"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3].startswith("Visits are found by ")
    assert lines[-2].startswith("A visit is read by ")
    assert lines[-1].startswith("The chart is told by ")


def test_adding_an_ehr_writes_its_file_once_and_names_no_secret(
    ci_ehr: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(settings_of(ci_ehr))
    words = [
        "ehr", "add", "clinic-a", ci_ehr["CI_EHR_FHIR"], "--client-id", "billing-backend", "--key", ci_ehr["CI_EHR_KEY"],
        "--key-id", ci_ehr["CI_EHR_KID"], "--token-url", ci_ehr["CI_EHR_AUTH"] + "/auth/token", "--scopes", ALL,
        "--folder", str(tmp_path), "--public-url", "https://clinic-a.example",
    ]  # fmt: skip
    assert main(words) == 0
    told = capsys.readouterr().err
    assert "https://clinic-a.example/.well-known/jwks.json" in told
    text = (tmp_path / "clinic-a.yaml").read_text(encoding="utf-8")
    written = yaml.safe_load(text)
    assert written["tenant"] == "clinic-a"
    assert written["ehr"]["url"] == ci_ehr["CI_EHR_FHIR"]
    assert written["ehr"]["triggers"] == ["poll"], "to ring was not tried"
    assert written["ehr"]["key"] == ci_ehr["CI_EHR_KEY"], "by its path"
    assert "PRIVATE" not in text
    tenant = read_tenants(tmp_path)["clinic-a"]
    assert tenant.settings(Settings()).ehr_url == ci_ehr["CI_EHR_FHIR"], "an installation reads it"
    assert main(words) == 1, "what is there is left as it is"
    assert (tmp_path / "clinic-a.yaml").read_text(encoding="utf-8") == text
    assert main([*words[:2], "Bad_Name", *words[3:]]) == 2


def added(folder: Path, url: str, *more: str) -> int:
    return main(["ehr", "add", "south", url, "--folder", str(folder), *more])


def test_an_ehr_that_rings_gets_a_secret_that_is_named_and_not_written(
    open_ehr: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert added(tmp_path, open_ehr, "--public-url", "http://south.localhost:8731", "--write") == 0
    said = yaml.safe_load((tmp_path / "south.yaml").read_text(encoding="utf-8"))
    assert "topic" in said["ehr"]["triggers"]
    assert said["hooks"] == {"secret_env": "FHIR_BILLING_HOOK_SECRET_SOUTH"}
    assert "export FHIR_BILLING_HOOK_SECRET_SOUTH=" in capsys.readouterr().err


def test_a_file_that_no_command_would_accept_is_not_written_and_nobody_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ehr = OddEhr("empty")
    assert added(tmp_path, ehr.url, "--public-url", "http://south.example", "--anyway") == 2
    assert "public_url is not https" in capsys.readouterr().err
    (tmp_path / "north.yaml").write_text("public_url: https://n.example\nsite: demo\ndatabase: n.db\n")
    assert added(tmp_path, ehr.url, "--public-url", "https://n.example") == 2
    assert "the same host" in capsys.readouterr().err
    ehr.close()
    assert [path.name for path in tmp_path.iterdir()] == ["north.yaml"]
    assert ehr.asked == []


def test_what_was_found_is_kept_shown_and_told_by_the_doctor(
    open_ehr: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = f"sqlite:///{tmp_path / 'book.db'}"
    migrate(database)
    monkeypatch.setenv("FHIR_BILLING_DATABASE", database)
    monkeypatch.setenv("FHIR_BILLING_EHR_URL", open_ehr)
    assert main(["ehr", "show"]) == 1
    main(["doctor"])
    assert "never checked" in capsys.readouterr().out
    assert main(["ehr", "check", "--save"]) == 0
    assert main(["ehr", "show"]) == 0
    capsys.readouterr()
    main(["doctor"])
    (line,) = [row for row in capsys.readouterr().out.splitlines() if row.startswith("ehr ")]
    assert "checked today" in line


def test_no_ehr_is_known_by_name_here() -> None:
    folder = Path(checking.__file__).parent
    words = ("sekmet", "medplum", "epic", "oracle", "cerner", "athena", "hapi", "canvas")
    assert [p.name for p in folder.glob("*.py") if any(w in p.read_text(encoding="utf-8").lower() for w in words)] == []
