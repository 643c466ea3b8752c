#!/usr/bin/env bash
# Differential smoothing (arXiv 2511.19942), reproduced from nothing. `bash paper_repro.sh --help` says how.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$ROOT/repro/setup.sh" # usage, options, the environment, `stages`

# ── Setting up ──────────────────────────────────────────────────────────────────────────────────────────────────
read_options "$@"   # --quick, --full, --scale, --only, --jobs, --out, --record, --compare, --dry-run
make_environment    # .venv with the exact versions of constraints.txt, once

case $COMMAND in
test)  run_tests; exit ;;      # lint, types, every test
site)  python -m repro.site --out "$OUT"; exit ;;    # these pages as a website, in $OUT/site
vllm)  run_vllm; exit ;;       # the same trainer and evaluation through vLLM, in its own environment
plan)  python -m rl.plan --scale "$SCALE"; exit ;;   # --dry-run: every run of a scale, its cost, what is missing here
esac
can_run             # else one sentence says what this machine lacks for the scale

# ── The stages: repro/stages.py lists each with its command, what it reads and what it writes ────────────────────
stages theory       # 1. every theorem against an oracle that does not know it; the data behind the theory's figures
stages runs         # 2. the experiments: base models made here, GRPO, DS-GRPO; with --full all that is committed
stages figures      # 3. figures and tables: each from recorded results and nothing else
stages verdicts     # 4. the paper's claims one by one
stages notebooks    # 5. the notebooks that explain them, from top to bottom

# ── What was checked and where it lies ───────────────────────────────────────────────────────────────────────────
finish
