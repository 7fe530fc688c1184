"""What the EHR granted is obeyed, in its first and in its second spelling."""

from __future__ import annotations

import pytest

from smart_app.launch.session import may


@pytest.mark.parametrize(
    ("scope", "permission", "granted"),
    [
        ("patient/*.read", "Condition.r", True),
        ("patient/*.read", "Condition.s", True),
        ("patient/*.read", "Condition.c", False),
        ("patient/Condition.write", "Condition.u", True),
        ("patient/Condition.write", "Condition.r", False),
        ("user/*.*", "Coverage.d", True),
        ("patient/Condition.rs", "Condition.s", True),
        ("patient/Condition.rs", "Conditions.s", False),
        ("patient/Condition.cruds", "Condition.u", True),
        ("patient/Condition.s", "Condition.r", False),
        ("patient/Condition.rs?category=problem-list-item", "Condition.r", True),
        ("system/*.rs", "Condition.r", False),
        ("patient/Condition.", "Condition.r", False),
        ("patient/Condition.sr", "Condition.r", False),
        ("launch/patient", "Patient.r", False),
        ("patient/*.rs", "Condition", False),
        ("patient/*.rs", "", False),
    ],
)
def test_a_scope_grants_what_it_says(scope: str, permission: str, granted: bool) -> None:
    assert may(frozenset({scope, "openid"}), permission) is granted
