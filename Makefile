# Tenor's commands. Every cargo call selects the whole workspace: two selections of features would rebuild shared crates.
SHELL := /bin/bash
.PHONY: help test check demo bench-quality bench-data bench-footprint bench-queue bench-tracking bench-serving bench-models bench-studies bench-search bench-pruning record-trials

help: ## Lists the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 22

test: ## Runs every suite on SQLite and on a throw-away PostgreSQL; leaves nothing running
	cargo build --workspace --all-targets
	scripts/with-postgres.sh cargo test --workspace

demo: ## Builds, starts a server and carries reviews from a file to a served model (DATA=reviews.csv for your own)
	cargo build --workspace --bin tenor-server --bin tenor
	scripts/demo.sh

check: ## Formatting and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

bench-quality: ## Scores on real reviews, beside scikit-learn (TENOR_REAL_DATA: their folder)
	python3 benches/quality.py

bench-data: ## One million reviews to Parquet, beside Polars from Python and DuckDB
	python3 benches/data.py

bench-footprint: ## Start, memory at rest and size, beside FastAPI and an MLflow server
	python3 benches/footprint.py

bench-queue: ## No-op jobs by four processes, pick-up, zombie, kill -9, beside procrastinate (PostgreSQL with fsync on; SQLite)
	TENOR_PG_FSYNC=on scripts/with-postgres.sh python3 benches/queue_bench.py

bench-tracking: ## Metrics, runs and searches on PostgreSQL with fsync on, beside MLflow
	TENOR_PG_FSYNC=on scripts/with-postgres.sh python3 benches/tracking.py

bench-serving: ## Predictions over gRPC, beside FastAPI with scikit-learn and an empty echo
	python3 benches/serving.py

bench-models: ## Speed and scores of the classic models, beside scikit-learn on the same rows
	python3 benches/classifiers.py

bench-studies: ## The search on problems whose best values are known, beside Optuna
	python3 benches/studies.py

bench-search: ## The search over all classic kinds, beside Optuna with scikit-learn (TENOR_REAL_DATA: their folder)
	python3 benches/search.py

bench-pruning: ## What pruning saves and costs over folds of real reviews (TENOR_REAL_DATA: their folder)
	python3 benches/pruning.py

record-trials: ## Trains a grid of classifiers and keeps their scores as the recorded problems of bench-studies
	python3 benches/record.py
