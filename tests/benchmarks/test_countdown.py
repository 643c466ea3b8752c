"""The Countdown benchmark runs, measures what it says, and refuses nonsense."""

import json
import random

from benchmarks import countdown as benchmark
from repro.manifest import missing_fields
from rl.tasks import countdown


def test_the_texts_it_verifies_are_right_wrong_and_broken():
    problems = [countdown.problem((2, 3, 4), 14), countdown.problem((1, 5, 7), 12)]
    made = benchmark.completions(problems, random.Random(0))
    verdicts = [countdown.verify(problem, text) for problem, text in made]
    assert [verdict.correct for verdict in verdicts[::3]] == [True, True]
    assert all(verdict.canonical is not None for verdict in verdicts[1::3])
    assert not any(verdict.correct for verdict in verdicts[2::3])


def test_it_writes_rates_with_a_manifest(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "SIZES", {3: (9, 24)})
    assert benchmark.main(["--problems", "20", "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "bench_countdown.json").read_text())
    assert missing_fields(found["manifest"]) == []
    assert all(found["rows"][0][name] > 0 for name in ("drawn", "enumerated", "verified"))
    assert "verified/s" in capsys.readouterr().out


def test_nonsense_is_refused(capsys):
    assert benchmark.main(["--problems", "0"]) == 2
    assert "problems=0" in capsys.readouterr().err
