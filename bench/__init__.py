"""A number without an equal result is noise: each bench first proves that both sides found the same."""
