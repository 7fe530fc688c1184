"""An EHR is connected by its address, a client id and a key; where to get a token it says itself.

Spec: SMART App Launch 2.2 `.well-known/smart-configuration`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import httpx2

from fhir_billing.cycle.looking import Remembered, Subscribed
from fhir_billing.cycle.ports import Sighting, Trigger, Vault
from fhir_billing.domain.errors import EhrBrokeContract, EhrUnavailable, MalformedResource, NotThere
from fhir_billing.ehr import chart_write, endings, quirks, sockets, subscriptions, topics, triggers, visits
from fhir_billing.ehr.answers import ENCODINGS, is_page, small
from fhir_billing.ehr.backend_auth import BackendToken, Credentials
from fhir_billing.ehr.client import FhirClient, Resource
from fhir_billing.ehr.gather import gather
from fhir_billing.ehr.pace import Pace
from fhir_billing.ehr.ways import Ways
from fhir_billing.fhir.text import loads

TIMEOUT = httpx2.Timeout(30.0, connect=5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EhrSettings:
    """How to reach one EHR."""

    url: str
    client_id: str = ""
    key: Path | None = None
    key_id: str = ""
    token_url: str = ""
    scopes: str = "system/*.rs"
    quirks: str = "plain"
    triggers: tuple[str, ...] = ("poll",)
    secret_env: str = ""
    secret_file: Path | None = None
    more_keys: tuple[Path, ...] = ()
    gathering: str = ""
    """How a visit is read with fewest requests, as a conformance run found it: includes, batch or singly; empty: found by trying."""


@dataclass(frozen=True, slots=True)
class Ehr:
    """One EHR, to read and to write."""

    client: FhirClient
    quirk: quirks.Quirk
    looks: tuple[str, ...] = ("poll",)

    def gather(self, encounter: str) -> list[Resource]:
        """All resources that the visit's bill needs, in plain R4."""
        return self.quirk.visit(gather(self.client, encounter), encounter)

    def subscribe(self, endpoint: str, secret: str, *, way: str = "hook") -> Subscribed:
        """Ask the EHR to ring when a visit closes: `hook` and `topic` at an address, `websocket` where we listen."""
        if way == "hook":
            held = subscriptions.subscribe(self.client, endpoint, secret)
            return Subscribed(way=way, id=str(held["id"]), status=str(held.get("status", "")))
        return topics.subscribe(self.client, endpoint if way == "topic" else "", secret)

    def unsubscribe(
        self, endpoint: str, *, ways: Collection[str], kept: Collection[str], before: Collection[str]
    ) -> set[str]:
        """End what rings for us and is not wanted any more; the ids of what cannot be ended."""
        return endings.end(self.client, endpoint, ways=ways, kept=kept, before=before)

    def listen(self, subscription: str, stopped: Callable[[], bool]) -> Iterator[bytes]:
        """The notifications of a websocket subscription, until the line breaks."""
        return sockets.listen(self.client, subscription, stopped)

    def check(self) -> str:
        """What the EHR says it is, after a token was had."""
        granted = self.client.sign_in()
        found = self.client.capabilities()
        said = found.get("software") or {}
        name = f"{said.get('name', 'an EHR without a name')} {said.get('version', '')}".strip()
        return f"{name}, FHIR {found.get('fhirVersion', '?')}, scopes: {' '.join(sorted(granted)) or 'not said'}"

    def triggers(self, remembered: Remembered) -> list[Trigger]:
        """The ways in which this EHR is looked at: those that are set, and those that look after what it holds for us."""
        followed = (one.subscribed.way for one in remembered.followed())
        return triggers.made(tuple(dict.fromkeys([*self.looks, *followed])), self.client, remembered)

    def visits(self, since: date, until: date) -> Iterator[Sighting]:
        """Every visit of these days in any status, and what changed lately."""
        return visits.between(self.client, since, until, self.quirk)

    def touched(self, since: date) -> Iterator[Sighting]:
        """Visits of which a charge, procedure or diagnosis changed since then."""
        return visits.touched(self.client, since, self.quirk)

    def sight(self, encounter: str) -> Sighting | None:
        """One visit as it is now; None when it is not there any more."""
        return visits.sight(self.client, encounter, self.quirk)

    def lay(self, encounter: str, change: Callable[[list[Resource]], list[Resource]]) -> str:
        """Write what a change makes of a visit, where it differs from the chart as it is now."""
        return chart_write.lay(self.client, encounter, change)


class UserToken:
    """A token that somebody else renews: it is carried as it is."""

    def __init__(self, token: str) -> None:
        self._token = token
        self.granted: frozenset[str] = frozenset()

    def value(self) -> str:
        """The token."""
        return self._token

    def forget(self, token: str = "") -> None:
        """Nothing: whoever holds the session fetches another."""


class UserEhr(Ehr):
    """One EHR as one signed-in user may see it."""

    def gather(self, encounter: str) -> list[Resource]:
        """What an open visit's bill would need. Vaccines that a user may not read hide no visit: the service reads them later."""
        found = gather(self.client, encounter, forgive=frozenset({"Immunization"}))
        return self.quirk.visit(found, encounter)

    def read(self, reference: str) -> Resource:
        """One resource, in plain R4."""
        return self.quirk(self.client.read(reference))

    def search(self, kind: str, params: Mapping[str, str]) -> list[Resource]:
        """Every match, in plain R4."""
        return [self.quirk(resource) for resource in self.client.search(kind, params)]


def connect_as(url: str, token: str, quirk: str, http: httpx2.Client, ways: Ways | None = None) -> UserEhr:
    """The chart with a user's own rights. The token goes to this EHR's host and to no other; what is learned of the EHR's ways is shared."""
    return UserEhr(FhirClient(url, http, UserToken(token), ways), quirks.named(quirk))


def connect(settings: EhrSettings, vault: Vault | None = None, pace: Pace | None = None) -> tuple[UserEhr, UserEhr]:
    """A reader and a writer of one EHR; nothing is asked before it is needed. Processes with one vault share one token."""
    http = httpx2.Client(timeout=TIMEOUT)
    token = None
    if settings.key or settings.secret_env or settings.secret_file:
        token = BackendToken(_credentials(settings), TokenPlace(settings, http), http, vault)
    client = FhirClient(settings.url, http, token, Ways.named(settings.gathering), pace)
    ehr = UserEhr(client, quirks.named(settings.quirks), settings.triggers)
    return ehr, ehr


def _credentials(settings: EhrSettings) -> Credentials:
    return Credentials(
        client_id=settings.client_id,
        key=settings.key,
        key_id=settings.key_id,
        scopes=settings.scopes,
        more_keys=settings.more_keys,
        secret_env=settings.secret_env,
        secret_file=settings.secret_file,
    )


class TokenPlace:
    """Where one EHR gives tokens: as it was set, else as the EHR says, asked once."""

    def __init__(self, settings: EhrSettings, http: httpx2.Client) -> None:
        self.ehr, self._url, self._http = settings.url, settings.token_url, http

    def __call__(self) -> str:
        """The address."""
        self._url = self._url or token_endpoint(self.ehr, self._http)
        return self._url


def token_endpoint(url: str, http: httpx2.Client) -> str:
    """Where this EHR gives tokens."""
    try:
        answer = small(
            http,
            "GET",
            f"{url.rstrip('/')}/.well-known/smart-configuration",
            headers={"Accept": "application/json", "Accept-Encoding": ENCODINGS},
        )
    except httpx2.HTTPError as error:
        raise EhrUnavailable(f"the EHR does not answer ({type(error).__name__})") from None
    if (
        answer.status_code in {302, 303, 307, 429}
        or answer.status_code >= 500
        or (answer.status_code == 200 and is_page(answer))
    ):
        raise EhrUnavailable(f"the EHR answered {answer.status_code} to smart-configuration, without one")
    if answer.status_code != 200:
        raise NotThere(
            f"the EHR has no .well-known/smart-configuration ({answer.status_code})",
            fix="set FHIR_BILLING_EHR_TOKEN_URL",
        )
    try:
        found = loads(answer.content)
    except MalformedResource:
        found = None
    if not isinstance(found, dict) or not str(found.get("token_endpoint", "")).startswith("http"):
        raise EhrBrokeContract(
            "the EHR's smart-configuration names no token endpoint", fix="set FHIR_BILLING_EHR_TOKEN_URL"
        )
    return str(found["token_endpoint"])
