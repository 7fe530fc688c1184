"""The EHR opens our pages from a chart: sign-in, session, and its end."""
