"""Boxes, and graders that hang or die: each costs one answer. What answers are: test_answers.py."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.tasks import _math_worker, math_grading
from rl.tasks.answers import read
from rl.tasks.math_grading import MAX_ANSWER, MAX_TEXT, Grader, boxed

# What is given up after three seconds
SLOW = r"\boxed{(x+y+z+w+1)^{60}}"
ENDLESS = r"\boxed{\gcd(9^{10^9},3)}"
GOLD = "(x+y+z+w+2)^{60}"


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (r"so \boxed{5}.", "5"),
        (r"\boxed{1} and then \boxed{2}", "2"),
        (r"\boxed{\frac{1}{\sqrt{2}}}", r"\frac{1}{\sqrt{2}}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\left\{x : x>0\right\}}", r"\left\{x : x>0\right\}"),
        (r"\boxed{\text{no } \{solution}", r"\text{no } \{solution"),
        (r"\boxed{\boxed{3}}", "3"),
        (r"\boxed{x = \boxed{3}}", "3"),
        (r"\boxed{1} and \boxed{2", "1"),
        (r"\boxed{2", None),
        (r"} \boxed{4} {", "4"),
        (r"\boxed {7}", "7"),
        (r"$\boxed 8$", "8"),
        (r"\boxed{1} $\boxed 8$", "8"),
        (r"\boxed 8 and then \boxed{1}", "1"),
        (r"\boxed{2} and \boxed{3}", "2, 3"),  # one answer
        (r"$\boxed{2}$, $\boxed{3}$, \text{ or } $\boxed{4}$", "2, 3, 4"),
        (r"\boxed{2} or \boxed{2}", "2"),
        (r"\boxed{1}. So \boxed{2}, \boxed{3}", "2, 3"),
        (r"\boxed{5}, to be put in \boxed{}", "5"),  # an empty box hides no full one
        (r"\boxed{5} \boxed{ }", "5"),
        (r"<think>\boxed{5}", None),  # the thought goes on
        (r"<think>a</think>\boxed{4}<think>\boxed{5}", "4"),
        (r"<think>\boxed{5}</think>\boxed{6}", "6"),
        (r"<think>\boxed{5}</think>", "5"),
        (r"\fbox{9}", "9"),
        (r"\boxedanswer{9}", None),
        (r"boxed{9}", None),
        (r"\\boxed{9}", None),  # a line break, then text
        (r"\boxed{}", None),
        ("\\boxed{ 1\n2 }", "1\n2"),
        ("", None),
        (r"\boxed", None),
    ],
)
def test_boxed(text: str, content: str | None) -> None:
    assert boxed(text) == content


def balanced() -> st.SearchStrategy[str]:
    plain = st.text("abc12+-$ \n", max_size=5)
    return st.recursive(
        plain,
        lambda inner: st.tuples(plain, inner, inner).map(lambda t: f"{t[0]}\\frac{{{t[1]}}}{{{t[2]}}}\\}}"),
        max_leaves=6,
    )


@settings(deadline=None, max_examples=200)
@given(st.lists(balanced(), min_size=1, max_size=4), balanced())
def test_the_last_of_several_boxes_whatever_nests_in_it(contents: list[str], tail: str) -> None:
    text = "so ".join(f"\\boxed{{{content}}}" for content in contents)
    last = [content.strip() for content in contents if content.strip()][-1:]
    assert boxed(text + tail) == (last[0] if last else None)


@settings(deadline=None, max_examples=200)
@given(st.text())
def test_any_text_has_a_box_or_none(text: str) -> None:
    found = boxed(text)
    assert found is None or found in text  # no text at random joins boxes


def test_open_boxes_without_end() -> None:
    text = r"\boxed{" * (MAX_TEXT // 7)  # where each is searched for its end this takes hours
    assert boxed(text) is None
    assert boxed(text + "5}") == "5"


# gold, answer, right?
PAIRS = [
    (r"\frac{1}{2}", "0.5", True),
    ("0.5", r"\frac{1}{2}", True),
    (r"\frac{1}{2}", "0.4", False),
    (r"\{1, 2\}", "2, 1", True),
    ("5", "", False),
    ("5", " ", False),
    ("5", "((((((", False),
    ("5", "\x00\x1b[2J", False),
    ("5", "\ud800", False),
    ("5", "__import__('os').system('true')", False),
    ("5", "1" * MAX_ANSWER, False),
    ("5", "5" + " " * 10_000 + "+0", False),  # longer than any answer
]


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as made:
        yield made


def mistakes(grader: Grader) -> list[tuple[str, str]]:
    grades = grader.grade([([gold], f"Hence $\\boxed{{{answer}}}$.") for gold, answer, _ in PAIRS])
    return [(gold, answer) for (gold, answer, right), grade in zip(PAIRS, grades) if grade.correct is not right]


def test_pairs(grader: Grader) -> None:
    assert mistakes(grader) == []


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("boxed", lambda text: text.split("{")[1].split("}")[0]),  # the first brace ends the box
        ("_SCORED", {**math_grading._SCORED, "wrong": True}),
    ],
)
def test_a_wrong_grader_is_noticed(grader: Grader, monkeypatch: pytest.MonkeyPatch, name: str, wrong: object) -> None:
    monkeypatch.setattr(math_grading, name, wrong)
    assert mistakes(grader) != []


def test_any_of_several_gold_answers_will_do(grader: Grader) -> None:
    found = grader.grade([(["3", "x+1"], text) for text in (r"\boxed{1+x}", r"\boxed{3}", r"\boxed{4}")])
    assert [grade.correct for grade in found] == [True, True, False]


def test_reasons_are_given_and_counted() -> None:
    asked = [
        (["5"], "long thought " * 800 + r"\boxed{5}"),  # ten thousand characters before the answer
        (["5"], r"\boxed{6}"),
        (["5"], "5"),
        (["5"], r"\boxed{}"),
        (["5"], r"\boxed{(((}"),
        (["((("], r"\boxed{5}"),
        (["((("], r"\boxed{(((}"),  # the very text
        (["5"], f"\\boxed{{{'5' * (MAX_ANSWER + 1)}}}"),
        (["5"], "x" * MAX_TEXT + r"\boxed{5}"),
    ]
    with Grader() as grader:
        found = grader.grade(asked)
        assert [(grade.correct, grade.reason) for grade in found] == [
            (True, "correct"),
            (False, "wrong"),
            (False, "no answer"),
            (False, "no answer"),
            (False, "unparsed"),
            (None, "gold unparsed"),
            (True, "correct"),
            (False, "too long"),
            (False, "too long"),
        ]
        assert found[0].answer == "5"
        grader.grade(asked[:2])
        assert grader.counts == {
            "correct": 3,
            "wrong": 2,
            "no answer": 2,
            "unparsed": 1,
            "gold unparsed": 1,
            "too long": 2,
        }


@pytest.mark.parametrize(("gold", "text"), [(GOLD, SLOW), ("1", ENDLESS)])
def test_a_timeout_costs_one_answer_and_is_remembered(grader: Grader, gold: str, text: str) -> None:
    asked = [([gold], text), ([gold], text), (["6"], r"\boxed{x\cdot 1}")]
    reasons = [grade.reason for grade in grader.grade(asked)]
    assert reasons == ["timeout", "timeout", "wrong"]
    assert [grade.correct for grade in grader.grade(asked)] == [None, None, False]
    with pytest.MonkeyPatch.context() as patch:  # copies cost nothing
        patch.setattr(math_grading._Worker, "ask", lambda *_: pytest.fail("was asked again"))
        again = grader.grade([([gold], f"Once more: {text}") for _ in range(1000)])
    assert {grade.reason for grade in again} == {"timeout"}


# A worker that is kept within one operation, where no signal is handled, by the answer 13.
STUCK = f"""
import importlib.util
spec = importlib.util.spec_from_file_location("worker", {str(math_grading._WORKER)!r})
worker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(worker)
judge = worker.judge
worker.judge = lambda golds, answer: sum(range(10**15)) if answer["latex"] == "13" else judge(golds, answer)
worker.serve()
"""


def test_what_no_signal_interrupts_is_ended_after_seconds_of_processor_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "stuck.py"
    path.write_text(STUCK)
    monkeypatch.setattr(math_grading, "_WORKER", path)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    asked = [(["1/1"], text) for text in (r"\boxed{2/2}", r"\boxed{13}", r"\boxed{13}", r"\boxed{3/3}")]
    with Grader(seconds=600.0) as grader:
        assert [grade.reason for grade in grader.grade(asked)] == ["correct", "timeout", "timeout", "correct"]
        assert [grade.reason for grade in grader.grade(asked)] == ["correct", "timeout", "timeout", "correct"]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Once, with two starts; to the end it would be hours
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 60


@pytest.mark.parametrize(
    "text",
    [
        *(
            "9^{9^{9^9}}",
            r"\frac{1}{9^{9^9}}",
            r"\prod_{k=1}^{1000000} k",
            r"\sum_{k=1}^{10^9} k^k",
            "10000000!",
        ),
        *(
            "(10^{10^{10}})!",
            "3!!!!!",
            "(x+1)^{100000}",
            "x=9^{9^9}",
            r"\{1, 9^{9^9}\}",
            r"\log(9^{9^{9^9}})",
            "1.5^{10^9}",
        ),
    ],
)
def test_absurd_sizes_are_refused_before_they_are_computed(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_math_worker, "_equal", lambda *_: pytest.fail("was computed"))
        assert _math_worker.judge([asdict(read("1"))], asdict(read(text))) == "too large"
        assert _math_worker.judge([asdict(read(text))], asdict(read("1"))) == "gold unparsed"


def test_a_large_number_that_can_be_computed_is() -> None:
    assert _math_worker.judge([asdict(read("2^{2024}-1"))], asdict(read("-1+4^{1012}"))) == "correct"
    assert _math_worker.judge([asdict(read("1000!"))], asdict(read(r"1000\cdot 999!"))) == "correct"


def test_what_is_seen_at_sight_starts_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_grading, "_Worker", lambda: pytest.fail("was started"))
    texts = ["5", "6", " -5 ", "3 4", "5.", r"\text{ five }", "((", r"\binom{1000000000}{3}"]
    with Grader() as grader:
        found = grader.grade([(["5"], f"\\boxed{{{text}}}") for text in texts[:5]])
        assert [grade.reason for grade in found] == ["correct", "wrong", "wrong", "no number", "correct"]
        found = grader.grade([(["five", "x"], f"\\boxed{{{text}}}") for text in texts[5:]])
        assert [grade.reason for grade in found] == ["correct", "unparsed", "too large"]
        assert grader.readable([["5"], [r"\frac{1}{2}", "3 4"], ["3 4"]]) == [True, True, False]


def test_gold_answers_that_can_be_read(grader: Grader) -> None:
    rows = [[r"\sqrt{2}"], ["((("], ["(((", "x^2"], [r"\text{even}"], ["(1,2)"], ["9^{9^{9^9}}"], ["8 apples"]]
    assert grader.readable(rows) == [True, False, True, True, True, False, True]


def during(grader: Grader, action: Callable[[int], None]) -> threading.Thread:
    """Do `action` to the grader's first worker as soon as it is at work."""

    def watch() -> None:
        while grader._workers[0] is None or grader._workers[0].deadline > time.monotonic() + grader.seconds:
            time.sleep(0.01)
        time.sleep(0.2)
        action(grader._workers[0].process.pid)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("number", "seconds", "reason"), [(signal.SIGKILL, 60.0, "died"), (signal.SIGSTOP, 2.0, "timeout")]
)
def test_a_worker_that_dies_or_hangs_costs_one_answer(number: signal.Signals, seconds: float, reason: str) -> None:
    texts = [SLOW, *(f"\\boxed{{{n}}}" for n in range(5))]
    with Grader(seconds=seconds) as grader:
        thread = during(grader, lambda process: os.kill(process, number))
        first = grader.grade([([GOLD], texts[0])])
        thread.join()
        assert [grade.reason for grade in first] == [reason]
        grader.seconds = 60.0
        rest = grader.grade([(["6/2"], text) for text in texts[1:]])
        assert [grade.correct for grade in rest] == [n == 3 for n in range(5)]
        assert grader.counts[reason] == 1


def test_several_workers_share_a_batch_and_a_killed_idle_one_costs_nothing() -> None:
    asked = [([f"{n}/1"], f"\\boxed{{{n % 7}}}") for n in range(14)]
    with Grader(workers=2) as grader:
        assert [grade.correct for grade in grader.grade(asked)] == [n < 7 for n in range(14)]
        workers = [worker for worker in grader._workers if worker]
        assert len(workers) == 2
        for worker in workers:
            worker.process.kill()
            worker.process.wait()
        assert [grade.reason for grade in grader.grade([(["8"], r"\boxed{4+4}")])] == ["correct"]
    assert all(worker.process.poll() is not None for worker in workers)


def test_memory_without_end_costs_one_answer(grader: Grader) -> None:
    [grade, after] = grader.grade([(["1"], r"\boxed{\gcd(10^{10^{10}},10^{10^{10}})}"), (["1"], r"\boxed{2/2}")])
    assert grade.correct is not True
    assert after.correct is True


def test_a_worker_outlives_no_parent() -> None:
    script = (
        "import os, rl.tasks.math_grading as m\n"
        "grader = m.Grader()\n"
        "grader.grade([(['1'], r'\\boxed{2/2}')])\n"
        "print(grader._workers[0].process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    process = int(done.stdout)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            state = open(f"/proc/{process}/stat").read().rsplit(")", 1)[1].split()[0]  # noqa: SIM115
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":
            return
        time.sleep(0.05)
    raise AssertionError("the worker still runs")


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ValueError, match="workers=0"):
        Grader(workers=0)
    with pytest.raises(ValueError, match="seconds=0"):
        Grader(seconds=0)


def test_a_worker_that_cannot_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_grading, "_WORKER", math_grading._WORKER.with_name("nothing.py"))
    with Grader() as grader, pytest.raises(RuntimeError, match="does not start"):
        grader.grade([(["1"], r"\boxed{2/2}")])
