"""A visit that closed is money somebody owes; this package sees that it is asked for, paid and told."""

__all__ = ["__version__"]

__version__ = "0.1.0"
