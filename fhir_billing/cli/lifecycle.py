"""`lifecycle`: the table of states and moves as a Mermaid picture."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """No options."""


def run(args: argparse.Namespace) -> int:
    """Print the picture."""
    from fhir_billing.domain.lifecycle import mermaid

    print(mermaid(), end="")
    return 0
