"""The demo is the product itself, run once against a sandbox EHR and the payer simulator, all of it on this machine."""
