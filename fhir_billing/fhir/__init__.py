"""How EHRs and new payers speak: FHIR resources to and from the domain."""
