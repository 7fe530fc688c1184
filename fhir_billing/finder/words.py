"""Two people write one word differently: plural, accent, British spelling, an apostrophe. Here it becomes one word.

Table and question go through the same door, so what is folded too far on one side is folded too far on the other.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

LONGEST: Final = 200
"""Characters of a question that are read: nobody types more to find a code."""
_WORD: Final = re.compile(r"[a-z0-9]+")
_IN_BRACKETS: Final = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_SILENT: Final = frozenset(
    {"of", "the", "and", "or", "in", "to", "a", "an", "for", "by", "on", "at", "with", "is", "my"}
)
WEIGHTLESS: Final = {
    "without": 0.02, "uncomplicated": 0.02, "complication": 0.02, "initial": 0.02, "encounter": 0.02, "type": 0.02, "nos": 0.02,
    "unspecified": 0.05, "not": 0.05, "due": 0.05, "site": 0.05, "closed": 0.05, "elsewhere": 0.05, "classified": 0.05, "nec": 0.05,
    "other": 0.15, "specified": 0.15, "unilateral": 0.1, "primary": 0.15, "organism": 0.1,
}  # fmt: skip
"""Words of titles that nobody types, and how much they weigh: a title is hardly less meant because it has them."""


def words(text: str) -> tuple[str, ...]:
    """The words of a text, folded.

    >>> words("Fractures of the left tibia, Alzheimer’s (NOS)")
    ('fracture', 'left', 'tibia', 'alzheimer', 'nos')
    """
    plain = text.lower() if text.isascii() else _unaccented(text)
    found = _WORD.findall(plain.replace("'s", ""))
    return tuple(_fold(word) for word in found if word not in _SILENT)


def asked(text: str) -> tuple[str, ...]:
    """The words of a question; where it has only little words, those."""
    text = text[:LONGEST]
    return words(text)[:12] or tuple(_WORD.findall(text.casefold()))[:12]


def outside_brackets(text: str) -> str:
    """A title without what stands in brackets: in ICD-10-CM such words may be there or not, and the code stays the same.

    >>> outside_brackets("Hypertension (arterial) (benign) (essential)")
    'Hypertension   '
    """
    return _IN_BRACKETS.sub("", text)


def _unaccented(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.replace("’", "'")).casefold()
    return "".join(c for c in plain if not unicodedata.combining(c))


@lru_cache(maxsize=20_000)
def _fold(word: str) -> str:
    """One word for all its spellings.

    >>> [_fold(w) for w in ("anaemia", "allergies", "toes", "abscess", "pelvis", "oedema")]
    ['anemia', 'allergy', 'toe', 'abscess', 'pelvis', 'edema']
    """
    if len(word) > 3:
        if word.endswith("ies"):
            word = word[:-3] + "y"
        elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
            word = word[:-1]
        if len(word) > 3:
            word = word.replace("ae", "e").replace("oe", "e").replace("tumour", "tumor")
    return word
