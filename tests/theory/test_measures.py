"""The diversity family is Schur-concave; divergences agree with SciPy and quadrature, and obey data processing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import rel_entr
from scipy.stats import entropy

from theory import measures, policies


def log_of(weights: list[float]) -> np.ndarray:
    return np.log(np.array(weights) / np.sum(weights))


def distributions(n: int) -> st.SearchStrategy[np.ndarray]:
    return st.lists(st.floats(1e-6, 1.0), min_size=n, max_size=n).map(log_of)


@st.composite
def transfers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """(p, q) with p majorising q: q is p after random Robin Hood transfers (a product of T-transforms)."""
    n = draw(st.integers(2, 7))
    p = np.exp(draw(distributions(n)))
    q = p.copy()
    for _ in range(draw(st.integers(0, 5))):
        i, j = draw(st.permutations(range(n)))[:2]
        share = draw(st.floats(0, 1))
        q[i], q[j] = share * q[i] + (1 - share) * q[j], share * q[j] + (1 - share) * q[i]
    with np.errstate(divide="ignore"):
        return np.log(p), np.log(q)


@settings(deadline=None, max_examples=200)
@given(transfers())
def test_every_diversity_is_schur_concave(pair):
    uneven, even = pair
    whole = np.ones(len(even), bool)
    assert measures.majorizes(uneven, even)
    for name, diversity in measures.DIVERSITIES.items():
        assert diversity(even, whole) >= diversity(uneven, whole) - 1e-9, name


def test_a_schur_convex_functional_would_be_noticed():
    uneven, even = log_of([0.7, 0.2, 0.1]), log_of([0.4, 0.35, 0.25])
    assert measures.majorizes(uneven, even)
    assert not measures.majorizes(even, uneven)
    assert not np.sum(np.exp(even) ** 2) >= np.sum(np.exp(uneven) ** 2)


def test_majorisation_is_a_partial_order_by_hand():
    first, second = log_of([0.6, 0.2, 0.2]), log_of([0.5, 0.4, 0.1])
    assert not measures.majorizes(first, second)  # .6 ≥ .5 but .8 < .9
    assert not measures.majorizes(second, first)


def test_diversities_by_hand():
    q, whole = log_of([0.5, 0.25, 0.25]), np.ones(3, bool)
    assert measures.gini_simpson(q) == pytest.approx(1 - 0.375)
    assert measures.normalized_variance_complement(q, whole) == pytest.approx((1 - 0.375) * 3 / 2)
    assert measures.shannon_entropy(q) == pytest.approx(1.5 * np.log(2))
    assert measures.min_entropy(q) == pytest.approx(np.log(2))
    assert measures.hill(q, order=0) == pytest.approx(3)
    assert measures.hill(q, order=2) == pytest.approx(1 / 0.375)
    assert measures.hill(q, order=np.inf) == pytest.approx(2)
    assert measures.hill(q, order=0.5) == pytest.approx(np.sqrt([0.5, 0.25, 0.25]).sum() ** 2)


@pytest.mark.parametrize("name", measures.DIVERSITIES)
def test_the_uniform_is_the_most_diverse_and_the_point_mass_the_least(name):
    rng = np.random.default_rng(3)
    diversity, n = measures.DIVERSITIES[name], 5
    whole = np.ones(n, bool)
    some = np.log(rng.dirichlet(np.ones(n), 200) + 1e-15)
    with np.errstate(divide="ignore"):
        point = np.log(np.eye(n)[0])
    values = diversity(policies.log_normalize(some), np.broadcast_to(whole, some.shape))
    assert np.all(values <= diversity(np.full(n, -np.log(n)), whole) + 1e-12)
    assert np.all(values >= diversity(point, whole) - 1e-12)


def test_gini_simpson_is_the_trace_of_the_one_hot_covariance():
    rng = np.random.default_rng(4)
    q = rng.dirichlet(np.ones(4))
    draws = np.eye(4)[rng.choice(4, p=q, size=200_000)]
    assert measures.gini_simpson(np.log(q)) == pytest.approx(np.trace(np.cov(draws.T)), abs=5e-3)


def test_absent_answers_do_not_count():
    with np.errstate(divide="ignore"):
        q = np.log(np.array([0.5, 0.5, 0.0]))
    support = np.array([True, True, False])
    assert measures.shannon_entropy(q) == pytest.approx(np.log(2))
    assert measures.hill(q, order=0) == pytest.approx(2)
    assert measures.normalized_variance_complement(q, support) == pytest.approx(1)
    assert measures.kl(q, log_of([0.25, 0.25, 0.5])) == pytest.approx(np.log(2))


def test_one_correct_answer_has_no_variance_to_normalize():
    with np.errstate(divide="ignore"):
        q = np.log(np.array([1.0, 0.0]))
    assert measures.normalized_variance_complement(q, np.array([True, False])) == 0


@settings(deadline=None, max_examples=100)
@given(distributions(5), distributions(5))
def test_divergences_agree_with_scipy(log_p, log_q):
    p, q = np.exp(log_p), np.exp(log_q)
    assert measures.kl(log_p, log_q) == pytest.approx(rel_entr(p, q).sum(), rel=1e-9, abs=1e-12)
    assert measures.forward_kl(log_p, log_q) == pytest.approx(entropy(q, p), rel=1e-9, abs=1e-12)
    assert measures.renyi(log_p, log_q, alpha=1) == pytest.approx(entropy(p, q), rel=1e-9, abs=1e-12)
    assert measures.chi_squared(log_p, log_q) == pytest.approx(np.sum((p - q) ** 2 / q), rel=1e-9, abs=1e-12)
    assert measures.chi_squared(log_p, log_q) == pytest.approx(
        np.expm1(measures.renyi(log_p, log_q, alpha=2)), rel=1e-7, abs=1e-9
    )
    half = (log_p + log_q) / 2
    assert measures.renyi(log_p, log_q, alpha=0.5) == pytest.approx(-2 * np.log(np.exp(half).sum()), abs=1e-9)


@pytest.mark.parametrize("apart", [100.0, 400.0, 700.0])
def test_chi_squared_where_ratios_are_huge_or_the_base_underflows(apart):
    """Two atoms: p = (½, ½), q = (e^{−apart}/2, the rest): Σ p²/q − 1 = e^{apart}/2 + ½/(2 − e^{−apart}) − 1."""
    log_p = np.log([0.5, 0.5])
    log_q = np.array([np.log(0.5) - apart, np.log1p(-0.5 * np.exp(-apart))])
    wanted = np.log(0.5) + apart  # the other terms are lost beside it
    assert np.log(measures.chi_squared(log_p, log_q)) == pytest.approx(wanted, rel=1e-12)
    under = np.array([-760.0, 0.0])  # exp(−760) is 0 to the machine
    assert np.log(measures.chi_squared(np.array([-100.0, 0.0]), under)) == pytest.approx(560.0, rel=1e-12)
    absent = np.array([-np.inf, 0.0])
    assert measures.chi_squared(absent, absent) == 0


@settings(deadline=None, max_examples=30)
@given(distributions(4), distributions(4))
def test_divergences_agree_with_quadrature(log_p, log_q):
    """On step densities over [0, 4): total variation, and the KL as an integral of chi-squares along the segment."""
    p, q = np.exp(log_p), np.exp(log_q)
    apart = quad(lambda x: abs(p[int(x)] - q[int(x)]) / 2, 0, 4 - 1e-12, points=[1, 2, 3])[0]
    assert measures.total_variation(log_p, log_q) == pytest.approx(apart, abs=1e-9)

    def fisher(t: float) -> float:  # d²/dt² KL(q + t(p − q)‖q)
        return float(np.sum((p - q) ** 2 / (q + t * (p - q))))

    assert measures.kl(log_p, log_q) == pytest.approx(quad(lambda t: (1 - t) * fisher(t), 0, 1)[0], rel=1e-6, abs=1e-10)


@settings(deadline=None, max_examples=150)
@given(distributions(6), distributions(6), st.lists(st.integers(0, 2), min_size=6, max_size=6))
def test_divergences_are_not_negative_and_fall_when_atoms_merge(log_p, log_q, cells):
    onto = np.eye(3)[cells].T
    used = onto.any(axis=1)
    merged = [np.log((onto @ np.exp(log))[used]) for log in (log_p, log_q)]
    for name, divergence in measures.DIVERGENCES.items():
        whole = divergence(log_p, log_q)
        assert whole >= -1e-12, name
        assert divergence(log_p, log_p) == pytest.approx(0, abs=1e-12), name
        assert divergence(*merged) <= whole * (1 + 1e-9) + 1e-12, name


def test_each_named_measure_is_the_one_it_says():
    """Against sums in plain numbers, with an answer that p lacks; forward KL the other way round."""
    p, q = np.array([0.8, 0.2, 0.0]), np.array([0.25, 0.25, 0.5])
    with np.errstate(divide="ignore"):
        log_p, log_q = np.log(p), np.log(q)

    def renyi(alpha):
        return np.log(sum(x**alpha * y ** (1 - alpha) for x, y in ((0.8, 0.25), (0.2, 0.25)))) / (alpha - 1)

    reverse = 0.8 * np.log(0.8 / 0.25) + 0.2 * np.log(0.2 / 0.25)
    wanted = {
        "reverse KL": reverse,
        "total variation": 0.55,
        "Rényi 1/2": renyi(0.5),
        "Rényi 2": renyi(2),
        "Rényi 5": renyi(5),
        "chi-squared": 0.55**2 / 0.25 + 0.05**2 / 0.25 + 0.5,
    }
    for name, value in wanted.items():
        assert measures.DIVERGENCES[name](log_p, log_q) == pytest.approx(value, rel=1e-12), name
    assert measures.DIVERGENCES["forward KL"](log_q, log_p) == pytest.approx(reverse, rel=1e-12)
    assert {*wanted, "forward KL"} == set(measures.DIVERGENCES)

    entropy_p = -0.8 * np.log(0.8) - 0.2 * np.log(0.2)
    wanted = {
        "Gini-Simpson": 1 - 0.64 - 0.04,
        "normalized-variance complement": 1 - ((0.8 - 1 / 3) ** 2 + (0.2 - 1 / 3) ** 2 + 1 / 9) / (2 / 3),
        "Shannon entropy": entropy_p,
        "Hill 0": 2.0,
        "Hill 1/2": (np.sqrt(0.8) + np.sqrt(0.2)) ** 2,
        "Hill 2": 1 / 0.68,
        "Hill 5": (0.8**5 + 0.2**5) ** (-1 / 4),
        "min-entropy": -np.log(0.8),
    }
    for name, value in wanted.items():
        assert measures.DIVERSITIES[name](log_p, np.ones(3, bool)) == pytest.approx(value, rel=1e-12), name
    assert set(wanted) == set(measures.DIVERSITIES)
    assert measures.hill(log_p, order=1) == pytest.approx(np.exp(entropy_p))


def test_two_answers_and_one_in_the_complement_of_variance():
    """n = 2 and (¾, ¼): 1 − 2 (¼)²/(½); a point mass 0; and 0 where there is one answer alone."""
    found = [
        measures.normalized_variance_complement(np.array(log_q), np.array(support))
        for log_q, support in (
            (np.log([0.75, 0.25]), [True, True]),
            ([0.0, -np.inf], [True, True]),
            ([0.0, -np.inf], [True, False]),
        )
    ]
    assert found == pytest.approx([0.75, 0.0, 0.0])


def test_renyi_rises_with_its_order():
    rng = np.random.default_rng(5)
    log_p, log_q = np.log(rng.dirichlet(np.ones(4), (2, 100)))
    values = [measures.renyi(log_p, log_q, alpha=alpha) for alpha in (0.1, 0.5, 0.999, 1, 1.001, 2, 5)]
    assert np.all(np.diff(values, axis=0) >= -1e-12)
    assert np.allclose(values[2], values[3], rtol=1e-2)


def test_correctness_by_hand():
    assert measures.correctness(log_of([0.2, 0.3, 0.5]), np.array([True, True, False])) == pytest.approx(0.5)


@pytest.mark.parametrize("order", [-1.0, float("nan")])
def test_a_negative_order_is_refused(order):
    with pytest.raises(ValueError, match="order="):
        measures.hill(log_of([1, 2]), order=order)


@pytest.mark.parametrize("alpha", [0.0, -2.0, float("nan"), float("inf")])
def test_a_wrong_alpha_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha="):
        measures.renyi(log_of([1, 2]), log_of([2, 1]), alpha=alpha)
