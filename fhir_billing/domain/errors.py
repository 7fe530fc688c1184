"""An exception is a broken promise; a denial is not an exception.

Expected bad news is a value (`Finding`, `Acknowledgment`, a denied `Remittance`). What is raised is caught only at
the four edges (api, worker, smart_app, cli), which look at the class alone:

BillingError
├─ NotNow          try again later        EhrUnavailable · TokenRefused · ChannelUnavailable · RateLimited · Contended
├─ NotAllowed      refuse, and audit      ScopeMissing · SignInNeeded · OverrideNeedsReason
├─ NotThere        nothing of that name   ClaimNotFound · RemittanceNotFound · MessageNotFound
├─ NotAMove        the state forbids it   IllegalMove · StaleVersion
├─ TheirContract   keep, and show         MalformedInterchange · UnbalancedRemittance · EhrBrokeContract · MalformedResource
├─ OurContract     stop, and page         UnbalancedJournal · ControlNumberReused · ImpossibleState
└─ SiteConfig      stop at start-up       MappingInvalid · UnknownTradingPartner · SecretMissing · StoreMissing
"""

from __future__ import annotations


class BillingError(Exception):
    """Something we promised and could not do. `say` is fit for a person and never holds patient data."""

    code = "billing-error"
    issue_type = "processing"
    """FHIR OperationOutcome.issue.code."""

    def __init__(self, say: str, *, fix: str = "") -> None:
        super().__init__(f"{say}; {fix}" if fix else say)
        self.say = say
        self.fix = fix


class NotNow(BillingError):
    """The other side cannot be reached now; the same thing may work later."""

    code, issue_type = "not-now", "transient"


class EhrUnavailable(NotNow):
    """The EHR did not answer, or answered 5xx."""

    code = "ehr-unavailable"


class TokenRefused(NotNow):
    """The EHR gives us no token, or takes none: that says nothing of what was asked for, and ends when somebody mends it."""

    code = "token-refused"


class ChannelUnavailable(NotNow):
    """The payer's channel did not take or give a file."""

    code = "channel-unavailable"


class RateLimited(NotNow):
    """The other side asked us to slow down. `retry_after` is in seconds."""

    code, issue_type = "rate-limited", "throttled"

    def __init__(self, say: str, *, retry_after: int = 60, fix: str = "") -> None:
        super().__init__(say, fix=fix)
        self.retry_after = retry_after


class Contended(NotNow):
    """Two writers met; the later one tries again."""

    code, issue_type = "contended", "lock-error"


class NotAllowed(BillingError):
    """The caller has no right to this."""

    code, issue_type = "not-allowed", "forbidden"


class ScopeMissing(NotAllowed):
    """The EHR granted fewer scopes than this needs."""

    code = "scope-missing"


class SignInNeeded(NotAllowed):
    """Nobody is signed in."""

    code, issue_type = "sign-in-needed", "login"


class OverrideNeedsReason(NotAllowed):
    """A person may overrule a finding, but must say why."""

    code = "override-needs-reason"


class NotThere(BillingError):
    """There is nothing of that name."""

    code, issue_type = "not-there", "not-found"


class ClaimNotFound(NotThere):
    """No claim has this number."""

    code = "claim-not-found"


class RemittanceNotFound(NotThere):
    """No remittance has this number."""

    code = "remittance-not-found"


class MessageNotFound(NotThere):
    """No inbox message has this number."""

    code = "message-not-found"


class NotAMove(BillingError):
    """The state of the thing forbids what was asked."""

    code, issue_type = "not-a-move", "conflict"


class IllegalMove(NotAMove):
    """A move of our own that the lifecycle does not know from this state."""

    code = "illegal-move"


class StaleVersion(NotAMove):
    """Somebody else saved first."""

    code = "stale-version"


class TheirContract(BillingError):
    """What came from outside breaks its own rules: it is kept and shown, and changes nothing."""

    code, issue_type = "their-contract", "invalid"


class MalformedInterchange(TheirContract):
    """X12 that cannot be read."""

    code = "malformed-interchange"


class UnbalancedRemittance(TheirContract):
    """An 835 whose sums fail."""

    code = "unbalanced-remittance"


class EhrBrokeContract(TheirContract):
    """The EHR answered something that FHIR does not allow, or not what was asked for."""

    code = "ehr-broke-contract"


class MalformedResource(TheirContract):
    """JSON that is not the FHIR resource it should be."""

    code, issue_type = "malformed-resource", "structure"


class OurContract(BillingError):
    """A fault of ours."""

    code, issue_type = "our-contract", "exception"


class UnbalancedJournal(OurContract):
    """A journal that does not sum to zero cannot exist."""

    code = "unbalanced-journal"


class ControlNumberReused(OurContract):
    """A control number was about to leave a second time."""

    code = "control-number-reused"


class ImpossibleState(OurContract):
    """A state that no sequence of moves can reach."""

    code = "impossible-state"


class SiteConfig(BillingError):
    """The site's own files are wrong; nothing starts until they are mended."""

    code, issue_type = "site-config", "business-rule"


class MappingInvalid(SiteConfig):
    """A mapping file that cannot be used."""

    code = "mapping-invalid"


class UnknownTradingPartner(SiteConfig):
    """A payer for which the site has no file."""

    code = "unknown-trading-partner"


class SecretMissing(SiteConfig):
    """A key or password that is needed is not set."""

    code = "secret-missing"


class StoreMissing(SiteConfig):
    """The database is not there, or not migrated."""

    code = "store-missing"
