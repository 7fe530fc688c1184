"""Every port meets its adapter here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx2

from fhir_billing import mapping_files, payers
from fhir_billing.apps import App, read_apps
from fhir_billing.code_tables import CodeDesk
from fhir_billing.cycle.conformance import Conformance, Interaction, dump, load
from fhir_billing.cycle.ports import Channel, Clock, EhrReader, EhrWriter, Vault
from fhir_billing.domain.errors import SecretMissing, SiteConfig, StoreMissing
from fhir_billing.doors import Door, UserChart, entered, read_doors
from fhir_billing.ehr import quirks, rungs, triggers
from fhir_billing.ehr.client_keys import named, public_keys
from fhir_billing.ehr.connect import TIMEOUT, Ehr, EhrSettings, UserEhr, connect, connect_as
from fhir_billing.ehr.pace import Limits, LocalPace, Pace
from fhir_billing.ehr.pace_redis import RedisPace
from fhir_billing.ehr.smart import SmartClient
from fhir_billing.ehr.teller import Teller
from fhir_billing.ehr.ways import Ways
from fhir_billing.mapping.site import Site
from fhir_billing.payers import ChannelSettings
from fhir_billing.settings import Settings
from fhir_billing.store.habits import SqlHabits
from fhir_billing.store.sealing import Seal
from fhir_billing.store.store import SqlStore, open_store
from fhir_billing.store.vault_redis import RedisVault
from fhir_billing.store.vault_sql import SqlVault
from fhir_billing.store.views import SqlViews
from fhir_billing.tenants import Tenant, read_tenants

CHECKED = "conformance"
"""The store's mark under which the last check of the EHR is kept."""


class SystemClock:
    """The real time."""

    def now(self) -> datetime:
        """Aware, UTC."""
        return datetime.now(UTC)


@dataclass
class Wiring:
    """One installation, put together."""

    settings: Settings
    clock: Clock

    @cached_property
    def site(self) -> Site:
        """The site's mappings, payers and tables, compiled once."""
        return mapping_files.load(self.settings.site, self.settings.mappings)

    @cached_property
    def store(self) -> SqlStore:
        """The store; raises StoreMissing when it is not there or not migrated."""
        return open_store(self.settings.database_url)

    @cached_property
    def views(self) -> SqlViews:
        """What the screens read."""
        return SqlViews(self.store, self.site)

    @cached_property
    def codes(self) -> CodeDesk:
        """Where codes are looked for."""
        return CodeDesk(self.site, SqlHabits(self.store))

    @cached_property
    def channels(self) -> dict[str, Channel]:
        """One channel for each name that the site's payers use."""
        wanted = {profile.channel for profile in self.site.payers.values() if profile.channel}
        settings = ChannelSettings(root=self.settings.channels, scenario=self.settings.scenario, clock=self.clock)
        return {name: payers.channel(name, settings) for name in sorted(wanted)}

    @cached_property
    def ehr(self) -> tuple[EhrReader, EhrWriter] | None:
        """The EHR, when one is set up."""
        if not self.settings.ehr_url:
            return None
        run = None
        with suppress(StoreMissing):
            run = self.conformance
        settings = replace(self.ehr_settings, gathering=run.gathering if run else "")
        return connect(settings, self.vault if self.settings.session_secret else None, self.pace)

    @property
    def teller(self) -> Teller | None:
        """How the chart is told of claims; None without an EHR that speaks FHIR."""
        writer = self.ehr[1] if self.ehr else None
        if not isinstance(writer, Ehr):
            return None
        s = self.settings
        return Teller(
            client=writer.client, store=self.store, clock=self.clock, site=self.site, rung=s.ehr_rung, url=s.ehr_url
        )

    def check_words(self) -> None:
        """Raises SiteConfig where the settings name a trigger, quirk or rung that there is not: then nothing starts."""
        triggers.check(self.ehr_settings.triggers)
        quirks.named(self.settings.ehr_quirks)
        if self.settings.ehr_rung != "auto":
            rungs.named(self.settings.ehr_rung)

    @cached_property
    def pace(self) -> Pace:
        """How fast the EHR may be asked: by all processes together where there is Redis."""
        s = self.settings
        limits = Limits(at_once=s.ehr_at_once, per_second=s.ehr_per_second)
        return RedisPace(s.redis_url, s.tenant, s.ehr_url, limits) if s.redis_url else LocalPace(limits)

    @cached_property
    def doors(self) -> dict[str, Door]:
        """The EHRs that open our pages, by the name of their launch file."""
        return read_doors(self.settings.launches)

    @cached_property
    def vault(self) -> Vault:
        """What all processes share for a short time; raises SecretMissing when no session secret is set."""
        secret = self.settings.session_secret
        if self.settings.redis_url:
            return RedisVault(self.settings.redis_url, secret, self.settings.tenant)
        return SqlVault(self.settings.database_url, secret, self.clock.now)

    @cached_property
    def apps(self) -> dict[str, App]:
        """The apps that may read and follow claims, by the name of their file."""
        return read_apps(self.settings.apps)

    @cached_property
    def seal(self) -> Seal:
        """Seals what rests in the book and is nobody else's to read; raises SecretMissing when no session secret is set."""
        return Seal(self.settings.session_secret)

    @cached_property
    def smart(self) -> SmartClient:
        """The SMART sign-in."""
        return SmartClient()

    @cached_property
    def _user_http(self) -> httpx2.Client:
        return httpx2.Client(timeout=TIMEOUT, follow_redirects=False)

    @cached_property
    def _ways(self) -> dict[str, Ways]:
        """What is learned of the EHRs that open our pages: how they are asked with fewest requests."""
        return {}

    def chart_as(self, iss: str, token: str) -> UserChart:
        """The chart as a signed-in user may see it. Raises NotAllowed for an EHR without a launch file."""
        door = entered(self.doors, iss)
        return connect_as(door.iss, token, door.quirks, self._user_http, self._ways.setdefault(door.iss, Ways()))

    def check_ehr(
        self, *, writes: bool = False, patient: str = "", step: Callable[[int, int, Interaction], None] | None = None
    ) -> Conformance:
        """Try what the EHR can do; nothing is kept. Every failure is a row. Raises SiteConfig when no EHR is set up."""
        from fhir_billing.ehr.check import Wanted, check

        s = self.settings
        if not s.ehr_url:
            raise SiteConfig("no EHR is set up", fix="set FHIR_BILLING_EHR_URL, or name its address")
        wanted = Wanted(
            writes=writes,
            patient=patient,
            public_url=s.public_url,
            also=("hl7v2",) if s.mllp_listen else (),
            able=(("hl7v2", "send"),) if s.hl7_out else (),
        )
        return check(self.ehr_settings, wanted, self.clock.now(), step)

    @property
    def conformance(self) -> Conformance | None:
        """What the last check of the EHR found; None when none was kept."""
        return load(self.store.cursor(CHECKED))

    def keep_conformance(self, run: Conformance) -> Conformance:
        """Remember what a check found, and beside one that only read what probes had found before; what is remembered."""
        from fhir_billing.ehr.check.merging import merged

        kept = merged(self.conformance, run)
        self.store.set_cursor(CHECKED, dump(kept))
        return kept

    @property
    def own_chart(self) -> UserChart | None:
        """The chart as the billing service itself may read it, resource by resource; None when no EHR is set up."""
        reader = self.ehr[0] if self.ehr else None
        return reader if isinstance(reader, UserEhr) else None

    @property
    def public_keys(self) -> dict[str, Any]:
        """The public half of every key that we sign in with at an EHR, as a JWKS, each under the name that we sign with."""
        own = [(self.settings.ehr_key, self.settings.ehr_key_id), *map(named, self.ehr_settings.more_keys)]
        signing = [*own, *((d.key, d.key_id) for d in self.doors.values())]
        found: dict[str, dict[str, Any]] = {}
        for path, name in signing:
            for key in public_keys(path)["keys"] if path else ():
                found[name or key["kid"]] = {**key, "kid": name or key["kid"]}
        return {"keys": list(found.values())}

    @property
    def ehr_settings(self) -> EhrSettings:
        """What the EHR adapter needs to know."""
        s = self.settings
        return EhrSettings(
            url=s.ehr_url,
            client_id=s.ehr_client_id,
            key=s.ehr_key,
            key_id=s.ehr_key_id,
            token_url=s.ehr_token_url,
            scopes=s.ehr_scopes,
            quirks=s.ehr_quirks,
            triggers=_words(s.ehr_triggers),
            secret_env=s.ehr_secret_env,
            secret_file=s.ehr_secret_file,
            more_keys=tuple(map(Path, _words(s.ehr_more_keys))),
        )


def _words(text: str) -> tuple[str, ...]:
    """The words of a list with commas."""
    return tuple(filter(None, (word.strip() for word in text.split(","))))


def with_secret(wiring: Wiring) -> Wiring:
    """The same; raises SecretMissing where staff sign in and there is nothing to sign their cookies with."""
    if wiring.settings.oidc_issuer and not wiring.settings.session_secret:
        raise SecretMissing("FHIR_BILLING_SESSION_SECRET is not set", fix="make one with `openssl rand -base64 33`")
    return wiring


@dataclass
class Installation:
    """The tenants of one process, each with a Wiring of its own; one without a name where there is no folder of them."""

    shared: Settings
    clock: Clock
    tenants: Mapping[str, Tenant]
    _wired: dict[str, Wiring] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of their files."""
        return tuple(self.tenants) or ("",)

    @property
    def hosts(self) -> dict[str, str]:
        """Host → tenant."""
        return {tenant.host: name for name, tenant in self.tenants.items()}

    def __getitem__(self, name: str) -> Wiring:
        """One tenant, put together at the first time. Raises SecretMissing for a variable that its file names and nobody set."""
        if name not in self._wired:
            settings = self.tenants[name].settings(self.shared) if self.tenants else self.shared
            self._wired[name] = Wiring(settings=settings, clock=self.clock)
        return self._wired[name]


def install(settings: Settings | None = None, clock: Clock | None = None) -> Installation:
    """All tenants, or the one that is chosen. Raises SiteConfig for a tenant that there is not, TenantInvalid for a file."""
    shared = settings or Settings()
    tenants = read_tenants(shared.tenants) if shared.tenants else {}
    if tenants and shared.tenant:
        if shared.tenant not in tenants:
            raise SiteConfig(f"there is no tenant {shared.tenant!r}", fix=f"use one of {', '.join(tenants)}")
        tenants = {shared.tenant: tenants[shared.tenant]}
    return Installation(shared=shared, clock=clock or SystemClock(), tenants=tenants)


def wire(settings: Settings | None = None, clock: Clock | None = None) -> Wiring:
    """The tenant that is chosen, or the only one. Raises SiteConfig with their names where there are several."""
    found = install(settings, clock)
    if len(found.names) > 1:
        raise SiteConfig(
            f"this is about one tenant, and there are several: {', '.join(found.names)}",
            fix="choose one with `fhir-billing --tenant NAME …`, or FHIR_BILLING_TENANT",
        )
    return found[found.names[0]]
