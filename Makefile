# `make help` lists what can be made. Recipes call scripts; CI calls these same targets.
SHELL := bash
.DEFAULT_GOAL := help
env := .stagemaker/env
client := $(env)/client/bin/python -m
# A file of tests at a time on each worker: they mostly wait, for LocalStack, containers and each other's processes.
pytest = -m pytest --dist loadfile --numprocesses
export DATA DOCKER IMAGE KEEP PORT PYTHON REGISTRY_PORT TARGET

.PHONY: help demo data start stop status bootstrap destroy build up train deploy-local invoke logs down push \
	test test-unit test-contract test-e2e test-containers bench lint format lock setup clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Train, deploy and call a real model on this machine (DATA=<folder> of train/ valid/ test/, DOCKER=1, KEEP=1, PORT=4566)
	@scripts/setup
	@exec $(client) infra.demo

data: ## Fetch the 133-breed dogImages.zip (1.1 GB, from the internet) into .stagemaker/data
	@scripts/setup client
	@exec $(client) infra.dataset fetch

start: ## Start LocalStack with the plugin on 127.0.0.1:$PORT
	@scripts/setup
	@$(client) infra.stack start

stop: ## Stop what `make start` or `KEEP=1 make demo` left running
	@scripts/setup client
	@$(client) infra.stack stop

status: ## Say whether the stack runs, as processes or in containers, and how to talk to it
	@scripts/setup client
	@$(client) infra.compose status

bootstrap: ## Make the bucket, roles, model, endpoint and function on the running stack (a second run changes nothing)
	@scripts/setup
	@$(client) infra.bootstrap up --target local

destroy: ## Delete everything that `make bootstrap` made
	@scripts/setup client
	@$(client) infra.bootstrap down --target local

build: ## Build the images (stagemaker/localstack, lambda, serve, trainer, serve-gpu)
	@scripts/build

up: ## Start the stack in containers on 127.0.0.1:$PORT, and wait until it is healthy
	@scripts/setup client
	@$(client) infra.compose up

train: ## Train on the running stack (DATA=<folder>)
	@scripts/setup client
	@scripts/build trainer && $(client) infra.bootstrap train

deploy-local: ## Train if need be, and deploy endpoint and function on the running stack
	@scripts/setup client
	@scripts/build trainer serve lambda && $(client) infra.bootstrap up

invoke: ## Ask the endpoint what is in a photo (IMAGE=<file>)
	@scripts/setup client
	@$(client) infra.invoke

logs: ## Follow the log of the stack in containers
	@scripts/setup client
	@$(client) infra.compose logs

down: ## Remove the stack's containers, with all that they started, networks and volumes
	@scripts/setup client
	@$(client) infra.compose down

push: ## Push the images to ECR (TARGET=local or aws)
	@scripts/setup client
	@$(client) infra.images push --build --target $(or $(TARGET),local)

test: lint test-unit test-contract test-e2e test-containers ## Every check and test, from a clean checkout

test-unit: ## Unit tests: no I/O beyond a temporary folder and loopback
	@scripts/setup dev plugin-dev plugin trainer serve lambda client
	$(env)/dev/bin/python $(pytest) 2 tests/unit --ignore tests/unit/plugin
	$(env)/plugin-dev/bin/python $(pytest) 2 tests/unit/plugin

test-contract: ## Contract tests: every runtime, every response, a real LocalStack
	@scripts/setup plugin-dev plugin trainer serve lambda client
	@! scripts/has-docker || scripts/build lambda
	$(env)/plugin-dev/bin/python $(pytest) 3 tests/contract

test-e2e: ## End-to-end tests: the demo, its interruption, and plain AWS clients
	@scripts/setup dev plugin trainer serve lambda client
	$(env)/dev/bin/python $(pytest) 2 tests/e2e

test-containers: ## The images, and the whole path in them (left out where no Docker engine answers)
	@scripts/test-containers

bench: ## Measure against `docker run` and sagemaker's local mode, into benchmarks/results (SCENARIO=<name>, needs Docker)
	@scripts/setup bench
	@scripts/build && $(env)/bench/bin/python -m benchmarks $(SCENARIO)

lint: ## ruff and mypy --strict
	@scripts/setup dev plugin-dev
	@scripts/lint

format: ## Let ruff format the code and mend what it can
	@scripts/setup dev
	@$(env)/dev/bin/ruff check --fix . && $(env)/dev/bin/ruff format .

lock: ## Resolve requirements/*.in into the hashed requirements/*.txt
	@scripts/setup uv
	@scripts/lock

setup: ## Only install the demo's environments
	@scripts/setup

clean: ## Stop the stack, and delete .stagemaker (environments, data and state), and all that we made in Docker
	@! [ -d $(env)/client ] || $(client) infra.stack stop
	@! [ -d $(env)/client ] || $(client) infra.compose clean
	@rm -rf .stagemaker
