"""An extension is one new file and no edit elsewhere; `make new edit=timely-filing` writes the file with its examples."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EDIT = '''"""One sentence, true of the world: why a payer refuses a claim like this.

Spec: where it is written.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.examples import a_claim
from fhir_billing.domain.finding import Context, Finding, Owner, blocking, blocks, edit, passes


@edit("{key}", fix_by=Owner.BILLER)
def {name}(claim: Claim, context: Context) -> Iterator[Finding]:
    """The same sentence in the biller's words: it titles this edit's page."""
    if not claim.lines:
        yield blocking("What is wrong, in plain words.", at="Claim.item", fix="What to do.")


EXAMPLES = [
    passes(a_claim(), today="2026-02-01"),
    blocks(a_claim(lines=()), today="2026-02-01"),
]
'''


def main(words: list[str]) -> int:
    """Write the file, unless it is there; say what to do next."""
    if len(words) != 2 or words[0] != "edit" or not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", words[1]):
        print("usage: make new edit=timely-filing   (lower case, words joined by -)", file=sys.stderr)
        return 2
    key = words[1]
    path = ROOT / "fhir_billing" / "edits" / f"{key.replace('-', '_')}.py"
    if path.exists():
        print(f"{path.relative_to(ROOT)} is there already", file=sys.stderr)
        return 1
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(EDIT.format(key=key, name=path.stem), encoding="utf-8")
    print(f"{path.relative_to(ROOT)}: write the sentence, the rule and the examples; then `make check` and `make docs`")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
