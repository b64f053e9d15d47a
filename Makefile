# `make help` lists what can be made. Recipes call scripts and `python -m infra`; CI calls these same targets.
SHELL := bash
.DEFAULT_GOAL := help
env := .stagemaker/env
infra := $(env)/client/bin/python -m infra
target := --target $(or $(TARGET),local)
# Builds images for a stack in containers: AWS has those that were pushed, and processes need none.
images = [ "$(TARGET)" = aws ] || scripts/runs-as-processes || scripts/build
# A file of tests at a time on each worker: they mostly wait, for LocalStack, containers and each other's processes.
pytest = -m pytest --dist loadfile --numprocesses
export ASK BEST COMPARE CURVE DATA DIRTY DOCKER ENDPOINT FORM FUNCTION_URL GROUP HOURS IMAGE JOBS KEEP MINUTES ONLY ORIGIN OUT OVER_BUDGET PARALLEL PEERS PORT PRESET PROVISIONED \
	PYTHON RATE REGISTRY_PORT RESERVED ROLE SEED SYSTEM TARGET THROUGH YES

.PHONY: help demo rehearse data start stop up down notebook status logs plan bootstrap destroy build train tune ec2-train deploy deploy-local invoke load \
	load-systems policy explain push test test-unit test-contract test-ec2 test-gpu test-aws test-clients test-notebook test-moto test-arm64 test-e2e test-containers \
	chaos bench bench-compare bench-page bench-serve bench-gpu bench-train bench-tune lint \
	format lock setup clean

help: ## This list
	@awk -F ':.*## ' '/^##@ / {print "\n" substr($$0, 5)} /^[a-z0-9-]+:.*## / { \
		if (length($$2) > 80) sub(/ \(/, sprintf("\n%23s(", ""), $$2); printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Run: the stack on this machine (DOCKER=1: in containers; PORT=4566)

demo: ## Train, deploy and call a real model, then delete everything (DATA=<folder> of train/ valid/ test/, KEEP=1, DOCKER=1)
	@scripts/setup
	@exec $(infra) demo

rehearse: ## Play a system from empty to clean, and write a page (PRESET=a to e or <file>, DATA=<folder>, DOCKER=1)
	@scripts/setup
	@exec $(infra) rehearse

start: ## Start LocalStack with the plugin on 127.0.0.1:$PORT
	@scripts/setup
	@exec $(infra) start

stop: ## Stop what `make start` or `KEEP=1 make demo` left running
	@scripts/setup client
	@$(infra) stop

up: ## Start the stack in containers on 127.0.0.1:$PORT, and wait until it is healthy
	@scripts/setup client
	@exec $(infra) start --docker

down: ## Remove the stack's containers, with all that they started, networks and volumes
	@scripts/setup client
	@$(infra) stop --docker

notebook: ## Serve notebooks/ in JupyterLab, and print its address (NOTEBOOK_PORT=8888; with PRESET or TARGET=aws: that deployment's)
	@if [ -z "$(PRESET)$(filter aws,$(TARGET))" ]; then scripts/notebook; else scripts/setup client && $(infra) notebook $(target); fi

status: ## Say whether the stack runs, as processes or in containers, and how to talk to it
	@scripts/setup client
	@$(infra) status $(target)

logs: ## Follow the log of the stack, as processes or in containers
	@scripts/setup client
	@exec $(infra) logs $(target)

##@ Deploy: the workload on the running stack (PRESET=a to e or <file>; DATA=<folder>; TARGET=aws: docs/aws.md)

plan: ## Show what `make deploy` would change and cost on AWS, and change nothing (HOURS=0.5: a training job's)
	@scripts/setup client
	@$(infra) plan $(target)

train: ## Train, and no more (BEST=1: with what `make tune` found)
	@scripts/setup client
	@$(images) trainer
	@exec $(infra) train $(target)

tune: ## Search for the best hyperparameters, and draw what was found (JOBS=10 PARALLEL=3; then make train BEST=1)
	@scripts/setup client
	@$(images) trainer
	@exec $(infra) tune $(target)

ec2-train: ## Train on an EC2 host that ends itself, with the trainer that `make push` put into ECR (PRESET=b, DETACH=1)
	@scripts/setup client
	@exec $(infra) ec2-train $(target)

deploy: ## Make bucket, roles, models, endpoints and function (trains if need be; a second run changes nothing)
	@scripts/setup client
	@$(images) trainer serve lambda $(if $(shell grep -sl '^\[notebook\]' "presets/$$(tr A-Z a-z <<< '$(PRESET)').toml" '$(PRESET)'),notebook)
	@exec $(infra) deploy $(target)

deploy-local: deploy ## The same, by its earlier name

bootstrap: ## The same without a look at the images, by its earlier name
	@scripts/setup client
	@$(infra).bootstrap up $(target)

invoke: ## Ask the endpoint what is in a photo (IMAGE=<file>; PRESET or ENDPOINT says which endpoint)
	@scripts/setup client
	@$(infra) invoke $(target)

load: ## Load the endpoint, and draw what came of it (CURVE=step:2,10@60 or RATE=5, SECONDS=60, SYSTEM=A to E, COMPARE=1, THROUGH=function or url, PRESET or ENDPOINT)
	@scripts/setup client
	@$(infra) load $(target) $(if $(SECONDS),--seconds $(SECONDS))

load-systems: ## Load as each of the five systems scaled, and write a page for each (40 minutes; ONLY="A D" OUT=<folder>)
	@scripts/load-systems

policy: ## Write the smallest policy that allows what a role was seen to do (ROLE=<role>, FORM=template or table, GROUP='train-*', OUT=<file>)
	@scripts/setup client
	@$(infra) policy

explain: ## Say what each role of a deployment may do and why (ROLE=training, PRESET=c)
	@scripts/setup client
	@$(infra) explain

destroy: ## Delete everything that `make deploy` made (TARGET=aws asks before data is lost; YES=1: it does not)
	@scripts/setup client
	@exec $(infra) destroy $(target)

build: ## Build the images (stagemaker/localstack, lambda, serve, trainer, serve-gpu)
	@scripts/build

push: ## Push the images to ECR by their commit (TARGET=local or aws, NAMES="serve lambda" for some, DIRTY=1 before a commit)
	@scripts/setup client
	@$(infra) push --build $(target) $(NAMES)

##@ Test

test: lint test-unit test-contract test-e2e test-containers ## Every check and test, from a clean checkout

test-unit: ## Unit tests: no I/O beyond a temporary folder and loopback
	@scripts/setup dev plugin-dev plugin trainer serve lambda client
	$(env)/dev/bin/python $(pytest) 2 tests/unit --ignore tests/unit/plugin
	$(env)/plugin-dev/bin/python $(pytest) 2 tests/unit/plugin

test-contract: ## Contract tests: every runtime, every response, a real LocalStack
	@scripts/setup plugin-dev plugin trainer serve lambda client
	@! scripts/has-docker || scripts/build lambda ec2-host
	$(env)/plugin-dev/bin/python $(pytest) 3 tests/contract tests/aws tests/clients/test_plain_clients.py

test-ec2: ## The contract tests of EC2 hosts and of ec2-train alone: instances, user data, spot, launch templates (needs Docker)
	@scripts/setup plugin-dev plugin client
	@scripts/build ec2-host
	$(env)/plugin-dev/bin/python $(pytest) 2 tests/contract/test_ec2_*.py

test-gpu: ## Training, NCCL, serving and a full memory on a CUDA device (without one they are skipped; DEVICE=cpu: what can run on a CPU)
	@scripts/setup dev
	$(env)/dev/bin/python -m pytest -rs tests/gpu

test-aws: ## Deploy every preset through the pretended AWS, each request judged by the stage, botocore's models and moto (not in CI)
	@scripts/setup plugin-dev plugin trainer serve lambda client
	STAGEMAKER_EVERY_PRESET=1 $(env)/plugin-dev/bin/python -m pytest tests/aws/test_presets.py

test-clients: ## Every block of docs/clients.md by its client: both SDKs, MLflow, a notebook (installs 1.3 GB; not in CI)
	@scripts/setup plugin-dev plugin lambda client clients-sdk2 clients-sdk3
	$(env)/plugin-dev/bin/python $(pytest) 2 tests/clients --ignore-glob '*/test_notebook*.py'

test-notebook: ## Run notebooks/train_and_deploy.ipynb from top to bottom on a stack of processes (not in CI)
	@scripts/setup plugin-dev plugin trainer serve lambda client notebook
	@! scripts/has-docker || scripts/build notebook
	$(env)/plugin-dev/bin/python -m pytest tests/clients/test_notebook.py tests/clients/test_notebook_instance.py

test-moto: ## Moto's own tests against the stage: how many pass, and why the others do not (not in CI)
	@scripts/test-moto

test-arm64: ## The small images on arm64, by emulation where the engine is of another kind (not in CI)
	@scripts/test-arm64

test-e2e: ## End-to-end tests: the demo, its interruption, and plain AWS clients
	@scripts/setup dev plugin trainer serve lambda client
	$(env)/dev/bin/python $(pytest) 2 tests/e2e

test-containers: ## The images, and the whole path in them (left out where no Docker engine answers)
	@scripts/test-containers

chaos: ## Break the stack part by part under load, and write a page (SEED=1, ONLY=<names> or quick, MINUTES=20)
	@scripts/chaos

bench: ## Measure against `docker run` and sagemaker's local mode, into benchmarks/results (SCENARIO=<name>, needs Docker)
	@scripts/setup bench
	@scripts/build && $(env)/bench/bin/python -m benchmarks $(SCENARIO)

bench-compare: ## Say which benchmarks are worse than in their last run on such a machine, by more than the noise; 1 when one is
	@scripts/setup client
	@$(env)/client/bin/python -m benchmarks compare

bench-page: ## Bring docs/benchmarks.md and the picture of their history up to date
	@scripts/setup client
	@$(env)/client/bin/python -m benchmarks page

bench-serve: ## Measure the serving container beside its peers and the limits (ONLY=resnet50, PEERS="mosec ray" or all, ROUNDS=3; no Docker)
	@scripts/setup client serve trainer dev
	@$(env)/client/bin/python -m benchmarks serve_speed --rounds $(or $(ROUNDS),3)

bench-gpu: ## Measure trainer and server on a CUDA device beside the recipe, FastAPI and the limits (DATA=<folder>, ONLY=resnet50, ROUNDS=3)
	@scripts/setup client serve trainer dev
	@$(env)/client/bin/python -m benchmarks gpu --rounds $(or $(ROUNDS),3)

bench-train: ## Measure the trainer beside torchvision's recipe and the limits (DATA=<folder>, BACKBONE=resnet50, ROUNDS=3; no Docker)
	@scripts/setup client trainer
	@$(env)/client/bin/python -m benchmarks train --rounds $(or $(ROUNDS),3)

bench-tune: ## Measure a search of 10 jobs beside one job, on a stack of processes (DATA=<folder>, ROUNDS=3; no Docker)
	@scripts/setup client plugin trainer
	@$(env)/client/bin/python -m benchmarks tune --rounds $(or $(ROUNDS),3)

lint: ## ruff and mypy --strict
	@scripts/setup dev plugin-dev
	@scripts/lint

##@ Develop

setup: ## Only install the demo's environments
	@scripts/setup

data: ## Fetch the 133-breed dogImages.zip (1.1 GB, from the internet, or from URL=<mirror>) into .stagemaker/data
	@scripts/setup client
	@exec $(infra) data fetch $(if $(URL),--url $(URL))

format: ## Let ruff format the code and mend what it can
	@scripts/setup dev
	@$(env)/dev/bin/ruff check --fix . && $(env)/dev/bin/ruff format .

lock: ## Resolve requirements/*.in into the hashed requirements/*.txt, and take AWS's service models from the client's
	@scripts/setup uv
	@scripts/lock
	@scripts/setup client && $(env)/client/bin/python plugin/make_service_models.py

clean: ## Stop the stack, and delete .stagemaker (environments, data and state), and all that we made in Docker
	@! [ -d $(env)/client ] || $(infra) clean
	@rm -rf .stagemaker
