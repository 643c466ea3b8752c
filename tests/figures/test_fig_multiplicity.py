"""T7's figure: its numbers by hand, and the place where measured models are laid on."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from recorded import write_run

from figures import fig_multiplicity, style
from rl.analysis.prediction import gap
from rl.analysis.results import load
from theory.table_data import fig_multiplicity as source


@pytest.fixture(scope="module")
def data():
    return pd.DataFrame(source.table())


def test_gains_by_hand(data):
    """gamma/beta = 1/2 and even classes: ± log(M/M*)/2 and, for DS, log(M/C0)/2."""
    gains = data[data["panel"] == "gain"].pivot(index="x", columns="method", values="y")
    x = gains.index.to_numpy()
    assert np.exp(x) == pytest.approx(np.array(source.CONFIG["M"]) / 8)  # M* = 32 · .2/.8
    assert gains["entropy-bonus"].to_numpy() == pytest.approx(x / 2, abs=1e-9)
    assert gains["entropy-penalty"].to_numpy() == pytest.approx(-x / 2, abs=1e-9)
    assert gains["ds"].to_numpy() == pytest.approx(np.log(np.array(source.CONFIG["M"]) / 0.2) / 2, abs=1e-9)


def test_flips_are_shares_that_grow_away_from_vanilla(data):
    for _, rows in data[data["panel"] == "flips"].groupby("method"):
        below = rows[rows["x"] < 1].sort_values("x")["y"].to_numpy()
        assert (np.diff(below) < 0).all()
        assert 0 < below[-1] < below[0] < 0.5


def test_measured_models_are_laid_on(data, tmp_path):
    """Two seeds of each run: the base's gap and the gain in log-odds over GRPO stand where they were recorded."""
    for seed in (0, 1):
        for method, correct in {"base": 0.2, "grpo": 0.4, "entropy-bonus": 0.6}.items():
            write_run(tmp_path, method, seed, np.full(5, correct), "maze-looped")
    rows = fig_multiplicity.measured({"maze-looped": load("maze-looped", tmp_path)})
    [one] = rows[rows["task"] == "maze-looped"].to_dict("records")
    assert (one["method"], one["y"]) == ("entropy-bonus", pytest.approx(2 * np.log(1.5)))
    assert one["x"] == pytest.approx(gap(load("maze-looped", tmp_path).of("base")[0]).mean())
    style.use()
    bare, laid = (fig_multiplicity.draw(which) for which in (data, pd.concat([data, rows])))
    assert (len(bare.axes), len(laid.axes)) == (2, 3)
    drawn = [tuple(np.ravel(bar.lines[0].get_data())) for bar in laid.axes[1].containers]
    wanted = [(np.exp(row.x), row.y) for row in rows.itertuples()]
    assert drawn == [pytest.approx(place, rel=0.08) for place in wanted]  # methods stand a little beside each other
    plt.close("all")
