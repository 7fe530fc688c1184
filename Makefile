# Two commands for a newcomer: `make demo` and `make test`. Each does all of its own set-up.
# The others: make help

PYTHON ?= python3
SERVE  ?= 1
PORT   ?=
BIN    := .venv/bin
PY     := $(BIN)/python
STAMPS := .make

CODE := fhir_billing smart_app tests tools $(wildcard bench examples)

export SERVE PORT
.DEFAULT_GOAL := help
.PHONY: help setup demo test check fix bench new docs screenshots campaign size pins packages clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|'

# ---- set-up: every step leaves a stamp, so a second call is done at once ----------------------

setup: $(STAMPS)/run $(STAMPS)/assets $(STAMPS)/codes $(STAMPS)/sandbox ## what the product and the demo need
	@:

$(STAMPS)/run: requirements/build.txt requirements/run.txt pyproject.toml tools/setup.sh
	@PYTHON=$(PYTHON) tools/setup.sh run

$(STAMPS)/test: requirements/test.txt $(STAMPS)/run
	@tools/setup.sh test

$(STAMPS)/assets: tools/assets.py tools/frontend/package-lock.json requirements/assets.txt requirements/node.txt $(wildcard smart_app/static/icons.txt) $(STAMPS)/run
	@tools/setup.sh assets

$(STAMPS)/codes: tools/codes.py requirements/codes.txt $(wildcard fhir_billing/finder/table.py fhir_billing/finder/words.py) $(STAMPS)/run
	@tools/setup.sh codes

$(STAMPS)/sandbox: tests/peers/pins/sekmet.txt tests/peers/common.sh $(STAMPS)/run
	@tools/setup.sh sandbox

packages: ## Debian's redis-server, postgresql and chromium, when root; otherwise says what is missing
	@tools/setup.sh packages

# ---- the two commands --------------------------------------------------------------------------

demo: setup ## a visit closes, a claim leaves, money arrives, the EHR knows (SERVE=0 ends there; PORT=8000)
	@$(PY) -m fhir_billing.demo

test: setup $(STAMPS)/test packages check ## everything that has to be true
	@tools/tests.sh

# ---- every day ---------------------------------------------------------------------------------

check: $(STAMPS)/run $(STAMPS)/test ## format, lint, types, import contracts, generated docs
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(PY) -m tools.docs --check

fix: $(STAMPS)/test ## format, and mend what ruff can mend
	$(BIN)/ruff check --fix-only $(CODE)
	$(BIN)/ruff format $(CODE)

docs: $(STAMPS)/test ## write the generated pages again
	$(PY) -m tools.docs

bench: $(STAMPS)/test ## equal first, then timed; bench/latest.json
	$(PY) -m bench

new: $(STAMPS)/run ## make new edit=timely-filing: a claim edit with examples
	@$(PY) -m tools.new $(if $(edit),edit $(edit))

screenshots: setup $(STAMPS)/test packages ## the pictures of the README, from the running demo
	$(PY) -m tools.screenshots
	$(PY) -m tools.contact_sheet

campaign: setup $(STAMPS)/test packages ## the long forms: make campaign EXAMPLES=20000 CLOSES=2000 SEEDS=7,8,9; the report is var/campaign.txt
	@mkdir -p var && : > var/campaign.txt && rm -f .cache/campaign/*.json
	HYPOTHESIS_PROFILE=campaign CAMPAIGN_EXAMPLES=$(or $(EXAMPLES),5000) $(BIN)/pytest -q tests/property 2>&1 | tee -a var/campaign.txt
	CAMPAIGN_VISITS=160 CAMPAIGN_KILLS=40 CAMPAIGN_CLOSES=$(or $(CLOSES),2000) CAMPAIGN_SEEDS=$(or $(SEEDS),7) $(BIN)/pytest -q tests/fault 2>&1 | tee -a var/campaign.txt
	CAMPAIGN_TABS=$(or $(TABS),40) CAMPAIGN_CHARTS=$(or $(TABS),40) $(BIN)/pytest -q tests/e2e/test_launch_in_a_frame.py tests/attacks/test_many_charts.py 2>&1 | tee -a var/campaign.txt
	@cat .cache/campaign/charts.json .cache/campaign/faults.json | tee -a var/campaign.txt
	@! grep -E '^(FAILED|ERROR)' var/campaign.txt && [ $$(grep -cE '^[0-9]+ passed' var/campaign.txt) = 3 ]

size: $(STAMPS)/run ## modules over 300 lines, functions over 40, more than five parameters
	@$(PY) -m tools.size

pins: ## newest versions that agree, with hashes (needs the network)
	@tools/setup.sh pins

clean: ## forget all that set-up made
	rm -rf .venv .make .cache .demo run-peers smart_app/static/vendor fhir_billing/finder/vendor
