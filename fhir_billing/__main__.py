"""`python -m fhir_billing` is the command line, for machines where the script is not on the path."""

import sys

from fhir_billing.cli import main

if __name__ == "__main__":
    sys.exit(main())
