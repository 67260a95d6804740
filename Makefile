# Each target sets up .venv itself from a bare Python 3.11 or 3.12. `make demo` needs the core packages alone.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
UV := VIRTUAL_ENV=$(VENV) $(VENV)/bin/uv

.PHONY: demo test slow lint types lock clean train-embedded \
  $(addprefix embedded-,audio layers codec gate judge latents dit distil)

$(VENV)/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' || \
	  { echo "avatar-jax needs Python 3.11 or 3.12, got `$(PYTHON) --version`: run make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet uv

$(VENV)/.core: requirements.core.lock | $(VENV)/bin/uv
	@test -e $(VENV)/.all || $(UV) pip install --quiet --no-deps -r requirements.core.lock
	@touch $@

$(VENV)/.all: requirements.all.lock | $(VENV)/bin/uv
	$(UV) pip install --quiet --no-deps -r requirements.all.lock
	$(VENV)/bin/pip install --quiet torch==2.13.0
	@touch $@ $(VENV)/.core

demo: $(VENV)/.core
	$(PY) sample.py --image docs/demo/portrait.png --audio docs/demo/speech.wav \
	  --prompt "cheerful and excited, then calm and waves; slowly push in" --out out/demo

test: $(VENV)/.all
	$(PY) -m pytest -n 2 --dist loadgroup

slow: $(VENV)/.all
	$(PY) -m pytest -n 2 --dist loadgroup -m slow

lint: $(VENV)/.all
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.all
	$(VENV)/bin/basedpyright

# torch, which only parity tests use, is left to pip: it knows the build for this machine (see .all).
lock: $(VENV)/bin/uv
	$(UV) pip compile pyproject.toml --universal --python-version 3.11 --no-header --no-annotate -o requirements.core.lock
	$(UV) pip compile pyproject.toml --all-extras --universal --python-version 3.11 --no-header --no-annotate \
	  | grep -vE '^(torch|triton|nvidia-|cuda-)' > requirements.all.lock

# Everything goes on where it stopped, so a second `make train-embedded` continues the first. Stages wait for those that they
# build on alone: `make -j2 train-embedded` trains two side by side, which two cores do faster than one after the other.
RUN := runs/embedded
DATA := data/embedded
SYNTHETIC = $(PY) -m data_pipeline synthetic --what
TRAIN = $(PY) train.py --config configs/embedded.py --out $(RUN) --data=$(DATA) --stage

train-embedded: embedded-distil embedded-layers embedded-judge embedded-gate

embedded-audio: $(VENV)/.all
	$(SYNTHETIC) audio --out $(DATA)/audio --hours 7
	$(SYNTHETIC) audio --out $(DATA)/audio --split heldout --hours 0.3
	$(TRAIN) audio

# The readers wait for the latents, which they do not need, so that the longest chain is never behind them.
embedded-judge embedded-gate: | embedded-latents

embedded-layers embedded-codec embedded-judge: embedded-%: $(VENV)/.all
	$(TRAIN) $*

embedded-gate: $(VENV)/.all
	$(SYNTHETIC) stills --out $(DATA)/stills --count 5000
	$(TRAIN) gate

embedded-latents: embedded-audio embedded-codec
	$(SYNTHETIC) latents --out $(DATA)/latents --count 2400 --weights $(RUN)
	$(SYNTHETIC) latents --out $(DATA)/latents-heldout --count 48 --split heldout --weights $(RUN)

embedded-dit: embedded-latents
	$(TRAIN) dit

embedded-distil: embedded-dit
	$(TRAIN) distil

clean:
	rm -rf $(VENV) out .pytest_cache .ruff_cache
