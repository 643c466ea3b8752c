"""The benchmark compares the same check with itself: both ways agree, and a wrong formula stops it."""

import numpy as np
import pytest

from benchmarks import theory as bench
from theory import policies
from theory.checks.instances import random_instances


def test_the_loop_computes_what_the_vectorized_check_does():
    for found in random_instances(np.random.default_rng(3), 500):
        fast, slow = bench.vectorized(found), bench.loop(found)
        assert fast.shape == slow.shape == (len(found),)
        assert np.allclose(fast, slow, rtol=0, atol=1e-14)


def test_both_ways_see_a_policy_that_is_not_optimal(monkeypatch):
    real = policies.ds
    monkeypatch.setattr(policies, "ds", lambda lp, c, b, p, n=0.0: real(lp, c, b, n, p))
    with pytest.raises(RuntimeError, match="vectorized: residual"):
        bench.rate(200, 0)


def test_it_prints_both_rates_and_refuses_bad_input(capsys):
    assert bench.main(["--instances", "300"]) == 0
    printed = capsys.readouterr().out
    assert "vectorized" in printed
    assert "plain Python loop" in printed
    with pytest.raises(SystemExit) as stopped:
        bench.main(["--instances", "0"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
