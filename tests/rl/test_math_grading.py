"""Boxes, hard pairs of answers, and graders that hang or die: each costs one answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.tasks import _math_worker, math_grading
from rl.tasks.math_grading import MAX_ANSWER, MAX_TEXT, Grader, boxed

SLOW = r"\boxed{9^{9^{9^{9}}}}"  # what is given up after three seconds


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
        (r"\boxed 8 and \boxed{1}", "1"),
        (r"\fbox{9}", "9"),
        (r"\boxedanswer{9}", None),
        (r"boxed{9}", None),
        (r"\\boxed{9}", None),  # a line break, then text
        (r"\boxed{}", ""),
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
    assert boxed(text + tail) == contents[-1].strip()


@settings(deadline=None, max_examples=200)
@given(st.text())
def test_any_text_has_a_box_or_none(text: str) -> None:
    found = boxed(text)
    assert found is None or found in text


def test_open_boxes_without_end() -> None:
    text = r"\boxed{" * (MAX_TEXT // 7)  # where each is searched for its end this takes hours
    assert boxed(text) is None
    assert boxed(text + "5}") == "5"


# gold, answer, right?
PAIRS = [
    # fractions and numbers
    (r"\frac{1}{2}", "0.5", True),
    (r"\frac12", r"\frac{2}{4}", True),
    (r"\frac{3}{4}", r"\dfrac{3}{4}", True),
    ("1/2", r"\frac{1}{2}", True),
    (r"1\frac{1}{2}", "1.5", True),
    (r"-\frac{1}{2}", r"\frac{1}{2}", False),
    (r"\frac{1}{3}", "0.3333333", True),
    (r"\frac{1}{3}", "0.33", False),
    ("1,000", "1000", True),
    ("10^{-3}", "0.001", True),
    ("4.5e33", r"4.5 \times 10^{33}", True),
    ("1.2e-3", "0.0012", True),
    ("2e3", "2e", False),
    ("3", "3.0", True),
    ("3", "3.0001", False),
    ("2", "1,2,3", False),
    ("5", r"5 \text{ or } 6", False),
    # roots, powers, polynomials, constants
    (r"\sqrt{8}", r"2\sqrt2", True),
    (r"\frac{\sqrt3}{3}", r"\frac{1}{\sqrt{3}}", True),
    ("x^2+2x+1", "(x+1)^2", True),
    ("x^2+2x+1", "x^2+1", False),
    (r"\pi/4", r"\frac{\pi}{4}", True),
    (r"1\pm\sqrt{2}", r"1+\sqrt2,1-\sqrt2", True),
    ("2+3i", "3i+2", True),
    ("2+3i", "2-3i", False),
    # intervals
    ("[0,1)", "[0, 1)", True),
    ("[0,1)", "[0,1]", False),
    ("(0,1)", "[0,1]", False),
    (r"(-\infty,2]\cup[3,\infty)", r"\left(-\infty, 2\right] \cup [3, \infty)", True),
    (r"(-\infty,2]\cup[3,\infty)", r"(-\infty,2)\cup[3,\infty)", False),
    ("0<x<1", "(0,1)", True),
    ("(0,1)", "0<x<1", False),  # not symmetric: the gold answer comes first
    ("x>3", r"(3,\infty)", True),
    # sets, tuples, matrices
    (r"\{1,2\}", r"\{2,1\}", True),
    (r"\{1,2\}", "1, 2", True),
    (r"\{1,2\}", "1", False),
    (r"\{1,2\}", r"\{1,2,3\}", False),
    (r"\left(3,\frac{\pi}{2}\right)", r"(3,\pi/2)", True),
    ("(1,2)", "(2,1)", False),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{bmatrix}1&2\\3&4\end{bmatrix}", True),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&3\\2&4\end{pmatrix}", False),
    # units: they are left out of the comparison, wrong ones too
    (r"10\text{ cm}", "10", True),
    (r"10\text{ cm}", r"10\text{ m}", True),
    (r"90^\circ", "90", True),
    (r"\$18.90", "18.9", True),
    (r"12\%", "0.12", True),
    ("5", r"5\text{ apples}", True),
    # text, letters, equations
    (r"\text{even}", r"\text{even}", True),
    (r"\text{even}", r"\text{odd}", False),
    ("Thursday", r"\text{Thursday}", True),
    (r"\text{(C)}", "C", True),
    (r"\text{(C)}", "(D)", False),
    ("5", r"\text{the answer is } 5", False),
    ("x=3", "3", True),
    ("3", "x=3", True),
    ("3", "x=4", False),
    # nested braces, a box in the answer, dollars
    (r"\frac{1}{1+\frac{1}{1+\frac{1}{2}}}", r"\frac{3}{5}", True),
    ("5", r"\boxed{5}", True),
    ("$5$", "5", True),
    ("5", "$5$", True),
    # empty, and what is no mathematics
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


def test_hard_pairs(grader: Grader) -> None:
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


def test_answer_taken_for_gold_is_noticed() -> None:
    assert _math_worker.judge(["0<x<1"], "(0,1)") == "correct"
    assert _math_worker.judge(["(0,1)"], "0<x<1") == "wrong"


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


def test_a_timeout_inside_costs_one_answer_and_is_not_remembered(grader: Grader) -> None:
    def seen() -> list[bool | None]:
        return [grade.correct for grade in grader.grade([(["1"], SLOW), (["1"], r"\boxed{1}")])]

    before = grader.counts["timeout"]
    process = grader._workers[0].process.pid if grader._workers[0] else None
    assert seen() == [None, True]
    assert grader.counts["timeout"] == before + 1
    assert (("1",), "9^{9^{9^{9}}}") not in grader._known
    assert process is None or (grader._workers[0] and grader._workers[0].process.pid == process)


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
        first = grader.grade([(["3"], texts[0])])
        thread.join()
        assert [grade.reason for grade in first] == [reason]
        grader.seconds = 60.0
        rest = grader.grade([(["3"], text) for text in texts[1:]])
        assert [grade.correct for grade in rest] == [n == 3 for n in range(5)]
        assert grader.counts[reason] == 1


def test_several_workers_share_a_batch_and_a_killed_idle_one_costs_nothing() -> None:
    asked = [([str(n)], f"\\boxed{{{n % 7}}}") for n in range(14)]
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
    [grade, after] = grader.grade([(["1"], r"\boxed{10000000!}"), (["1"], r"\boxed{1}")])
    assert grade.correct is not True
    assert after.correct is True


def test_a_worker_outlives_no_parent() -> None:
    script = (
        "import os, rl.tasks.math_grading as m\n"
        "grader = m.Grader()\n"
        "grader.grade([(['1'], r'\\boxed{1}')])\n"
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
        grader.grade([(["1"], r"\boxed{1}")])
