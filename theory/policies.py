"""T4. Tabular policies and the closed forms of their KL-regularized optima, in log space.

The last axis runs over trajectories (m); leading axes are a batch over which the strengths (beta, gamma) broadcast.
Log-policies are natural logarithms (nats). Every closed form maximizes E_pi[R] − beta KL(pi‖pi0).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Strength = float | Array
FLOOR = -1e300  # finite, and below every logarithm of a float


def log_base(pi0: npt.ArrayLike) -> Array:
    """log pi0 of a base policy given as probabilities (..., m).

    Raises ValueError if an entry is not a positive number, or if they do not sum to one within 1e-9.
    """
    found = np.asarray(pi0, dtype=float)
    if found.ndim == 0 or found.shape[-1] < 2:
        raise ValueError(f"pi0={found.tolist()}: needs at least two trajectories")
    wrong = ~(np.isfinite(found) & (found > 0))
    if wrong.any():
        raise ValueError(f"pi0={found[wrong][0]}: every base probability must be finite and above zero")
    off = np.abs(found.sum(axis=-1) - 1)
    if (off > 1e-9).any():
        raise ValueError(f"pi0 sums to {float(found.sum(axis=-1).flat[int(off.argmax())]):.12g}, not to one")
    return np.asarray(np.log(found))


def check_correct(correct: npt.ArrayLike, m: int) -> Mask:
    """The correct set as a mask (..., m); raises ValueError if it is of another length, empty or everything.

    Also for entries that are no booleans, zeros or ones: the text "False" and .5 are true to Python.
    """
    given = np.asarray(correct)
    if given.dtype.kind not in "biuf" or (given.dtype.kind != "b" and not np.isin(given, (0, 1)).all()):
        raise ValueError(f"correct={given.tolist()}: every entry must be true or false")
    found = given.astype(bool)
    if found.ndim == 0 or found.shape[-1] != m:
        raise ValueError(f"correct has shape {found.shape}: its last axis must be the {m} trajectories")
    count = found.sum(axis=-1)
    if (count == 0).any() or (count == m).any():
        raise ValueError(f"correct={found.tolist()}: at least one trajectory must be correct and one incorrect")
    return found


def check_strength(name: str, value: Strength, positive: bool = False, signed: bool = False) -> Array:
    """A strength as an array; ValueError if not finite, negative (unless `signed`), or zero where `positive`."""
    found = np.asarray(value, dtype=float)
    bad = ~np.isfinite(found)
    if not signed:
        bad |= (found <= 0) if positive else (found < 0)
    if bad.any():
        wanted = "finite" if signed else "finite and above zero" if positive else "finite and not negative"
        raise ValueError(f"{name}={found[bad].flat[0]}: must be {wanted}")
    return found


def log_sum(logs: Array, keepdims: bool = False) -> Array:
    """log Σ e^x over the last axis; −inf where every entry is.

    As `scipy.special.logsumexp`, without its overhead: the largest entries are kept apart, so that a sum just above one
    keeps its digits. The sums run along the first axis of the transpose: much faster where the last axis is short.
    """
    columns = np.ascontiguousarray(logs.T)
    top = np.maximum.reduce(columns)
    largest = columns == top
    others = np.add.reduce(largest) - 1  # as large as the first of the largest
    rest = np.add.reduce(np.exp(columns - np.maximum(top, FLOOR)) * ~largest)
    found = np.asarray(np.log1p(rest + others) + top).T
    return found[..., None] if keepdims else found


def only(values: Array, mask: Mask) -> Array:
    """`values` on the mask, −inf off it: `np.where` without a branch for each entry."""
    return np.asarray(np.minimum(values, (mask - 0.5) * np.inf))


def log_normalize(logits: Array) -> Array:
    """Log-policy of the logits (..., m): logits − log Σ e^logits."""
    return np.asarray(logits - log_sum(logits, keepdims=True))


def log_odds(log_p: Array, correct: Mask) -> Array:
    """log pi(K) − log pi(I), shape (...,): correctness C on a scale where it does not round to 1."""
    return np.asarray(log_mass(log_p, correct) - log_mass(log_p, ~correct))


def log_mass(log_p: Array, mask: Mask) -> Array:
    """log pi(mask), shape (...,); −inf for an empty mask."""
    return log_sum(only(log_p, mask))


def conditional(log_p: Array, mask: Mask) -> Array:
    """log pi(·|mask), shape (..., m), −inf outside the mask."""
    return only(log_p - log_mass(log_p, mask)[..., None], mask)


def vanilla(log_p0: Array, correct: Mask, beta: Strength) -> Array:
    """T4: pi ∝ pi0 e^{r/beta}, the optimum of the reward r. Raises ValueError for beta ≤ 0."""
    return ds(log_p0, correct, beta, 0.0, 0.0)


def ds(log_p0: Array, correct: Mask, beta: Strength, gamma_p: Strength, gamma_n: Strength = 0.0) -> Array:
    """T4: differential smoothing, pi ∝ pi0^{1 − gamma_p/beta} e^{1/beta} on K, pi0^{1 + gamma_n/beta} on I.

    The optimum of r − gamma_p log pi0 on K, r + gamma_n log pi0 on I. ValueError for beta ≤ 0 or negative gammas, and
    for a base that rules a trajectory out: no KL to it is finite.
    """
    m = log_p0.shape[-1]
    if not np.isfinite(log_p0).all():
        raise ValueError(f"log_p0={log_p0[~np.isfinite(log_p0)][0]}: every log-probability of the base must be finite")
    mask = check_correct(correct, m)
    b = check_strength("beta", beta, positive=True)[..., None]
    on_correct = (1 - check_strength("gamma_p", gamma_p)[..., None] / b) * log_p0 + 1 / b
    on_incorrect = (1 + check_strength("gamma_n", gamma_n)[..., None] / b) * log_p0
    return log_normalize(np.where(mask, on_correct, on_incorrect))


def ds_centered(log_p0: Array, correct: Mask, beta: Strength, gamma_p: Strength, gamma_n: Strength = 0.0) -> Array:
    """T6: the fixed point of self-centered differential smoothing.

    Rewards r − gamma_p (log pi0 − E_{pi_K} log pi0) on K, r + gamma_n (log pi0 − E_{pi_I} log pi0) on I, the means
    under the policy itself and held constant. The conditionals are those of `ds`; the center changes the odds.
    """
    mask = check_correct(correct, log_p0.shape[-1])
    b = check_strength("beta", beta, positive=True)[..., None]
    p = check_strength("gamma_p", gamma_p)[..., None] / b
    n = check_strength("gamma_n", gamma_n)[..., None] / b
    smooth = ds(log_p0, mask, beta, gamma_p, gamma_n)
    center = [expected(conditional(smooth, part), log_p0)[..., None] for part in (mask, ~mask)]
    on_correct = log_p0 - p * (log_p0 - center[0]) + 1 / b
    on_incorrect = log_p0 + n * (log_p0 - center[1])
    return log_normalize(np.where(mask, on_correct, on_incorrect))


def entropy_ce(log_p0: Array, correct: Mask, beta: Strength, gamma: Strength) -> Array:
    """T4: entropy bonus (gamma > 0) or penalty (< 0), cross-entropy form: pi ∝ pi0^{1 − gamma/beta} e^{r/beta}."""
    mask = check_correct(correct, log_p0.shape[-1])
    b = check_strength("beta", beta, positive=True)[..., None]
    g = check_strength("gamma", gamma, signed=True)[..., None]
    return log_normalize((1 - g / b) * log_p0 + mask / b)


def entropy_shannon(log_p0: Array, correct: Mask, beta: Strength, gamma: Strength) -> Array:
    """T4: Shannon form, pi ∝ pi0^{beta/(beta+gamma)} e^{r/(beta+gamma)}, the optimum of E r − beta KL + gamma H.

    Raises ValueError unless beta > 0 and beta + gamma > 0 (otherwise there is no interior optimum).
    """
    mask = check_correct(correct, log_p0.shape[-1])
    b = check_strength("beta", beta, positive=True)[..., None]
    total = check_strength("beta + gamma", b + np.asarray(gamma, dtype=float)[..., None], positive=True)
    return log_normalize((b * log_p0 + mask) / total)


def expected(log_p: Array, values: Array) -> Array:
    """E_pi[values] over the last axis, shape (...,); trajectories of zero probability do not count."""
    p = np.exp(log_p)
    return np.asarray(np.einsum("...i,...i->...", p, np.where(p > 0, values, 0.0)))


def objective(log_p: Array, log_p0: Array, reward: Array, beta: Strength) -> Array:
    """E_pi[reward] − beta KL(pi‖pi0), shape (...,): what the closed forms maximize."""
    return np.asarray(expected(log_p, reward) - np.asarray(beta) * expected(log_p, log_p - log_p0))
