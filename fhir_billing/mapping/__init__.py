"""How a visit becomes a claim; the rules themselves are in /mappings. Pure: files are read by fhir_billing.mapping_files."""
