"""Problems of reasoning-gym: split without leakage, graded by its own verifiers, which may fail."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from rl.evaluation.grading import grade_samples, per_problem
from rl.evaluation.sampled import Completion
from rl.tasks import reasoning_gym as gym
from rl.tasks._rows import left_out
from rl.training.rewards import Rewards

GCD = gym.ReasoningGymConfig(
    dataset="gcd",
    version="0.1.25",
    settings={"min_value": 2, "max_value": 30},
    working=False,
    problems=120,
    validation=10,
    heldout=30,
    seed=3,
)
SUMS = dataclasses.replace(
    GCD, dataset="chain_sum", settings={"min_terms": 3, "max_terms": 3, "max_digits": 1}, working=True
)


def test_splits_share_no_problem_and_follow_from_the_settings() -> None:
    found = gym.splits(GCD)
    assert {name: len(part) for name, part in found.items()} == {"train": 80, "validation": 10, "heldout": 30}
    pairs = [tuple(sorted(one.entry["metadata"]["numbers"])) for part in found.values() for one in part]
    assert len(set(pairs)) == 120, "12, 18 and 18, 12 are one problem"
    forms = {form for part in found.values() for one in part for form in gym.canonical_problem(one)}
    assert len(forms) == 120
    prompts = [one.prompt for one in found["heldout"]]
    assert prompts == [one.prompt for one in gym.splits(dataclasses.replace(GCD))["heldout"]]
    assert prompts != [one.prompt for one in gym.splits(dataclasses.replace(GCD, seed=4))["heldout"]]


def test_graded_by_its_own_verifier() -> None:
    one = gym.splits(GCD)["train"][0]
    right = one.entry["answer"]
    assert gym.verify(one, f" {right}\n") == gym.GradeResult(True, right, "correct")
    assert gym.verify(one, f"{right} or so").correct is False, "a part of a score is not correct"
    assert gym.examples(one) == (right,)


def test_several_right_answers() -> None:
    config = dataclasses.replace(GCD, dataset="palindrome_generation", settings={"min_length": 5, "max_length": 5})
    one = next(one for one in gym.splits(config)["train"] if len(set(one.entry["answer"])) == 3)
    first = one.entry["answer"]
    a, b, c = first[:3]
    other = b + a + c + a + b
    assert gym.verify(one, first).correct
    assert gym.verify(one, other).correct
    assert gym.verify(one, first).canonical != gym.verify(one, other).canonical


def test_with_steps_the_end_is_graded_and_the_way_tells_answers_apart() -> None:
    for one in gym.splits(SUMS)["heldout"]:
        assert one.prompt.endswith(gym._STEPS)
        ways = gym.examples(one)
        grades = [gym.verify(one, way) for way in ways]
        assert all(grade.correct for grade in grades)
        assert len({grade.canonical for grade in grades}) == len(ways) >= 1
        assert gym.verify(one, one.entry["answer"]).reason == "no answer"
        assert gym.verify(one, f"{ways[0]}1").correct is False
    entry = {"metadata": {"expression": "8 - 2 + 3"}}
    assert gym._sums(entry) == [
        "3 + 8 = 11, 11 - 2 = 9", "3 - 2 = 1, 1 + 8 = 9", "8 + 3 = 11, 11 - 2 = 9", "8 - 2 = 6, 6 + 3 = 9",
    ]  # fmt: skip


class Broken:
    def score_answer(self, answer: str, entry: dict[str, Any]) -> float:
        if answer == "boom":
            raise KeyError("of the verifier's own")
        return float(answer == entry["answer"])


def test_a_verifier_that_raises_costs_that_answer_and_is_counted() -> None:
    one = dataclasses.replace(gym.splits(GCD)["train"][0], dataset=Broken())
    texts = [one.entry["answer"], "boom", "no"]
    assert Rewards(gym.TASK, [one]).reward(texts, [one.id] * 3) == [1.0, None, 0.0]
    assert left_out()["answers to gcd"] == {"the verifier raised KeyError": 1}
    samples = grade_samples(gym.TASK, [one], [[Completion(text, 1, True, -1.0, True) for text in texts]])
    assert samples["reason"].tolist() == ["correct", "the verifier raised KeyError", "wrong"]
    assert per_problem(samples, (1,))["C"].tolist() == [1 / 3]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dataset": "gdc"}, "task.dataset: reasoning-gym has no 'gdc'; did you mean 'gcd'?"),
        ({"settings": {"max_valu": 3}}, "task.settings.max_valu: gcd has no such setting; did you mean 'max_value'?"),
        ({"settings": {"min_value": 0}}, "task.settings: gcd refuses them (min_value must be positive)"),
        ({"settings": {"min_value": "a"}}, "task.settings: gcd refuses them"),
        ({"version": "0.0.1"}, "reasoning-gym is installed at 0.1.25, 0.0.1 is asked for; `python -m pip install"),
        ({"dataset": "puzzle24", "settings": {}}, "task.dataset: puzzle24 runs text as code"),
        ({"settings": {"min_value": 2, "max_value": 4}}, "task.problems: 120 of gcd, only 6 are different"),
    ],
)
def test_what_there_is_not_is_named_in_one_line(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as error:
        gym.splits(dataclasses.replace(GCD, **change))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"working": True}, "working=True: no steps are known for 'gcd'; there are: chain_sum"),
        ({"settings": {"seed": 1}}, "settings.seed: is set elsewhere"),
        ({"heldout": 200}, "problems=120: must exceed"),
    ],
)
def test_settings_that_contradict_each_other(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(GCD, **change)
