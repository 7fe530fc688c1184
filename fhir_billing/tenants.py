"""Several EHRs live in one installation, each in a house of its own: one tenant file, one chart, one book, one address."""
