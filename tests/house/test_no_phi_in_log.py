"""A log is read by people who never treated the patient: nothing that names a patient is handed to it."""

from __future__ import annotations

import ast
import re

from tests.house.source import complaints, dotted, planted

LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "bind"}
PHI = re.compile(
    r"(^|_)(family|given|birth_date|birthdate|dob|member_id|ssn|phone|street|patient_name|subscriber_name)$"
)


def no_phi(node: ast.AST) -> str | None:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS):
        return None
    if not re.search(r"(^|[._])log(ger)?$", dotted(node.func.value)):
        return None
    for inside in (n for argument in [*node.args, *[k.value for k in node.keywords]] for n in ast.walk(argument)):
        name = inside.attr if isinstance(inside, ast.Attribute) else inside.id if isinstance(inside, ast.Name) else ""
        if name == "reveal" or PHI.search(name):
            return f"{dotted(node.func)}(… {name} …)"
    return None


def test_no_log_line_names_a_patient() -> None:
    assert complaints(no_phi) == []


def test_the_rule_finds_what_it_looks_for() -> None:
    assert planted(no_phi, "log.info('seen', who=patient.family)") and planted(no_phi, "self.log.error(p.reveal('x'))")
    assert not planted(no_phi, "log.info('seen', claim=claim.id)")
