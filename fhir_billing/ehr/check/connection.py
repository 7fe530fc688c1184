"""First an EHR is asked what it is and where it gives tokens; then a token is had, and the scopes that it really grants are kept.

Spec: FHIR R4 CapabilityStatement; SMART App Launch 2.2 `.well-known/smart-configuration`, Backend Services.
"""

from __future__ import annotations

from fhir_billing.cycle.conformance import Found
from fhir_billing.domain.errors import BillingError, EhrUnavailable, NotAllowed, TokenRefused
from fhir_billing.ehr.check.asking import Answer, Bench, Try, Verdict, missing, not_tried, partly, works
from fhir_billing.ehr.check.statement import Statement

GROUP = "connection"
REGISTER = "register our client id and key at the EHR, with these scopes"
ELSEWHERE = "the address may lack its last part, such as /fhir or /fhir/R4: give the one beneath which metadata lies"


def tries(
    statement: Answer, smart: Answer, asked: frozenset[str], broken: BillingError | None, *, named: bool = True
) -> tuple[Try, ...]:
    """What was answered to the first two questions, and the token. `broken`: why no token could even be asked for.

    `named`: whether a key is told by the name that it has at the EHR, where there is one.
    """
    return (
        Try(
            key="metadata",
            group=GROUP,
            what="It says what it is",
            attempt=lambda bench: _metadata(statement, bench.statement),
            instead="everything is found out by trying",
        ),
        Try(
            key="smart-configuration",
            group=GROUP,
            what="It says where tokens are had",
            attempt=lambda _: _smart(smart),
            instead="the token address is set by hand (token_url)",
        ),
        Try(
            key="token",
            group=GROUP,
            what="It gives us a token with the scopes that we ask for",
            attempt=lambda bench: _token(bench, asked, broken),
            instead=REGISTER if named else f"{REGISTER}, or give the name under which it is registered: --key-id",
        ),
    )


def _metadata(answer: Answer, statement: Statement) -> Verdict:
    if not answer.status:
        return missing("it does not answer")
    if answer.status == 404:
        return missing(answer.refusal().say, ELSEWHERE)
    if not answer.is_a("CapabilityStatement"):
        return answer.refusal()
    if not statement.fhir_version.startswith("4."):
        return partly(f"FHIR {statement.fhir_version or 'without a version'}; we read R4")
    return works(f"{statement.software or 'no name'}, FHIR {statement.fhir_version}")


def _smart(answer: Answer) -> Verdict:
    if not answer.status:
        return missing("it does not answer")
    if not answer.is_good:
        return answer.refusal()
    if not str(answer.body.get("token_endpoint", "")).startswith("http"):
        return missing("it names no token endpoint")
    return works("it names its token endpoint")


def _token(bench: Bench, asked: frozenset[str], broken: BillingError | None) -> Verdict:
    bench.facts["token"] = "none"  # noqa: S105 - a word, taken back once there is one
    if broken is not None:
        return missing(broken.say)
    try:
        granted = bench.client.sign_in()
    except (NotAllowed, TokenRefused) as error:
        return Verdict(found=Found.FORBIDDEN, say=error.say)
    except EhrUnavailable:
        raise
    except BillingError as error:
        return missing(error.say)
    del bench.facts["token"]
    if not asked:
        return not_tried("no key and no secret is set: it is asked without a token")
    bench.facts["granted"] = " ".join(sorted(granted))
    lacking = sorted(asked - granted)
    if lacking and granted:
        return partly(f"asked {' '.join(lacking)}, granted {bench.facts['granted']}", "what was granted is used")
    return works(f"granted {bench.facts['granted'] or 'without a word on scopes'}")
