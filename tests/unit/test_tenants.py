"""A tenant file is read in strict words, and no two tenants share what must be one's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fhir_billing.domain.errors import SecretMissing, SiteConfig
from fhir_billing.settings import Settings
from fhir_billing.tenants import TenantInvalid, read_each, read_tenants, site_of, written
from fhir_billing.tenants.words import TABLES, WORDS
from fhir_billing.wiring import install, wire

DOC = Path(__file__).resolve().parents[2] / "docs" / "ehr-setup" / "tenant-file.md"
LEAST = "public_url: https://{0}.billing.example\nsite: demo\ndatabase: {0}.db\n"
WHOLE = """\
tenant: north
title: North Clinic
public_url: https://north.billing.example/
site: demo
database_env: NORTH_DATABASE
session_secret_env: NORTH_SESSION
frame_ancestors: [https://ehr.example]
launches: doors
apps: /srv/apps
channels: payers
hl7_out: 127.0.0.1:6661
reconcile_at: 4
ehr:
  url: https://ehr.example/fhir/R4/
  client_id: billing
  key: north.pem
  key_id: k2
  more_keys: [north-old.pem]
  secret_env: NORTH_EHR_SECRET
  secret_file: secret
  token_url: https://ehr.example/token
  scopes: [system/*.rs, system/Task.cu]
  quirks: epic
  triggers: [poll, sweep]
  rung: task
  write_back: false
  at_once: 2
  per_second: 5
hooks:
  secret_env: NORTH_HOOK
  allow: [192.0.2.0/24, 198.51.100.7]
mllp:
  listen: 127.0.0.1:2575
  allow: 127.0.0.0/8
sign_in:
  issuer: https://staff.example
  client_id: desk
  secret_env: NORTH_OIDC
  allowed: [example.org]
"""
SHARED = Settings(
    session_secret="shared-by-the-whole-house-0000000", hook_secret="h", ehr_url="https://other.example",
    ehr_client_id="x", oidc_issuer="https://all.example", public_url="http://127.0.0.1:1", redis_url="",
)  # fmt: skip


def files(folder: Path, **said: str) -> Path:
    for name, text in said.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def test_a_whole_file_becomes_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE", "SESSION", "HOOK", "OIDC"):
        monkeypatch.setenv(f"NORTH_{name}", f"postgresql://db.example/{name}")
    (tenant,) = read_tenants(files(tmp_path, north=WHOLE)).values()
    found = tenant.settings(SHARED)
    assert (tenant.name, tenant.title, tenant.host) == ("north", "North Clinic", "north.billing.example")
    assert found.database == "postgresql://db.example/DATABASE"
    assert found.hook_secret == "postgresql://db.example/HOOK"
    assert found.session_secret == "postgresql://db.example/SESSION"
    assert found.oidc_client_secret == "postgresql://db.example/OIDC"
    assert found.ehr_secret_env == "NORTH_EHR_SECRET", "read when it is needed"
    assert (found.ehr_url, found.public_url) == ("https://ehr.example/fhir/R4", "https://north.billing.example")
    assert found.ehr_key == tmp_path / "north.pem"
    assert found.ehr_more_keys == str(tmp_path / "north-old.pem")
    assert found.ehr_scopes == "system/*.rs system/Task.cu"
    assert found.ehr_triggers == "poll,sweep"
    assert (found.ehr_at_once, found.ehr_per_second, found.ehr_write_back, found.reconcile_at) == (2, 5, False, 4)
    assert found.hook_allow == "192.0.2.0/24,198.51.100.7"
    assert (found.launches, found.apps, found.channels) == (tmp_path / "doors", Path("/srv/apps"), tmp_path / "payers")
    assert (found.mllp_listen, found.hl7_out, found.ehr_quirks) == ("127.0.0.1:2575", "127.0.0.1:6661", "epic")
    assert (found.oidc_issuer, found.oidc_allowed) == ("https://staff.example", "example.org")
    assert (found.tenant, found.tenants) == ("north", None)


def test_what_a_file_does_not_say_is_not_taken_from_what_all_share(tmp_path: Path) -> None:
    tenants = read_tenants(files(tmp_path, a=LEAST.format("a"), b=LEAST.format("b")))
    a, b = (tenants[name].settings(SHARED) for name in "ab")
    assert (a.ehr_url, a.ehr_client_id, a.hook_secret, a.oidc_issuer) == ("", "", "", "")
    assert a.database == f"sqlite:///{tmp_path / 'a.db'}"
    assert a.channels == SHARED.channels / "a"
    assert len({a.session_secret, b.session_secret, SHARED.session_secret}) == 3
    assert a.session_secret == tenants["a"].settings(SHARED).session_secret
    assert tenants["a"].settings(Settings(session_secret="")).session_secret == ""


@pytest.mark.parametrize(
    ("more", "say"),
    [
        ("sight: demo\n", "'sight' is no word of a tenant file; 'site' is the nearest"),
        ("ehr: {clinet_id: x}\n", "'ehr.clinet_id' is no word of a tenant file; 'ehr.client_id' is the nearest"),
        ("hook: {secret_env: X}\n", "'hook' is no word"),
        ("hooks: yes\n", "hooks is no table"),
        ("ehr: {secret: hunter2}\n", "a secret does not stand in this file"),
        ("session_secret: hunter2\n", "a secret does not stand in this file"),
        ("hooks: {secret_env: not a variable}\n", "hooks.secret_env is no name of an environment variable"),
        ("ehr: {url: http://ehr.example}\n", "ehr.url is not https"),
        ("ehr: {at_once: many}\n", "ehr.at_once is no number"),
        ("ehr: {at_once: -1}\n", "ehr.at_once is no number"),
        ("ehr: {write_back: perhaps}\n", "ehr.write_back is neither"),
        ("title: [a]\n", "title is no text"),
        ("reconcile_at: 99\n", "reconcile_at is no hour of the day"),
        ("hooks: {allow: 10.0.0.0/99}\n", "hooks.allow cannot be so: '10.0.0.0/99' is no network"),
        ("hooks: {allow: ','}\n", "hooks.allow cannot be so: it names no network"),
        ("mllp: {allow: [10.0.0.0/8, here]}\n", "mllp.allow cannot be so: 'here' is no network"),
        ("mllp: {listen: '0.0.0.0:99999'}\n", "mllp.listen cannot be so: '0.0.0.0:99999' is no host:port"),
        ("hl7_out: '6661'\n", "hl7_out cannot be so: '6661' is no host:port"),
        ("tenant: North Clinic\n", "is no name for a tenant"),
        ("database_env: X\n", "a book of its own"),
        ("ehr: {more_keys: ['a,b.pem']}\n", "a comma"),
        ("{", "a.yaml:"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_name(tmp_path: Path, more: str, say: str) -> None:
    with pytest.raises(TenantInvalid) as told:
        read_tenants(files(tmp_path, a=LEAST.format("a") + more))
    assert say in str(told.value)
    assert str(told.value).startswith("a.yaml")


@pytest.mark.parametrize("url", ["http://south.localhost:8731", "http://127.0.0.2:8731", "http://[::1]:8731"])
def test_several_tenants_can_be_tried_on_one_machine(tmp_path: Path, url: str) -> None:
    tenants = read_tenants(files(tmp_path, south=f"public_url: {url}\nsite: demo\ndatabase: s.db\n"))
    assert tenants["south"].public_url == url


def test_each_file_is_looked_at_though_one_cannot_be_read(tmp_path: Path) -> None:
    folder = files(tmp_path, a="{", b=LEAST.format("b"), c="tenant: b\n" + LEAST.format("c"), d="sight: x\n")
    tenants, faults = read_each(folder)
    assert list(tenants) == ["b"]
    assert [str(fault).partition(":")[0] for fault in faults] == ["a.yaml", "c.yaml", "d.yaml"]


@pytest.mark.parametrize("missing", ["public_url", "site", "database"])
def test_three_words_are_needed(tmp_path: Path, missing: str) -> None:
    least = "".join(line for line in LEAST.format("a").splitlines(keepends=True) if not line.startswith(missing))
    with pytest.raises(TenantInvalid, match=r"missing|a book of its own"):
        read_tenants(files(tmp_path, a=least))


@pytest.mark.parametrize(
    ("a", "b", "what"),
    [
        ("public_url: https://x.example\nsite: demo\ndatabase: a.db\n", "public_url: https://X.example:444/\nsite: demo\ndatabase: b.db\n", "host"),
        ("public_url: https://a.example\nsite: demo\ndatabase: x.db\n", "public_url: https://b.example\nsite: demo\ndatabase: ../{0}/x.db\n", "database"),
        (
            "public_url: https://a.example\nsite: demo\ndatabase: postgresql://u:p@db.example/x\n",
            "public_url: https://b.example\nsite: demo\ndatabase: postgresql+psycopg://w:q@db.example:5432/x?sslmode=require\n", "database",
        ),
        (LEAST.format("a") + "ehr: {url: https://e1.example, client_id: us, key: k.pem}\n", LEAST.format("b") + "ehr: {url: https://e2.example, client_id: us, key: k.pem}\n", "key"),
        (LEAST.format("a") + "ehr: {url: https://e1.example, key: k.pem}\n", LEAST.format("b") + "ehr: {url: https://e2.example, key: n.pem, more_keys: [copy.pem]}\n", "key"),
        (LEAST.format("a") + "mllp: {listen: '127.0.0.1:2575'}\n", LEAST.format("b") + "mllp: {listen: '127.0.0.1:2575'}\n", "HL7 v2 port"),
    ],
)  # fmt: skip
def test_two_tenants_share_nothing_that_must_be_ones_own(tmp_path: Path, a: str, b: str, what: str) -> None:
    for name in ("k.pem", "copy.pem"):
        (tmp_path / name).write_text("the same key")
    with pytest.raises(TenantInvalid, match=f"b.yaml and a.yaml have the same {what}"):
        read_tenants(files(tmp_path, a=a, b=b.replace("{0}", tmp_path.name)))


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TenantInvalid, match="tenant a too"):
        read_tenants(files(tmp_path, a=LEAST.format("a"), b="tenant: a\n" + LEAST.format("b")))


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_a_folder_without_tenants_is_none(tmp_path: Path, folder: str) -> None:
    with pytest.raises(TenantInvalid):
        read_tenants(tmp_path / folder)


def test_a_variable_that_is_not_set_is_that_tenants_lack_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_HOOK", raising=False)
    folder = files(tmp_path, a=LEAST.format("a"), b=LEAST.format("b") + "hooks: {secret_env: NO_SUCH_HOOK}\n")
    found = install(Settings(tenants=folder))
    assert found["a"].settings.tenant == "a"
    with pytest.raises(SecretMissing, match="NO_SUCH_HOOK"):
        found["b"]


def test_a_command_is_about_one_tenant(tmp_path: Path) -> None:
    folder = files(tmp_path, a=LEAST.format("a"), b=LEAST.format("b"))
    with pytest.raises(SiteConfig, match="a, b"):
        wire(Settings(tenants=folder))
    with pytest.raises(SiteConfig, match="no tenant 'c'"):
        wire(Settings(tenants=folder, tenant="c"))
    chosen = wire(Settings(tenants=folder, tenant="b"))
    assert chosen.settings.database.endswith("b.db")
    assert wire(chosen.settings).settings == chosen.settings, "chosen once"
    assert install(Settings(tenants=folder)).hosts == {"a.billing.example": "a", "b.billing.example": "b"}
    assert install(Settings(tenants=None)).names == ("",)
    (tmp_path / "b.yaml").unlink()
    assert wire(Settings(tenants=folder)).settings.tenant == "a", "the only one needs no choice"


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    text = written(
        "north", public_url="https://n.example", site="demo", database="sqlite:////srv/north.db",
        ehr={"url": "https://ehr.example", "client_id": "us", "key": "", "key_id": None, "write_back": False, "triggers": ["poll"]},
        hooks={"secret_env": "NORTH_HOOK", "allow": []}, title="",
    )  # fmt: skip
    said = yaml.safe_load(text)
    assert said["ehr"] == {"url": "https://ehr.example", "client_id": "us", "write_back": False, "triggers": ["poll"]}
    assert said["hooks"] == {"secret_env": "NORTH_HOOK"}
    assert "title" not in said
    (tenant,) = read_tenants(files(tmp_path, north=text)).values()
    assert tenant.said["database"] == "sqlite:////srv/north.db"


def test_each_word_is_explained_and_no_other_is() -> None:
    rows = [line for line in DOC.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    said = {word.strip("` ") for line in rows for word in line.split("|")[1].split(",")}
    assert said == set(WORDS)
    assert {"ehr", "hooks", "mllp", "sign_in"} == TABLES


def test_a_draft_is_made_with_the_site_of_the_tenant_that_is_chosen(tmp_path: Path) -> None:
    folder = files(tmp_path, a=LEAST.format("a").replace("site: demo", "site: other"))
    assert site_of(Settings(tenants=folder, tenant="a", site="demo")) == "other"
    assert site_of(Settings(tenants=folder, tenant="", site="demo")) == "demo"
    with pytest.raises(TenantInvalid, match="no tenant 'x'"):
        site_of(Settings(tenants=folder, tenant="x"))


def test_log_lines_say_whose_they_are() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from fhir_billing.logs import *\nset_up()\nwith of_tenant('north'): log('x').info('a')\nlog('x').info('b')"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    one, other = done.stderr.splitlines()
    assert '"tenant": "north"' in one
    assert "tenant" not in other


@pytest.mark.parametrize(
    ("setting", "word", "say"),
    [
        ("ehr_triggers", "poll,pol", "there is no trigger called 'pol'"),
        ("ehr_quirks", "epik", "there is no quirk file called 'epik'"),
        ("ehr_rung", "tusk", "there is no rung called 'tusk'"),
    ],
)
def test_a_word_that_nothing_answers_to_stops_the_start(setting: str, word: str, say: str) -> None:
    with pytest.raises(SiteConfig, match=say):
        wire(Settings.model_validate({setting: word})).check_words()
