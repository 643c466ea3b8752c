"""The frontier's table holds what its columns say: DS rows are literal DS policies, and no bonus lies above them."""

import numpy as np
import pandas as pd
import pytest

from theory import dominance, measures, policies
from theory.table_data import fig_frontier

LOG_P0 = policies.log_base([*fig_frontier.CONFIG["correct"], *fig_frontier.CONFIG["incorrect"]])
CORRECT = np.arange(8) < 4


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return pd.DataFrame(fig_frontier.table())


def test_ds_rows_are_literal_and_as_close_as_said(rows):
    curve = rows[(rows["panel"] == "frontier") & (rows["method"] == "ds")]
    assert 0 < len(curve) < len(fig_frontier.TILTS)  # literal DS does not reach the most diverse end
    assert curve["s"].max() == 1
    for s, diversity, c in zip(curve["s"], curve["x"], curve["y"]):
        floor = dominance.log_z(LOG_P0, CORRECT, s) - policies.log_mass(LOG_P0, ~CORRECT)
        beta = 1 / (np.log(c / (1 - c)) - floor)
        policy = policies.ds(LOG_P0, CORRECT, beta, (1 - s) * beta)
        assert measures.correctness(policy, CORRECT) == pytest.approx(c)
        assert measures.kl(policy, LOG_P0) == pytest.approx(fig_frontier.CONFIG["budget"])
        assert measures.gini_simpson(policies.conditional(policy, CORRECT)) == pytest.approx(diversity)


def test_centered_rows_go_on_where_literal_ds_cannot(rows):
    curve = rows[(rows["panel"] == "frontier") & (rows["method"] == "ds-centered")]
    assert np.allclose(curve["s"], fig_frontier.TILTS)
    for s, c in zip(curve["s"], curve["y"]):
        beta = 1 / (np.log(c / (1 - c)) - dominance.centered_log_odds(LOG_P0, CORRECT, s))
        policy = policies.ds_centered(LOG_P0, CORRECT, beta, (1 - s) * beta)
        assert measures.correctness(policy, CORRECT) == pytest.approx(c)
        assert measures.kl(policy, LOG_P0) == pytest.approx(fig_frontier.CONFIG["budget"])


def test_at_equal_diversity_the_bonus_is_below(rows):
    frontier, bonus = (
        rows[(rows["panel"] == "frontier") & (rows["method"] == method)].set_index("s")["y"]
        for method in ("ds-centered", "entropy-bonus")
    )
    known = bonus.dropna()
    apart = known.index < 1
    assert np.all(frontier[known.index][apart] > known[apart])


def test_the_example_by_hand_lies_where_only_self_centered_ds_does(rows):
    regimes = rows[rows["panel"] == "regimes"]
    near = regimes.loc[(np.abs(np.log(regimes["x"] / 10)) + np.abs(regimes["s"] - 1)).idxmin()]
    assert near["y"] == 0
    assert set(regimes["y"]) == {0, 1, 2}
