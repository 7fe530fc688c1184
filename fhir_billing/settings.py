"""What an installation decides: one environment variable each, all beginning FHIR_BILLING_ (REDIS_URL is the exception that everyone knows).

Secrets stay out of files that are committed; a key is a path to a file that only this program reads.
"""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Self

from pydantic import AliasChoices, Field, ModelWrapValidatorHandler, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fhir_billing.domain.errors import SiteConfig


def home() -> Path:
    """Where the embedded store lies by default: `var/` of a checkout, else the user's own data folder."""
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "pyproject.toml").exists():
        return checkout / "var"
    return Path.home() / ".local" / "share" / "fhir-billing"


def mappings_root() -> Path:
    """The hospital's mappings: beside the package in a checkout, inside it in an installed wheel."""
    beside = Path(__file__).resolve().parents[1] / "mappings"
    return beside if beside.is_dir() else Path(__file__).resolve().parent / "_mappings"


def checked_networks(text: str) -> str:
    """A list of networks with commas, as it was written. Raises ValueError.

    >>> checked_networks("10.1.2.0/24, 192.0.2.7")
    '10.1.2.0/24, 192.0.2.7'
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        try:
            ip_network(part, strict=False)
        except ValueError:
            raise ValueError(f"{part!r} is no network such as 10.1.2.0/24") from None
    if text and not parts:
        raise ValueError("it names no network such as 10.1.2.0/24")
    return text


def checked_place(text: str) -> str:
    """`host:port` or `[v6]:port`, as it was written. Raises ValueError.

    >>> checked_place("127.0.0.1:2575"), checked_place("[::1]:2575")
    ('127.0.0.1:2575', '[::1]:2575')
    """
    host, _, port = text.rpartition(":")
    if text and not (host and port.isascii() and port.isdigit() and len(port) < 6 and int(port) <= 65_535):
        raise ValueError(f"{text!r} is no host:port such as 127.0.0.1:2575")
    return text


class Settings(BaseSettings):
    """Typed settings of one installation."""

    model_config = SettingsConfigDict(env_prefix="FHIR_BILLING_", extra="ignore", populate_by_name=True)

    database: str = Field(default_factory=lambda: f"sqlite:///{home() / 'demo' / 'book.db'}")
    """SQLAlchemy URL, or the path of an SQLite file. The default is the store that the demo leaves."""
    redis_url: str = Field(default="", validation_alias=AliasChoices("REDIS_URL", "FHIR_BILLING_REDIS_URL"))
    """With it the worker runs on Redis Streams; without it in the process that serves."""
    mappings: Path = Field(default_factory=mappings_root)
    site: str = "demo"
    files: Path | None = None
    """Where bodies above 1 MB lie; beside the SQLite file by default, in the row on Postgres."""
    channels: Path = Field(default_factory=lambda: home() / "channels")
    """Where folder-like channels keep their files."""
    scenario: Path | None = None
    """The payer simulator's scenario file, for the loopback channel."""

    ehr_url: str = ""
    ehr_client_id: str = ""
    ehr_key: Path | None = None
    """Private key (PEM) for SMART Backend Services; without it the EHR is asked without a token."""
    ehr_key_id: str = ""
    """The key's name (kid) as registered at the EHR; its RFC 7638 thumbprint by default."""
    ehr_token_url: str = ""
    """Where the EHR gives tokens; by default what its .well-known/smart-configuration says."""
    ehr_scopes: str = "system/*.rs"
    """What is asked for; writing back needs more, such as `system/*.cruds`."""
    ehr_write_back: bool = True
    """Whether the chart is told of each claim: Task, Claim, ClaimResponse, ExplanationOfBenefit, as far as the EHR takes them."""
    ehr_quirks: str = "plain"
    """The file of `fhir_billing/ehr/quirks` that turns this EHR's resources into plain R4."""
    ehr_secret_env: str = ""
    """The environment variable that holds our client secret, for an EHR that insists on one; `ehr_secret_file` is its file."""
    ehr_secret_file: Path | None = None
    ehr_more_keys: str = ""
    """Further private keys (paths, with commas) that are published beside `ehr_key`: the last one, while keys change.
    `old.pem#k1` is one that the EHR knows by the name k1."""
    ehr_triggers: str = "poll"
    """How the EHR is looked at for closed visits (files of `fhir_billing/ehr/triggers`, with commas): poll, sweep, topic, websocket, bulk; `bulk=GROUP` exports one group. Those that ring by themselves need no name here."""
    ehr_rung: str = "auto"
    """The rung of the write-back ladder; auto: the best that `ehr check` found."""
    ehr_at_once: int = 4
    """How many requests may be on their way to this EHR at once, over all processes."""
    ehr_per_second: int = 20
    """How many requests a second this EHR is asked, over all processes."""
    hook_allow: str = ""
    """Addresses (networks, with commas) that may ring, with the secret all the same where one is set; empty: whoever has the secret."""
    mllp_listen: str = ""
    """Where HL7 v2 messages arrive, such as 127.0.0.1:2575; empty: nowhere."""
    mllp_allow: str = ""
    """Addresses (networks, with commas) that may send HL7 v2; empty: this machine only."""
    hl7_out: str = ""
    """Where HL7 v2 messages are sent (host:port), for the rung that tells the EHR by HL7 v2."""
    apps: Path | None = None
    """The folder of app files: the apps that may read and follow claims at our own FHIR API."""
    reconcile_at: int = Field(default=3, ge=0, le=23)
    """The hour of the site's night at which the chart's closed visits are compared with the book."""
    tenants: Path | None = None
    """The folder of tenant files: several EHRs in one installation, each with a book of its own."""
    tenant: str = ""
    """Which of them a command is about; needed when there are several."""
    title: str = ""
    """What the pages are called; the site's own title, when it is empty. A tenant file says its own."""
    public_url: str = "http://127.0.0.1:8000"
    """Where the EHR can reach us; the subscription's endpoint lies under it."""
    hook_secret: str = ""
    """What the EHR's notifications must carry."""

    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = ""
    oidc_allowed: str = ""
    """Emails or domains, with commas, of the staff who may sign in; empty: whoever the identity provider lets in."""
    session_secret: str = ""
    """Signs the desk's cookies and seals the launched sessions: 32 random characters, the same for every process."""
    launches: Path | None = None
    """The folder of launch files: one for each EHR that opens our pages from a chart."""
    demo: bool = False
    """A local demo user exists only when this is set."""
    frame_ancestors: str = "'self'"
    """Which EHR pages may frame us (CSP)."""

    # How often the worker does what. With Redis all workers of one book together do it so often, and no oftener than once a second.
    poll_seconds: float = 60.0
    """How often the EHR is looked at for closed visits."""
    chase_seconds: float = 3600.0
    """How often late answers are asked for, and the EHR is asked to ring."""
    beat_seconds: float = 1.0
    """How often whatever waits is worked and sent; what arrives at the process that beats is worked at once."""

    @field_validator("hook_allow", "mllp_allow")
    @classmethod
    def _networks(cls, text: str) -> str:
        return checked_networks(text)

    @field_validator("mllp_listen", "hl7_out")
    @classmethod
    def _place(cls, text: str) -> str:
        return checked_place(text)

    @model_validator(mode="wrap")
    @classmethod
    def _in_our_words(cls, said: object, read: ModelWrapValidatorHandler[Self]) -> Self:
        """A setting that cannot be stops the start, named as it is set; what was written may be a secret and is not repeated."""
        try:
            return read(said)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            name = str(first["loc"][0]) if first["loc"] else "settings"
            variable = name if name.isupper() else f"FHIR_BILLING_{name.upper()}"
            say = first["msg"].removeprefix("Value error, ")
            raise SiteConfig(f"{variable}: {say}", fix="correct it, or leave it out") from None

    @property
    def database_url(self) -> str:
        """The database as a URL."""
        return self.database if "://" in self.database else f"sqlite:///{Path(self.database).expanduser().absolute()}"
