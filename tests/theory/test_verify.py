"""`python -m theory.verify`: what it prints and writes, its exit status, and that it can fail."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest

from repro.manifest import missing_fields
from theory import checking, policies, theorems, verify
from theory.checks.base import Control, Outcome, mutated


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "theory.verify", *arguments], capture_output=True, text=True, check=False
    )


def test_the_register_is_whole():
    assert list(theorems.REGISTER) == [f"T{k}" for k in range(1, 14)]
    for theorem in theorems.REGISTER.values():
        assert theorem.statement
        assert theorem.oracle
        assert theorem.instances
        assert theorem.controls, theorem.id
        assert set(theorem.tag.replace(";", " ").replace(",", " ").split()) & {"paper", "derived", "new"}, theorem.id
        assert theorem.module.startswith("theory/")
        assert theorem.notebook.startswith(f"notebooks/{theorem.id}_")
        assert theorem.test.startswith(f"tests/theory/test_{theorem.id.lower()}_")


def test_it_prints_and_writes_what_it_found(tmp_path):
    done = run("--only", "t8", "--instances", "500", "--seed", "3", "--jobs", "1", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "T8  Old policy instead of base" in done.stdout
    assert "1 of 1 theorems hold on 500 instances each; 4 of 4 broken variants were noticed" in done.stdout
    assert "✗" not in done.stdout
    assert "[1/1] T8 checked" in done.stderr
    written = json.loads((tmp_path / "theory" / "verify-T8.json").read_text())
    assert written["holds"]
    assert not missing_fields(written["manifest"])
    assert written["manifest"]["seed"] == 3
    (theorem,) = written["theorems"]
    assert theorem["statement"] == theorems.get("T8").statement
    assert all(outcome["holds"] and outcome["error"] <= outcome["tolerance"] for outcome in theorem["outcomes"])
    assert all(control["noticed"] and control["noticed_by"] for control in theorem["controls"])


def test_the_result_does_not_depend_on_the_number_of_processes(tmp_path, capsys):
    for jobs in ("1", "2"):
        arguments = ["--only", "T8", "T1", "--instances", "300", "--jobs", jobs, "--out", str(tmp_path / jobs)]
        assert verify.main(arguments) == 0
    capsys.readouterr()
    first, second = (json.loads((tmp_path / jobs / "theory" / "verify-T1-T8.json").read_text()) for jobs in "12")
    for result in (first, second):
        for theorem in result["theorems"]:
            del theorem["seconds"]
    assert first["theorems"] == second["theorems"]


def test_it_fails_when_the_code_is_wrong(tmp_path, capsys):
    """A sign flipped in the closed form of DS: the status is 1, and the table says which facts broke."""
    flipped = Control("", "theory.policies:ds", lambda ds: lambda lp, c, b, p, n=0.0: ds(lp, c, b, n, p))
    with mutated(flipped):
        status = verify.main(["--only", "T8", "--instances", "500", "--jobs", "1", "--out", str(tmp_path)])
    out = capsys.readouterr().out
    assert status == 1
    assert "T8  Old policy instead of base" in out
    assert "FAILS" in out
    assert "✗ each step is the optimum of its own reward" in out
    assert "0 of 1 theorems hold" in out
    assert not json.loads((tmp_path / "theory" / "verify-T8.json").read_text())["holds"]
    assert policies.ds.__name__ == "ds"  # the mutation is gone


def test_it_fails_when_a_broken_variant_goes_unnoticed(tmp_path, capsys, monkeypatch):
    harmless = Control("does nothing", "theory.policies:ds", lambda ds: ds)
    monkeypatch.setitem(theorems.REGISTER, "T8", replace(theorems.get("T8"), controls=(harmless,)))
    assert verify.main(["--only", "T8", "--instances", "200", "--jobs", "1", "--out", str(tmp_path)]) == 1
    assert "✗ control: does nothing: NOT noticed" in capsys.readouterr().out


def test_a_crash_is_no_proof(tmp_path, capsys, monkeypatch):
    def crash(rng, n):
        raise RuntimeError("boom")

    monkeypatch.setitem(theorems.REGISTER, "T8", replace(theorems.get("T8"), check=crash))
    assert verify.main(["--only", "T8", "--instances", "200", "--jobs", "1", "--out", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "the check itself failed: RuntimeError: boom" in out
    assert "NOT noticed (RuntimeError: boom)" in out


def test_chunks_are_merged_by_fact_and_nan_stays():
    merged = checking.merge(
        [
            Outcome("a", 10, 1e-9, 1e-6, "first"),
            Outcome("b", 10, 0.0, 0.0),
            Outcome("a", 5, 1e-3, 1e-6, "second"),
            Outcome("b", 5, math.nan, 0.0),
            Outcome("b", 5, 0.0, 0.0),
        ]
    )
    assert [(o.name, o.instances, o.holds) for o in merged] == [("a", 15, False), ("b", 20, False)]
    assert merged[0].detail == "second"
    assert math.isnan(merged[1].error)


def test_large_numbers_are_cut_into_chunks():
    work = [part for part in checking.parts(["T4"], 250_000) if not part.control]
    assert [part.instances for part in work] == [100_000, 100_000, 50_000]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "T99"], "theorem='T99'"),
        (["--instances", "0"], "0 is below 1"),
        (["--instances", "many"], "many"),
        (["--seed", "-1"], "-1 is below 0"),
        (["--jobs", "0"], "0 is below 1"),
        (["--nonsense"], "--nonsense"),
        (["--only", "T8", "--instances", "1", "--jobs", "1", "--out", "/dev/null"], "--out /dev/null"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        verify.main(arguments)
    assert stopped.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "checked" not in line]
    assert len(lines) == 1
    assert message in lines[0]


def test_instances_below_one_are_refused_by_name():
    with pytest.raises(ValueError, match="instances=0"):
        checking.parts(["T8"], 0)


def test_importing_the_theory_costs_little_beyond_numpy_and_scipy():
    """Only what it may import: no torch, matplotlib, pandas, nor anything of rl."""
    code = "import sys, theory.verify; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "matplotlib", "pandas", "rl", "figures"}.isdisjoint(loaded)
