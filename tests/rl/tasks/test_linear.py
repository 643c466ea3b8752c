"""Linear equations: problems, routes against a walk that shares nothing with them, grading, and the way to a model."""

from __future__ import annotations

import dataclasses
from collections import Counter
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
import sympy  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from repro.manifest import ROOT
from rl import tasks
from rl.evaluation.run import evaluate
from rl.experiments.config import load
from rl.models import from_scratch
from rl.tasks import _linear_routes, linear
from rl.tasks._linear_routes import Equation, canonical, routes
from rl.training.rewards import Rewards

CONFIG = linear.LinearConfig(
    levels=4,
    max_coefficient=6,
    max_constant=6,
    max_answer=6,
    problems=600,
    validation=40,
    heldout=80,
    seed=1,
    split="drawn",
)
X = sympy.Symbol("x")
EXAMPLE = linear.problem(3, Equation(6, -4, 2, 8))  # 6 x - 4 = 2 x + 8
FIRST = "+4x-4=+8 ; +12=+4x ; +1x=+3"


def sides(text: str) -> tuple[Any, Any]:
    """Both sides by SymPy's own parser; only for texts made here."""
    left, right = text.replace(" ", "").split("=")
    plain = [side.replace("(", "*(").replace("x", "*x").replace("(*", "(").lstrip("*") for side in (left, right)]
    for bad, good in (("+*", "+"), ("-*", "-")):
        plain = [side.replace(bad, good) for side in plain]
    return sympy.sympify(plain[0]), sympy.sympify(plain[1])


equations = st.builds(
    Equation,
    p=st.integers(1, 6),
    q=st.integers(-9, 9),
    s=st.integers(-6, 6),
    t=st.integers(-60, 60),
    m=st.integers(1, 6),
    r=st.just(0),
).filter(lambda one: one.m * one.p != one.s)


@settings(deadline=None, max_examples=60)
@given(equations)
def test_every_step_of_every_route_has_the_same_solution(start: Equation) -> None:
    left, right = sides(str(start))
    [x] = sympy.solve(sympy.Eq(left, right), X)
    assert x == Fraction(start.t - start.r - start.m * start.q, start.m * start.p - start.s)
    for route in routes(start):
        for step in route:
            left, right = sides(str(step))
            assert sympy.solve(left - right, X) == [x]
        if x.is_integer and route:
            assert str(route[-1]) == f"x = {'- ' if x < 0 else ''}{abs(x)}"


def walked(left: tuple[int, int], right: tuple[int, int]) -> int:
    """The number of routes from p x + q = s x + t, counted by another way of thinking: orders of what is to be done."""
    (p, q), (s, t) = left, right
    if s:
        return walked((p - s, q), (0, t)) + (walked((p, 0), (s, t - q)) if q else 0)
    divisible = p != 1 and q % p == 0 and t % p == 0
    if q == 0:
        return 1
    return 1 + divisible


@pytest.mark.parametrize("level", [1, 3])
def test_routes_without_a_bracket_are_as_many_as_orders(level: int) -> None:
    found = [one for one in linear.splits(CONFIG)["train"] if one.benchmark == f"level{level}"]
    assert len(found) > 100
    for one in found:
        equation = one.equation
        wanted = walked((equation.p, equation.q), (equation.s, equation.t))
        assert len(linear.solutions(one)) == wanted


def test_all_routes_of_an_example_by_hand() -> None:
    assert [strings[0] for strings in linear.solutions(EXAMPLE).values()] == [
        "4 x - 4 = 8 ; 4 x = 12 ; x = 3 ; \\boxed { 3 }",
        "4 x - 4 = 8 ; x - 1 = 2 ; x = 3 ; \\boxed { 3 }",
        "6 x = 2 x + 12 ; 4 x = 12 ; x = 3 ; \\boxed { 3 }",
    ]
    bracket = linear.problem(2, Equation(1, 3, 0, 10, m=2))
    assert bracket.prompt == "2 ( x + 3 ) = 10 :"
    assert {strings[0] for strings in linear.solutions(bracket).values()} == {
        "x + 3 = 5 ; x = 2 ; \\boxed { 2 }",
        "2 x + 6 = 10 ; 2 x = 4 ; x = 2 ; \\boxed { 2 }",
        "2 x + 6 = 10 ; x + 3 = 5 ; x = 2 ; \\boxed { 2 }",
    }


def test_a_forgotten_move_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Negative control: without division of both terms the hand-made list is longer.
    real = _linear_routes.steps
    monkeypatch.setattr(_linear_routes, "steps", lambda now: [one for one in real(now) if one.p != 1 or not one.q])
    assert len(linear.solutions(EXAMPLE)) == 2


def test_every_listed_solution_verifies_with_its_form_and_fits() -> None:
    symbols = set(linear.vocabulary(CONFIG))
    assert len(symbols) == len(linear.vocabulary(CONFIG))
    found = linear.splits(CONFIG)
    for one in found["train"]:
        assert set(one.prompt.split()) <= symbols
        for strings in linear.solutions(one).values():
            assert set(strings[0].split()) <= symbols
    for one in found["validation"]:
        assert linear.solutions(one)
        for name, strings in linear.solutions(one).items():
            assert linear.verify(one, strings[0]) == linear.GradeResult(True, name, "correct")


@pytest.mark.parametrize(
    ("text", "correct", "form"),
    [
        ("4 x - 4 = 8 ; 4 x = 12 ; x = 3 ; \\boxed { 3 }", True, FIRST),
        ("8=-4+4x; 12 = 4x; 3=x; \\boxed{6/2}", True, FIRST),
        ("6 x - 4 = 2 x + 8 ; 4 x - 4 = 8 ; 4 x - 4 = 8 ; 4 x = 12 ; x = 3 ; \\boxed { 3 }", True, FIRST),
        ("8=-4+4x; 12 = 4x; 3=x; so \\boxed{3}", True, "other"),  # a word is no equation
        ("4 x = 13 ; x = 3 ; \\boxed { 3 }", True, "other"),  # a wrong step
        ("x = x ; x = 3 ; \\boxed { 3 }", True, "other"),  # says nothing
        ("1 2 = 4 x ; x = 3 ; \\boxed { 3 }", True, "other"),
        ("\\boxed { 3 }", True, "other"),
        ("4 x - 4 = 8 ; 4 x = 12 ; x = 3 ; \\boxed { 4 }", False, None),
        ("4 x - 4 = 8 ; 4 x = 12 ; x = 3", False, None),
        ("", False, None),
        ("( " * 5000 + "\\boxed { 3 }", True, "other"),
        ("\x00 \\boxed { 3 }", True, "other"),
    ],
)
def test_answers_decide_and_routes_are_told_apart(text: str, correct: bool, form: str | None) -> None:
    verdict = linear.verify(EXAMPLE, text)
    assert (verdict.correct, verdict.canonical) == (correct, form)


def test_a_different_order_of_moves_is_another_route() -> None:
    names = [canonical(text, EXAMPLE.equation, 3) for text in ("4x-4=8;4x=12;x=3", "6x=2x+12;4x=12;x=3", "x=3")]
    assert None not in names
    assert len(set(names)) == 3


@settings(deadline=None, max_examples=300)
@given(st.text("0123456789x+-=();{} \\boxed", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert linear.verify(EXAMPLE, text).correct is not None
    canonical(text, EXAMPLE.equation, 3)


def test_splits_are_disjoint_balanced_and_follow_the_seed() -> None:
    found = linear.splits(CONFIG)
    assert {name: len(problems) for name, problems in found.items()} == {
        "train": 480,
        "validation": 40,
        "heldout": 80,
    }
    everything = [one for problems in found.values() for one in problems]
    assert len({one.equation for one in everything}) == len({one.id for one in everything}) == 600
    assert Counter(one.benchmark for one in found["heldout"]) == {f"level{n}": 20 for n in range(1, 5)}
    for one in everything:
        left, right = sides(one.prompt.removesuffix(" :"))
        assert sympy.solve(left - right, X) == [one.answer]
        assert 1 <= one.answer <= 6
    fewer = linear.splits(dataclasses.replace(CONFIG, problems=300))
    assert fewer["heldout"] == found["heldout"]
    assert linear.splits(dataclasses.replace(CONFIG, seed=2))["heldout"] != found["heldout"]


def test_multiplicity_is_low_but_not_one() -> None:
    counts = [len(linear.solutions(one)) for one in linear.splits(CONFIG)["train"]]
    assert max(counts) <= 8
    assert sum(count > 1 for count in counts) > len(counts) / 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("levels", 0),
        ("levels", 5),
        ("max_coefficient", 2),
        ("max_constant", 0),
        ("max_answer", 100),
        ("problems", 120),
        ("validation", -1),
        ("seed", -1),
        ("name", "linaer"),
        ("split", "shuffled"),
    ],
)
def test_bad_config_is_named(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{field}="):
        dataclasses.replace(CONFIG, **{field: value})


def test_more_problems_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="problems=5000: no further level1"):
        linear.splits(linear.LinearConfig(1, 3, 2, 2, 5000, 10, 10, 0))
    with pytest.raises(ValueError, match="has no whole solution"):
        linear.problem(1, Equation(2, 0, 0, 3))


def test_the_task_by_name_and_its_experiment() -> None:
    assert tasks.get("linear") is linear.TASK
    config = load(ROOT / "rl" / "experiments" / "cpu" / "linear.yaml")
    assert isinstance(config.task, linear.LinearConfig)
    texts = [
        text
        for one in linear.splits(config.task)["train"]
        for forms in linear.solutions(one).values()
        for text in forms
    ]
    assert config.train.max_completion_length > max(len(text.split()) for text in texts)
    assert config.evaluate.max_tokens == config.train.max_completion_length
    assert [len(problems) for problems in linear.splits(config.task).values()] == [11400, 200, 400]


def test_a_base_model_is_made_and_evaluated_by_level(tmp_path: Any) -> None:
    whole = load(ROOT / "rl" / "experiments" / "cpu" / "linear.yaml")
    small = linear.LinearConfig(2, 4, 4, 4, 60, 6, 10, 0, split="drawn")
    assert isinstance(whole.base, from_scratch.BaseConfig)
    base = dataclasses.replace(whole.base, layers=1, width=32, heads=2, feedforward=64, steps=150, batch=64, warmup=5)
    folder = from_scratch.base_model(SimpleNamespace(scale="cpu", task=small, base=base), 0, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for one in linear.splits(small)["train"]:
        for strings in linear.solutions(one).values():
            ids = tokenizer(strings[0])["input_ids"]
            assert len(ids) == len(strings[0].split())
            assert tokenizer.unk_token_id not in ids
            assert tokenizer.decode(ids) == strings[0]
    problems = linear.splits(small)["heldout"]
    how = dataclasses.replace(whole.evaluate, ks=(1, 4), samples=8, max_tokens=40)
    found = evaluate(folder, linear, problems, how, seed=0)
    assert found.problems["benchmark"].tolist() == ["level1", "level2"] * 5
    by_level = found.summary["benchmarks"]
    assert {name: part["problems"] for name, part in by_level.items()} == {"level1": 5, "level2": 5}
    for k in ("1", "4"):
        mean = sum(part["pass_at_k"][k] for part in by_level.values()) / 2
        assert mean == pytest.approx(found.summary["pass_at_k"][k])
    assert sum(found.summary["reasons"].values()) == 80
    parts = [Counter(part["reasons"]) for part in by_level.values()]
    assert [part.total() for part in parts] == [40, 40]
    assert parts[0] + parts[1] == Counter(found.summary["reasons"])
    assert set(found.summary["reasons"]) <= {"correct", "wrong", "no answer", "unparsed", "no number"}
    exact = evaluate(folder, linear, problems, dataclasses.replace(how, mode="exact", samples=0), seed=0)
    assert 0 <= exact.summary["C"] <= 1
    assert set(exact.summary["benchmarks"]) == {"level1", "level2"}


def test_rewards_for_training() -> None:
    rewards = Rewards(linear, [EXAMPLE])
    texts = ["x = 3 ; \\boxed { 3 }", "\\boxed { 4 }", "x = 3"]
    assert rewards.reward(texts, [EXAMPLE.id] * 3) == [1.0, 0.0, 0.0]
    assert rewards.answers(texts, [EXAMPLE.id] * 3)[0] == "+1x=+3"
