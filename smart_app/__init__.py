"""Two people look at a bill: the clinician who made the visit and the biller who collects it."""
