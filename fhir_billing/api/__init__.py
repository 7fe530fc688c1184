"""The HTTP edge: doorbells from the EHR, files from payers, health; the desk is mounted beside it."""
