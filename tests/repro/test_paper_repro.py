"""The one command: its options, and what it says, in one line, when a machine lacks something."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from figures import contest
from repro.manifest import ROOT
from rl.analysis.results import committed
from rl.experiments.config import load as config_of

TOOLS = ["awk", "basename", "bash", "cat", "cksum", "df", "dirname", "head", "nproc", "rm", "sed", "tail"]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A project in a folder with a space, and a PATH with the usual tools but no Python."""
    project = tmp_path / "a folder"
    project.mkdir()
    for name in ("paper_repro.sh", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, project)
    (project / "repro").mkdir()
    shutil.copy(ROOT / "repro" / "setup.sh", project / "repro")
    shutil.copytree(ROOT / "rl" / "experiments", project / "rl" / "experiments")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found is not None
        (tools / name).symlink_to(found)
    return tmp_path


def run(machine: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(machine / "a folder" / "paper_repro.sh"), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=machine, env={"PATH": str(machine / "bin"), "HOME": os.devnull}
    )


def fake(machine: Path, name: str, script: str) -> None:
    path = machine / "bin" / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!{shutil.which('bash')}\n{script}\n")
    path.chmod(0o755)


def assert_one_line(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    assert done.returncode == status, done
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


def test_help_needs_nothing(machine: Path) -> None:
    done = run(machine, "--help")
    assert done.returncode == 0
    for option in ("--quick", "--full", "--only", "--jobs", "--out", "--record", "--compare", "test"):
        assert option in done.stdout


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--jbos", "3"], "--jbos"),
        (["--jobs", "many"], "'many'"),
        (["--jobs", "0"], "'0'"),
        (["--out"], "--out needs a value"),
        (["--scale", "huge"], "'huge'"),
    ],
)
def test_wrong_options_are_one_line(machine: Path, arguments: list[str], word: str) -> None:
    assert_one_line(run(machine, *arguments), 2, word)


def test_no_suitable_python(machine: Path) -> None:
    fake(machine, "python3", '[[ $1 == --version ]] && echo "Python 3.9.1"; exit 1')
    assert_one_line(run(machine), 1, "needs Python 3.11", "found: Python 3.9.1")


def test_no_venv_module(machine: Path) -> None:
    fake(machine, "python3.11", "[[ $2 == *venv* ]] && exit 1; exit 0")
    assert_one_line(run(machine), 1, "no venv module", "python3-venv")


def test_no_disk(machine: Path) -> None:
    fake(machine, "python3.11", "exit 0")
    fake(machine, "df", "printf 'header\\n/dev/x 100 50 1048576 50%% /\\n'")
    assert_one_line(run(machine), 1, "needs 5 GiB", "1 GiB are left")


PLANNED = """one rl/experiments/paper/one.yaml grpo,ds-grpo 0,1
two rl/experiments/paper/two.yaml grpo 7"""


@pytest.fixture
def paper(machine: Path) -> Path:
    """Both environments are there, with a Python that notes what it is asked for; `lacks-NAME` makes its check fail."""
    project = machine / "a folder"
    for name in ("one", "two"):
        (project / "rl" / "experiments" / "paper" / f"{name}.yaml").write_text(f"name: {name}\n")
    key = ["bash", "-c", "ROOT=$PWD; source repro/setup.sh; environment_key $0"]
    for name, constraints in ((".venv", "constraints.txt"), (".venv-vllm", "constraints-vllm.txt")):
        shutil.copy(ROOT / constraints, project)
        made = subprocess.run([*key, constraints], cwd=project, capture_output=True, text=True, check=True).stdout
        (project / name / "bin").mkdir(parents=True)
        (project / name / ".made-of").write_text(made)
        python = project / name / "bin" / "python"
        python.write_text(
            f"#!{shutil.which('bash')}\n"
            f'echo "{name} $*" >>"{machine}/asked"\n'
            f"""case "$*" in *--list*) echo '{PLANNED}' ;; *--check*) [[ ! -e "{machine}/lacks{name}" ]] ;; esac\n"""
        )
        python.chmod(0o755)
    return machine


def asked(paper: Path, module: str) -> list[str]:
    return [line for line in (paper / "asked").read_text().splitlines() if f"-m {module}" in line]


def test_the_scale_of_the_paper_runs_every_experiment_by_its_own_methods_and_seeds(paper: Path) -> None:
    done = run(paper, "--scale", "paper", "--only", "runs", "--out", "x", "--jobs", "1")
    assert done.returncode == 0, done
    stages = asked(paper, "repro.stage")
    assert len(stages) == 2
    for line, name, methods, seeds in zip(stages, ("one", "two"), ("grpo,ds-grpo", "grpo"), ("0,1", "7")):
        file = f"rl/experiments/paper/{name}.yaml"
        assert line.startswith(f".venv-vllm -m repro.stage runs/{name} ")
        assert line.endswith(f"-- rl.sweep {file} --methods {methods} --seeds {seeds} --jobs 1 --out {paper}/x")
        writes = [word for word in line.split() if word.endswith("eval-heldout.json")]
        assert len(writes) == len(seeds.split(",")) * (1 + len(methods.split(",")))
    assert [line.split(" -m ")[0] for line in asked(paper, "rl.plan --scale paper --check")] == [".venv", ".venv-vllm"]


def test_one_experiment_of_the_paper_alone(paper: Path) -> None:
    assert run(paper, "--scale", "paper", "--only", "runs/two").returncode == 0
    assert [" runs/two " in line for line in asked(paper, "repro.stage")] == [True]
    assert all(line.endswith("two") for line in asked(paper, "rl.plan --scale paper --check"))
    assert len(asked(paper, "rl.plan --scale paper --check")) == 2


@pytest.mark.parametrize("lacks", ["lacks.venv", "lacks.venv-vllm"])
def test_what_the_machine_cannot_run_is_refused_before_anything_starts(paper: Path, lacks: str) -> None:
    (paper / lacks).touch()
    for only in ([], ["--only", "runs"], ["--only", "runs/one"]):
        assert run(paper, "--scale", "paper", *only).returncode == 1
    assert asked(paper, "repro.stage") == []


def test_full_makes_every_run_that_is_recorded_and_none_that_cannot_be(paper: Path) -> None:
    assert run(paper, "--full", "--only", "runs").returncode == 0
    made = set()
    for line in asked(paper, "repro.stage"):
        [(path, methods, seeds)] = re.findall(r"-- rl\.sweep (\S+) --methods (\S+) --seeds (\S+)", line)
        config = config_of(ROOT / path)
        for method in methods.split(","):
            config.method(method)
            made |= {(config.name, seed, method) for seed in seeds.split(",")}
    runs = (committed(path.parent.name, "cpu") for path in ROOT.glob("results/cpu/*/evaluations.parquet"))
    recorded = {(run.config["name"], str(run.seed), run.method) for found in runs for run in found}
    assert len(recorded) > 200
    assert {one for one in recorded if one[2] != "base"} - made == set()


def test_theory_needs_nothing_of_the_scale(paper: Path) -> None:
    (paper / "lacks.venv").touch()
    assert run(paper, "--scale", "paper", "--only", "theory").returncode == 0
    assert [" theory " in line for line in asked(paper, "repro.stage")] == [True]


def test_the_contest_that_the_script_draws_is_the_contest() -> None:
    """A task that is missing in the script would leave its exhibits stale."""
    script = (ROOT / "repro" / "setup.sh").read_text(encoding="utf-8")
    listed = re.findall(r"experiments=\((maze-[^)]*)\)", script)
    assert [tuple(names.split()) for names in listed] == [contest.EXPERIMENTS]
