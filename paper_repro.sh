#!/usr/bin/env bash
# Differential smoothing (arXiv 2511.19942), reproduced from nothing. `bash paper_repro.sh --help` says how.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$ROOT/repro/setup.sh" # usage, options, the environment, `stage`

# ── Setting up ──────────────────────────────────────────────────────────────────────────────────────────────────
read_options "$@"   # --quick, --full, --scale, --only, --jobs, --out, --record, --compare, --dry-run
make_environment    # .venv with the exact versions of constraints.txt, once

case $COMMAND in
test)  run_tests; exit ;;      # lint, types, every test
vllm)  run_vllm; exit ;;       # the same trainer and evaluation through vLLM, in its own environment
plan)  python -m rl.plan --scale "$SCALE"; exit ;;   # --dry-run: every run of a scale, its cost, what is missing here
esac
can_run             # else one sentence says what this machine lacks for the scale

# ── 1. The theory: every theorem against an oracle that does not know it ─────────────────────────────────────────
stage theory   "every theorem against its oracle" --writes "$OUT/theory/verify.json" \
               -- theory.verify --instances "$INSTANCES" --jobs "$JOBS" --out "$OUT"
stage curves   "the data behind the theory's figures" --reads theory \
               -- theory.exhibits --out "$OUT"

# ── 2. The experiment: a base model made here, GRPO, DS-GRPO, one base per seed ──────────────────────────────────
case $SCALE in
paper) paper_runs ;; # every experiment of rl/experiments/paper, one stage each
*) runs "$EXPERIMENT" grpo,ds-grpo "$SEEDS" ;;
esac
if [[ $FULL && $SCALE != paper ]]; then # all else that is committed
    runs "$EXPERIMENT" ds-grpo-centered,ds-grpo-positive,ds-grpo-negative,entropy-bonus,entropy-penalty 0,1,2 /others
fi
if [[ $FULL && $SCALE == cpu ]]; then
    for one in countdown maze-perfect maze-looped; do search "rl/experiments/search/$one.yaml"; done
    variants=$(printf ',ds-grpo@%s' mean token reward no-std centred mixed-groups) # the DS term with other options
    runs "$EXPERIMENT" "ds-grpo@reward-mixed-groups$variants" 0,1,2 /ablation
    runs "$EXPERIMENT" maxrl,passk-training,darling 0,1,2 /contest # the strongest of other papers on mazes
    runs rl/experiments/cpu/linear.yaml grpo,ds-grpo 0,1,2 /linear
    others=unlikeliness,passk-training,outcome-batch,f-grpo,ucpo,maxrl,darling,pkpo,entropy-advantage # of other papers
    others+=,entropy-bonus,entropy-penalty,logprob-bonus,logprob-penalty,kl-base # the plain heuristics
    for one in maze-perfect maze-looped; do # one answer, many answers
        runs "rl/experiments/cpu/$one.yaml" "grpo,ds-grpo,ds-grpo@matched,$others" 0,1,2 "/$one"
    done
    runs rl/experiments/cpu/maze-looped.yaml "${variants#,}" 0,1,2 /maze-looped-ablation
    runs rl/experiments/cpu/maze-misled.yaml grpo,ds-grpo,entropy-bonus,entropy-penalty 0,1,2,3,4 /maze-misled # T7's other side
fi

# ── 3. The exhibits: each from recorded results and nothing else ─────────────────────────────────────────────────
for script in figures/fig_*.py figures/tab_*.py; do
    exhibit "$(basename "$script" .py)"
done

# ── 4. The verdicts, and the notebooks that explain them ─────────────────────────────────────────────────────────
stage verdicts "the paper's claims one by one" --reads "$OUT/runs/*/seed*/*/eval-heldout.json" --reads rl/analysis/claims.yaml \
               --writes "$OUT/claims.json" -- rl.report --out "$OUT" --experiment "$NAME" --scale "$SCALE"
[[ $QUICK ]] || stage notebooks "every notebook, top to bottom" --module theory.checks --module theory.theorems \
               --reads notebooks --reads theory --reads figures -- repro.notebooks --out "$OUT" --jobs "$JOBS"

# ── 5. What was checked and where it lies ────────────────────────────────────────────────────────────────────────
finish
