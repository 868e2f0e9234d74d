# Every target sets up what it needs; a fresh machine needs Python 3.11 or newer, make and pip.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := reports/demo

.PHONY: demo test test-slow lint bench clean

# ResNet-50, the model that the onnx package ships, on the default accelerator; then bits for every layer of the digits network on
# one whose PEs are faster with fewer, in at most 0.7 of the time of 8 bits, proved by running the result with its integers.
demo: $(VENV)/run.stamp
	$(BIN)/accelsim simulate "$$($(BIN)/python -c 'import onnx, pathlib; print(pathlib.Path(onnx.__file__).parent / "backend/test/data/light/light_resnet50.onnx")')" \
		edge_16x16 --out $(DEMO)/resnet50 --timeline $(DEMO)/resnet50/trace.json --top 12
	$(BIN)/accelsim search workloads/digits/digits.onnx unpu --latency 0.7x --verify --data workloads/digits/calibration.npz \
		--eval workloads/digits/test.npz --out $(DEMO)/digits

test: $(VENV)/test.stamp
	$(BIN)/python -m pytest -q -n auto -m "not slow"

test-slow: $(VENV)/test.stamp
	$(BIN)/python -m pytest -q -n auto

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/test.stamp
	$(BIN)/python -m pytest -q tests/benchmarks/bench_*.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/run.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test,lint]"
	touch $@
