"""One visit for its clinician: five words, no jargon."""
