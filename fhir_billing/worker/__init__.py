"""The beat: it knows when, never what."""
