"""What is true of a visit's bill: nouns, states, ledger and errors, with no import but Python's own."""
