"""What identifies a patient prints as ▮▮▮, so a leak cannot be written by accident.

`reveal(purpose)` is the only way out, and says why.
"""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Phi(Generic[T]):
    """A value that names a patient: it has no text of its own."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "▮▮▮"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "▮▮▮"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Phi) and bool(self._value == other._value)

    def __hash__(self) -> int:
        return hash(self._value)

    def reveal(self, purpose: str) -> T:
        """The value itself, for a purpose that can be named (`837`, `statement`, `screen`)."""
        if not purpose:
            raise ValueError("say what the patient's data is needed for")
        return self._value
