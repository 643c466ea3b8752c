"""`python -m theory.verify --certified`: what it proves, that it proves nothing false, and that intervals are safe."""

import json
import random
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx, fmpq
from hypothesis import given
from hypothesis import strategies as st

from repro.manifest import missing_fields
from theory import dominance, heuristics, policies, strategies, utility, verify, weights
from theory.certified import bernstein, register, t5, t6, t7, t8, t9, t11, t12
from theory.certified.base import Proof, interval, rational, root


@pytest.fixture(autouse=True)
def precision():
    with ctx.workprec(128):
        yield


@pytest.mark.parametrize("name", register.MODULES)
def test_every_claim_is_proved_and_no_false_one(name):
    found = register.certify([name])
    assert [one.claim for one in found if not one.control and not one.proved] == []
    false = [one for one in found if one.control]
    assert false
    assert [one.claim for one in false if one.proved] == []
    assert all(one.boxes > 0 and one.theorem == name for one in found)


def test_it_prints_and_writes_one_line_a_claim(tmp_path, capsys):
    assert verify.main(["--certified", "--only", "t9", "T11", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    written = json.loads((tmp_path / "theory" / "certified-T9-T11.json").read_text())
    assert written["holds"]
    assert not missing_fields(written["manifest"])
    assert "python-flint" in written["manifest"]["versions"]
    lines = [line for line in out.splitlines() if line.startswith(("✓", "✗"))]
    assert len(lines) == len(written["certificates"])
    assert all("proved" in line and " decided" in line for line in lines)
    assert "false claims not proved" in out


@pytest.mark.parametrize("false_is_proved", [True, False])
def test_status_is_1_if_a_claim_fails_or_a_false_one_passes(false_is_proved, tmp_path, capsys, monkeypatch):
    proof = Proof()
    proof.holds(false_is_proved)
    wrong = proof.certificate("T9", "of no worth", "nowhere", control=false_is_proved)
    monkeypatch.setattr(t9, "certificates", lambda: [wrong])
    assert verify.main(["--certified", "--only", "T9", "--out", str(tmp_path)]) == 1
    assert "✗ T9" in capsys.readouterr().out
    assert not json.loads((tmp_path / "theory" / "certified-T9.json").read_text())["holds"]


def test_a_theorem_without_certificates_is_refused_in_one_line(capsys):
    with pytest.raises(SystemExit) as stopped:
        verify.main(["--certified", "--only", "T1"])
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "T1: no certificates" in line


def test_without_python_flint_it_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "theory.certified.register", None)
    monkeypatch.delattr("theory.certified.register")
    with pytest.raises(SystemExit) as stopped:
        verify.main(["--certified"])
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install --group certified" in line


# ── The arithmetic ──────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_decided_is_nothing_proved():
    assert not Proof().certificate("T9", "", "").proved


def test_what_only_touches_zero_is_not_proved():
    """x² > 0 fails at 0 alone; x² + 1/1000 > 0 holds on the whole interval, although x·x of an interval is not ≥ 0."""
    box = ((fmpq(-1), fmpq(1)),)
    touching, above = Proof(), Proof()
    touching.everywhere(lambda x: x[0] * x[0], box)
    above.everywhere(lambda x: x[0] * x[0] + fmpq(1, 1000), box)
    assert not touching.certificate("T9", "", "").proved
    assert above.certificate("T9", "", "").proved
    assert above.boxes > 1


def test_a_small_hole_is_found():
    """Positive everywhere but within 1e-4 of 0.337: no sample of a coarse grid sees it."""
    hole = Proof()
    hole.everywhere(lambda x: (x[0] - rational("0.337")) ** 2 - rational("1e-8"), ((fmpq(0), fmpq(1)),))
    assert not hole.certificate("T9", "", "").proved


fractions = st.fractions(-3, 3, max_denominator=1000)


@given(fractions, fractions, st.fractions(0, 1, max_denominator=50))
def test_an_interval_holds_all_between_its_ends(one, two, share):
    low, high = sorted((one, two))
    between = low + share * (high - low)
    found = interval(fmpq(low.numerator, low.denominator), fmpq(high.numerator, high.denominator))
    assert found.contains(arb(fmpq(between.numerator, between.denominator)))


@given(st.fractions(1, 50, max_denominator=1000))
def test_the_root_is_enclosed(square):
    wanted = fmpq(square.numerator, square.denominator)
    found = root(lambda x: wanted - x * x, fmpq(0), fmpq(51))
    assert found is not None
    assert found.contains(arb(wanted).sqrt())
    assert float(found.rad()) < 1e-6


def test_a_root_without_a_sign_change_is_none():
    assert root(lambda x: x * x + 1, fmpq(0), fmpq(1)) is None


def test_decimals_are_read_as_they_stand():
    assert rational(0.1) == fmpq(1, 10)
    assert rational("1e-3") == fmpq(1, 1000)


# ── The tables are those of the code ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [2, 3, 4, 7, 8, 16])
def test_exact_tables_are_those_of_the_code(size):
    pairs = [
        (bernstein.grpo(size), weights.grpo(size)),
        (bernstein.dr_grpo(size), weights.dr_grpo(size)),
        (bernstein.reinforce(size, fmpq(1), fmpq(1, 10)), weights.reinforce(size, 1.0, 0.1)),
        (bernstein.maxrl(size), weights.maxrl(size)),
        (bernstein.maxrl(size, True), weights.maxrl(size, unbiased=True)),
        (bernstein.f_grpo(size, fmpq(1, 2)), weights.f_grpo(size)),
        (bernstein.f_grpo(size, fmpq(1, 5)), weights.f_grpo(size, 0.2)),
        (bernstein.passk_training(size, 2), weights.passk_training(size, 2)),
        (bernstein.pkpo(size, 2), weights.pkpo(size, 2)),
    ]
    for exact, coded in pairs:
        np.testing.assert_allclose([float(d) for d in exact], coded.correct[1:] - coded.incorrect[:-1], atol=1e-12)


def test_grpo_pays_alike_up_to_three_rollouts():
    """Found by the certificate: the weight is least at ½ only from N = 4."""
    p = np.linspace(0.01, 0.99, 9)
    for size in (2, 3):
        assert np.ptp(weights.weight(weights.grpo(size), p)) < 1e-12
        assert not t11.least_at_half(bernstein.grpo(size))[0]
    assert np.ptp(weights.weight(weights.grpo(4), p)) > 0.01
    assert t11.least_at_half(bernstein.grpo(4))[0]


def test_falling_is_decided_by_the_polynomial_not_by_its_coefficients():
    """p² − p/2 − … rises and falls: the sign inside decides, and a zero at an end does no harm."""
    assert bernstein.negative_inside([fmpq(0), fmpq(-1)])[0]
    assert bernstein.negative_inside([fmpq(-1), fmpq(1, 10), fmpq(-1)])[
        0
    ]  # a positive coefficient, a negative polynomial
    assert not bernstein.negative_inside([fmpq(-1), fmpq(1), fmpq(-1)])[0]  # touches zero at ½
    assert not bernstein.negative_inside([fmpq(0), fmpq(0)])[0]


def test_limits_hold_those_of_the_code():
    chance = random.Random(0)
    for _ in range(30):
        a = [fmpq(chance.randint(0, 4), 4) for _ in range(4)]
        gamma_p, gamma_n = fmpq(chance.randint(1, 20), 8), fmpq(chance.randint(0, 5), 8)
        found = t9.limit(a, gamma_p, gamma_n)
        floats = np.array([float(Fraction(int(x.p), int(x.q))) for x in a])
        if found is None:
            with pytest.raises(ValueError, match="smoothed"):
                strategies.limit(floats, float(gamma_p.p) / float(gamma_p.q), float(gamma_n.p) / float(gamma_n.q))
            continue
        coded = strategies.limit(floats, float(gamma_p.p) / float(gamma_p.q), float(gamma_n.p) / float(gamma_n.q))
        np.testing.assert_allclose([float(x) for x in found], np.exp(coded), atol=1e-12)


def test_who_is_ahead_is_right_in_whole_numbers():
    """From the k that is named, Pass@k is larger in exact arithmetic; and two equal vectors are never ahead."""
    chance = random.Random(1)
    named = 0
    for _ in range(200):
        one, two = ([fmpq(chance.randint(1, 9), 10) for _ in range(3)] for _ in range(2))
        k = t9.ahead_from(one, two)
        assert t9.ahead_from(one, one) is None
        if k is not None:
            named += 1
            for later in (k, k + 1, 3 * k):
                assert t9.pass_at_k(one, later) > t9.pass_at_k(two, later)
    assert named > 40


def test_the_maxima_are_those_of_the_code():
    """T12's enclosed limits against `utility.limit`, which climbs the potential."""
    model = strategies.UNEVEN
    for exact, coded in (
        (bernstein.maxrl(8), weights.maxrl(8)),
        (bernstein.f_grpo(8, fmpq(1, 2)), weights.f_grpo(8)),
        (bernstein.passk_training(8, 2), weights.passk_training(8, 2)),
    ):
        for gamma_p in (0, 1):
            proof = Proof()
            x = t12.only_maximum(exact, fmpq(gamma_p), proof)
            assert proof.proved
            assert float(x) == pytest.approx(np.exp(utility.limit(model.table, coded, float(gamma_p)))[1], abs=1e-3)


def points(box, count=40, seed=0):
    """Rational points of a box, as intervals without width, and as floats."""
    chance = random.Random(seed)
    for _ in range(count):
        found = [low + fmpq(chance.randint(0, 64), 64) * (high - low) for low, high in box]
        yield [interval(x, x) for x in found], [float(Fraction(int(x.p), int(x.q))) for x in found]


def test_odds_gain_is_that_of_the_code():
    for exact, (a, b, t, u) in points(t5.POLICIES):
        log_p0, correct = policies.log_base([a, b, 1 - a - b]), np.array([True, True, False])
        coded = dominance.odds_gain(log_p0, correct, 1.0, t, u)
        assert float(t5.odds_gain(exact)) == pytest.approx(float(coded), rel=1e-9)


@pytest.mark.parametrize("box", [t6.FAILS, t6.HOLDS])
def test_the_boundary_is_that_of_the_code(box):
    for exact, (a, b, c, inverse_beta, s) in points(box):
        log_p0, correct = policies.log_base([a, b, c, 1 - a - b - c]), np.array([True, True, False, False])
        beta = 1 / inverse_beta
        bonus = policies.entropy_ce(log_p0, correct, beta, (1 - s) * beta)
        assert float(t6.margin(exact)) == pytest.approx(
            float(dominance.boundary(log_p0, correct, bonus, s).margin), abs=1e-9
        )


@pytest.mark.parametrize("box", t6.CENTERED)
def test_the_centered_gap_is_that_of_the_code(box):
    for exact, (a, b, c, inverse_beta, s) in points(box):
        log_p0, correct = policies.log_base([a, b, c, 1 - a - b - c]), np.array([True, True, False, False])
        beta = 1 / inverse_beta
        bonus = policies.entropy_ce(log_p0, correct, beta, (1 - s) * beta)
        ours = dominance.centered_policy(log_p0, correct, 0.0, s)
        gap = (np.exp(bonus) * (bonus - log_p0)).sum() - (np.exp(ours) * (ours - log_p0)).sum()
        assert float(t6.centered_gap(exact)) == pytest.approx(gap, abs=1e-9)
        assert policies.log_odds(ours, correct) > policies.log_odds(bonus, correct)


def test_the_slope_is_that_of_the_code():
    for exact, (a, b, c, s) in points(t7.GLOBAL):
        log_p0, correct = policies.log_base([a, b, c, 1 - a - b - c]), np.array([True, True, False, False])
        found = t7.slope(exact[:2], [exact[2], 1 - exact[0] - exact[1] - exact[2]], exact[3])
        assert float(found) == pytest.approx(float(heuristics.log_odds_slope(log_p0, correct, s)), abs=1e-9)


def test_the_second_step_is_that_of_the_code():
    for exact, (a, b, t, u) in points(t8.TWO_STEPS):
        log_p0, correct = policies.log_base([a, b, 1 - a - b]), np.array([True, True, False])
        one = policies.ds(log_p0, correct, 1.0, t, u)
        two = policies.ds(one, correct, 1.0, t, u)
        grown = policies.log_odds(two, correct) - policies.log_odds(one, correct) - 1
        assert float(t8.two_steps(exact)) == pytest.approx(float(grown), abs=1e-9)


@pytest.mark.parametrize(("answers", "root", "exponent", "holds"), [(3, 4, 2, True), (3, 4, 0, True), (2, 2, -2, True)])
def test_majorization_agrees_with_samples(answers, root, exponent, holds):
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(0.05, 1, (500, answers)))[:, ::-1]
    p, q = x**root, np.sort(x.astype(float) ** exponent)[:, ::-1]
    p, q = (np.cumsum(one / one.sum(-1, keepdims=True), axis=-1) for one in (p, q))
    assert (p >= q - 1e-12).all() == holds
    assert t5.majorizes(answers, root, exponent)[0] == holds


def test_the_fall_is_a_derivative():
    h, step = bernstein.maxrl(8), fmpq(1, 10**9)
    for x in (fmpq(1, 10), fmpq(1, 2), fmpq(9, 10)):
        change = t12.ahead(h, fmpq(2), arb(x + step)) - t12.ahead(h, fmpq(2), arb(x - step))
        wanted = -x * (1 - x) * change / (2 * step)
        assert float(t12.fall(h, fmpq(2), arb(x))) == pytest.approx(float(wanted), abs=1e-6)
