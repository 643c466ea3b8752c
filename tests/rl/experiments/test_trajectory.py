"""The endpoint of a run: which evaluations it is made of, and that none is lost."""

import pandas as pd
import pytest

from rl.experiments import trajectory


@pytest.mark.parametrize(
    ("steps", "every", "expected"),
    [
        (1600, 80, [1360, 1440, 1520, 1600]),
        (1600, 320, [1600]),
        (10, 1, [9, 10]),
        (10, 3, [9, 10]),
        (10, 100, [10]),
    ],
)
def test_the_endpoint_is_the_last_fifth_and_always_the_last_step(steps, every, expected):
    assert trajectory.endpoint_steps(steps, every) == expected


def test_gather_takes_the_last_fifth_alone_and_misses_none(tmp_path):
    for step in (6, 8, 9, 10):
        trajectory.keep(tmp_path, step, pd.DataFrame({"problem": ["a", "b"], "C": [step / 10, 0.0], "other": [1, 2]}))
    trajectory.gather(tmp_path, 10, 1)
    found = pd.read_parquet(tmp_path / trajectory.TABLE)
    assert found["step"].tolist() == [9, 9, 10, 10]
    assert found["problem"].tolist() == ["a", "b"] * 2
    assert found["C"].tolist() == pytest.approx([0.9, 0.0, 1.0, 0.0])
    (tmp_path / "heldout" / "step-000009.parquet").unlink()
    with pytest.raises(FileNotFoundError):
        trajectory.gather(tmp_path, 10, 1)
