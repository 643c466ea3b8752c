"""`python -m theory.mutate`: the edits, what notices them on a toy module, and the list of equivalent mutants."""

import ast
import json
import tomllib

import pytest

from repro.manifest import missing_fields
from theory import mutate

TOY = '''"""A toy."""

import numpy as np

TINY = 1e-9


def clipped(value: int | None, low=1):
    """At least `low`."""
    if value is None or value < low:
        raise ValueError(f"value={value - 1}")
    value += 1
    return np.where(np.asarray(value) > 2, -value, max(value, TINY))
'''


def mutations(source):
    return [found.mutation for found in mutate.mutants("toy", source)]


@pytest.fixture
def toy(tmp_path):
    """A module with one function that its check sees, one that its test sees, and one that nothing sees."""
    (tmp_path / "toy_module.py").write_text(
        "def checked(x):\n    return x + 1\n\n\n"
        "def tested(x):\n    return x > 2\n\n\n"
        "def forgotten(x):\n    return -x\n"
    )
    (tmp_path / "toy_check.py").write_text(
        "from types import SimpleNamespace\n\nimport toy_module\n\n"
        "def check(rng, n):\n    return [SimpleNamespace(name='adds one', holds=toy_module.checked(1) == 2)]\n\n"
        "THEOREM = SimpleNamespace(id='T0', check=check)\n"
    )
    (tmp_path / "test_toy.py").write_text(
        "import toy_module\n\ndef test_it():\n    assert toy_module.tested(3)\n    assert not toy_module.tested(2)\n"
    )
    path = tmp_path / "toy_module.py"
    return mutate.Target("toy_module", path, ("toy_check",), (tmp_path / "test_toy.py",))


@pytest.fixture
def one_toy(toy, tmp_path, monkeypatch):
    """`theory.mutate` with the toy as its only module."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(mutate, "TARGETS", {"toy_module": toy})
    monkeypatch.setattr(mutate, "LIST", tmp_path / "mutants.toml")
    mutate.LIST.write_text("")
    return toy


def test_every_kind_of_edit_is_made():
    found = mutations(TOY)
    for wanted in (
        "1e-09 → 0.01",
        "1e-09 → 0.0",
        "1 → 2",
        "value is None or value < low → value is None and value < low",
        "value < low → value <= low",
        "value < low → value >= low",
        "value += 1 → pass",
        "raise ValueError(f'value={value - 1}') → pass",
        "np.asarray(value) > 2 → np.asarray(value) >= 2",
        "-value → value",
        "max(value, TINY) → min(value, TINY)",
        "np.where(np.asarray(value) > 2, -value, max(value, TINY)) → value",
        "np.where(np.asarray(value) > 2, -value, max(value, TINY)) → "
        "np.where(np.asarray(value) > 2, max(value, TINY), -value)",
        "np.where(np.asarray(value) > 2, -value, max(value, TINY)) → "
        "np.where(np.asarray(value) > 2, 0 * -value, max(value, TINY))",
    ):
        assert wanted in found, wanted
    assert mutations("def f(a, b):\n    return a * b\n") == ["a * b → a", "a * b → a / b", "a * b → b"]


def test_like_edits_in_a_line_are_numbered():
    assert mutations("def f():\n    return [1, 1]\n") == ["1 → 2", "1 → 2 (2)"]


def test_messages_annotations_and_docstrings_are_left_alone():
    assert mutations('def f(a: int | None) -> int | None:\n    """Adds 1 + 1."""\n    print(f"{1 + 1}")\n') == [
        "print(f'{1 + 1}') → pass"
    ]


@pytest.mark.parametrize("name", mutate.TARGETS)
def test_each_mutant_is_another_program(name):
    source = mutate.TARGETS[name].path.read_text(encoding="utf-8")
    whole = ast.dump(ast.parse(source))
    found = mutate.mutants(name, source)
    assert len(found) >= 15
    assert len({mutant.key for mutant in found}) == len(found)
    for mutant in found[::10]:
        assert mutant.line in source
        assert ast.dump(ast.parse(mutant.apply(source))) != whole, mutant.mutation


def test_the_check_and_the_tests_notice_what_they_see(one_toy):
    source = one_toy.path.read_text()
    work = [mutate.Job(one_toy, found, 60) for found in (None, *mutate.mutants("toy_module", source))]
    found = mutate.run_all(work, processes=2)
    fates = {fate.job.mutant and fate.job.mutant.mutation: fate.noticed_by for fate in found}
    assert fates[None] is None
    assert fates["x + 1 → x - 1"] == "T0: adds one"
    assert fates["x > 2 → x >= 2"].endswith("test_toy.py::test_it")
    assert [mutation for mutation, noticed_by in fates.items() if noticed_by is None] == [None, "-x → x"]
    assert one_toy.path.read_text() == source


def test_what_never_ends_counts_as_noticed(one_toy):
    one_toy.path.write_text(
        "def checked(x):\n    while x < 2:\n        x += 1\n    return x\n\n\ndef tested(x): pass\n"
    )
    mutant = next(m for m in mutate.mutants("toy_module", one_toy.path.read_text()) if m.mutation == "x += 1 → pass")
    (fate,) = mutate.run_all([mutate.Job(one_toy, mutant, 2)], processes=1)
    assert fate.noticed_by == "killed, or no end after 2 s of processor time"


def test_it_fails_until_the_survivor_is_listed(one_toy, tmp_path, capsys):
    arguments = ["--sample", "100", "--jobs", "1", "--out", str(tmp_path)]
    assert mutate.main(arguments) == 1
    assert "1 alive, 0 listed as equivalent" in capsys.readouterr().out
    mutate.LIST.write_text(
        "[[equivalent]]\nmodule = 'toy_module'\nfunction = 'forgotten'\nline = 'return -x'\n"
        "mutation = '-x → x'\nreason = 'a toy'\n"
    )
    assert mutate.main(arguments) == 0
    written = json.loads((tmp_path / "theory" / "mutants.json").read_text())
    assert not missing_fields(written["manifest"])
    assert (written["alive"], written["equivalent"]) == (0, 1)
    assert written["killed"] + 1 == written["mutants"] == len(mutations(one_toy.path.read_text()))


@pytest.mark.parametrize(
    ("line", "reason", "message"),
    [
        ("return +x", "reason = 'a toy'\n", "no mutant toy_module | forgotten | return +x | -x → x"),
        ("return -x", "", "has no reason"),
    ],
)
def test_an_entry_that_matches_nothing_or_gives_no_reason_is_refused(one_toy, capsys, line, reason, message):
    mutate.LIST.write_text(
        f"[[equivalent]]\nmodule = 'toy_module'\nfunction = 'forgotten'\nline = '{line}'\nmutation = '-x → x'\n{reason}"
    )
    with pytest.raises(SystemExit) as stopped:
        mutate.main(["--list"])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_the_code_must_pass_before_it_is_broken(one_toy, tmp_path, capsys):
    one_toy.path.write_text("def checked(x):\n    return x\n\n\ndef tested(x):\n    return x > 2\n")
    with pytest.raises(SystemExit) as stopped:
        mutate.main(["--jobs", "1", "--out", str(tmp_path)])
    assert stopped.value.code == 2
    assert "toy_module fails as it is (T0: adds one); mend that first" in capsys.readouterr().err


def test_every_module_of_the_theory_is_broken():
    commands = {"__init__", "bench", "checking", "mutate", "tables", "theorems", "verify"}
    theory = {name for name in mutate.TARGETS if not name.startswith("library.")}
    assert {path.stem for path in (mutate.ROOT / "theory").glob("*.py")} - commands == theory
    for target in mutate.TARGETS.values():
        assert all(path.is_file() for path in target.tests)
        assert len(target.tests) > len(target.checks)


def test_every_formula_of_the_library_is_broken():
    package = mutate.ROOT / "differential_smoothing"
    there = {".".join(path.relative_to(package).with_suffix("").parts) for path in package.rglob("*.py")}
    trainers = {"trl", "verl", "training.generation", "training.monitor"}
    tables = {"config", "methods.registry", "methods.variants", "advantages.options"}
    broken = {name.removeprefix("library.") for name in mutate.TARGETS if name.startswith("library.")}
    assert broken == {name for name in there if not name.endswith("__init__")} - trainers - tables


def test_the_list_matches_the_theory():
    known = {
        name: mutate.mutants(name, target.path.read_text(encoding="utf-8")) for name, target in mutate.TARGETS.items()
    }
    listed = mutate.read_list(mutate.LIST, known)
    assert {key[0] for key in listed.equivalent} <= set(known)
    assert len(listed.always) >= 10
    data = tomllib.loads(mutate.LIST.read_text(encoding="utf-8"))
    assert len(data["equivalent"]) == len(listed.equivalent), "an entry stands twice"


def test_the_choice_is_the_same_for_a_seed_and_has_a_hundred(capsys):
    lists = []
    for seed in ("0", "0", "1"):
        assert mutate.main(["--list", "--seed", seed]) == 0
        lists.append(capsys.readouterr().out.splitlines())
    assert lists[0] == lists[1] != lists[2]
    assert len(lists[0]) >= 100
    for once_alive in ("1e-09 → 0.01", "2 * step → step", "1 - np.asarray(s) → 1 + np.asarray(s)"):
        assert all(any(line.endswith(once_alive) for line in found) for found in lists)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "verify"], "--only verify: there are policies, measures"),
        (["--jobs", "0"], "0 is below 1"),
        (["--sample", "few"], "invalid integer value: 'few'"),
    ],
)
def test_bad_input_is_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        mutate.main(arguments)
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
