# Each command works from a clean clone with Python 3.11 or newer and make. ARGS is passed on:
#   make test ARGS="tests/runs -k outbox"      make run ARGS="--port 9000"

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
WORKERS ?= 2
BUILD ?= build
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all:
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command "make lock" --constraints constraints.txt
BASE_TAG = $(shell sed -n 's/^ARG BASE=\([^@]*\).*/\1/p' Dockerfile)
DATABASE_SUITES := tests/web tests/runs tests/registry tests/schemas tests/federated tests/executions tests/orchestrator_api

# The checks need settings as production has them; these hold no secret and no data.
CHECK_ENV := SECRET_KEY=only-for-the-checks-0123456789-abcdefghijklmnopqrstuvwxyz ALLOWED_HOSTS=orchestrator.example \
	DATA_DIR=$(VENV)/check-data

.PHONY: venv demo run admin-password test test-postgres test-kubernetes chaos test-kafka test-image test-argo check format golden configuration bench lock image sbom image-digest clean

venv: $(VENV)/.installed

$(VENV)/.python:
	@echo "Installing into $(VENV), on first use only."
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with its venv module is needed (set PYTHON=...)."; exit 1; }
	@echo "1. A virtual environment of $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# What the service and the demo need, and on top of it what tests and checks need: only files whose hashes stand in the
# lock files, and no source archives, which would run and fetch what they please while they are built.
$(VENV)/.installed-service: requirements.lock | $(VENV)/.python
	@echo "2. The service's packages (a minute or so)"
	@$(PIP_INSTALL) -r requirements.lock
	@touch $@

$(VENV)/.installed: requirements-dev.lock $(VENV)/.installed-service
	@echo "3. The packages of tests and checks (half a minute or so)"
	@$(PIP_INSTALL) -r requirements-dev.lock
	@touch $@

demo: $(VENV)/.installed-service
	@$(BIN)/python -m usage_scripts.demo $(ARGS)

run: $(VENV)/.installed-service
	@exec $(BIN)/python -m orchestrator_api.standalone $(ARGS)

admin-password: $(VENV)/.installed-service
	@$(BIN)/python -m orchestrator_api.standalone --manage changepassword admin

# Deletes all rows and files, after it has asked; the service must not run. make clear-data ARGS="--tables" takes the tables too.
clear-data: $(VENV)/.installed-service
	@$(BIN)/python -m orchestrator_api.standalone --manage clear_data $(ARGS)
.PHONY: clear-data

test: $(VENV)/.installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

# The suites that touch the database, on a PostgreSQL of their own.
test-postgres: $(VENV)/.installed
	tests/postgres.sh $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(DATABASE_SUITES) $(ARGS)

# With a Kubernetes API server of their own. The faults have all of the machine, once more and larger, on PostgreSQL.
test-kubernetes: $(VENV)/.installed
	tests/services/kubernetes.sh
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m kubernetes $(ARGS)
	tests/postgres.sh $(BIN)/python -m pytest -m kubernetes -s tests/chaos/test_schedule.py $(ARGS)

# More of the same faults: make chaos ARGS="--chaos-runs 5000 --chaos-seed 7"
chaos: $(VENV)/.installed
	tests/services/kubernetes.sh
	tests/postgres.sh $(BIN)/python -m pytest -m kubernetes -s tests/chaos/test_schedule.py --chaos-runs 2000 $(ARGS)

# With a Kafka broker of their own.
test-kafka: $(VENV)/.installed
	tests/services/kafka.sh
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m kafka $(ARGS)

# The four images, built and run against each other by podman, as root: minutes the first time.
test-image: $(VENV)/.installed
	$(BIN)/python -m pytest -m image $(ARGS)

# Against a live Argo, which KUBECONFIG names: the contract of engines, then the demo with both joint pipelines, for which
# its nodes need the images and a way to this machine, and Argo an artifact repository:
# make test-argo DEMO="--host 0.0.0.0 --announce 10.0.0.7"
test-argo: $(VENV)/.installed
	$(BIN)/python -m pytest -m argo $(ARGS)
	ENGINE=argo $(BIN)/python -m usage_scripts.demo --joint $(DEMO)

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(CHECK_ENV) $(BIN)/mypy
	$(BIN)/lint-imports
	$(CHECK_ENV) $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(CHECK_ENV) $(BIN)/python manage.py makemigrations --check --dry-run

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

golden: $(VENV)/.installed
	$(BIN)/python -m templates.build
	GOLDEN=write $(BIN)/python -m pytest -q tests/executions tests/templates

# The tables of docs/reference/configuration.md, from orchestrator_api/environment/table.py.
configuration: $(VENV)/.installed-service
	$(BIN)/python -m orchestrator_api.environment.page

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks.measure --with-kfp $(ARGS)
	$(BIN)/python -m benchmarks.confinement
	tests/services/kubernetes.sh
	$(BIN)/python -m benchmarks.scale
	tests/services/kafka.sh
	$(BIN)/python -m benchmarks.federated --clients 2 8 32

# After a change of requirements*.txt, deploy/image/*.txt or constraints.txt: the same versions, each with the hashes of all
# its files. requirements.lock has everything; the images' locks have what their own programs import. The service's lock
# leaves out what only the asyncio twin of Kubernetes' client needs.
IMAGE_LISTS := $(foreach image,processor-resource-manager federated-learning-manager sample-ai-engine,deploy/image/$(image).txt)
LEFT_OUT := $(foreach package,aiohappyeyeballs aiohttp aiosignal frozenlist multidict propcache yarl,--no-emit-package $(package))
lock: $(VENV)/.installed
	$(LOCK) --output-file requirements.lock requirements.txt requirements-demo.txt $(IMAGE_LISTS)
	$(LOCK) --output-file requirements-dev.lock requirements.txt requirements-demo.txt $(IMAGE_LISTS) requirements-dev.txt
	$(LOCK) $(LEFT_OUT) --output-file deploy/image/orchestrator.lock requirements.txt
	for list in $(IMAGE_LISTS); do $(LOCK) --output-file $${list%.txt}.lock $$list || exit 1; done

# The four images, with docker's daemon, podman or buildah, whichever is there; BUILDER names one, with options of its own.
#   make image REGISTRY=registry.example              make image IMAGES="orchestrator sample-ai-engine"
#   make image BUILDER=buildah BASE=localhost/python  (deploy/image/debian-base makes a base where no registry is reached)
BUILDER ?=
BASE ?=
REGISTRY ?=
IMAGES ?=
BUILD_OPTIONS ?=
image:
	@$(PYTHON) deploy/image/build.py --builder "$(BUILDER)" --base "$(BASE)" --registry "$(REGISTRY)" \
		--options="$(BUILD_OPTIONS)" $(IMAGES)

# What the images are made of, package by package, as CycloneDX JSON: build/sbom.json.
sbom: $(VENV)/.installed
	@mkdir -p $(BUILD)
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --output-format JSON \
		--output-file $(BUILD)/sbom.json requirements.lock

# The digest that the registry gives the base image's tag today, for BASE in the Dockerfile.
image-digest:
	@docker buildx imagetools inspect $(BASE_TAG) --format '{{.Manifest.Digest}}'

clean:
	rm -rf $(VENV)
