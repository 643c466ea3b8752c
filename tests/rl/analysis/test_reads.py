"""A figure is drawn from numbers that can be traced, or not at all."""

import json
import re
from pathlib import Path

import pytest
from recorded import write_experiment

from repro.manifest import REQUIRED, ROOT
from rl.analysis import reads, results
from rl.analysis.reads import Experiment, Experiments, Files, Place, Theory, available
from rl.analysis.results import NotRun, ResultError
from theory import tables

NAME = "fig_selection_bias"
TABLE = Theory(NAME)


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("computed")
    tables.write(NAME, out)
    return out


@pytest.fixture
def out(computed: Path, tmp_path: Path) -> Path:
    """A local run of the test's own, to be spoilt."""
    (tmp_path / "theory").mkdir()
    for suffix in (".csv", ".json"):
        (tmp_path / "theory" / f"{NAME}{suffix}").write_bytes((computed / "theory" / f"{NAME}{suffix}").read_bytes())
    return tmp_path


def files(out: Path) -> tuple[Path, Path]:
    return out / "theory" / f"{NAME}.csv", out / "theory" / f"{NAME}.json"


def test_the_local_table_comes_first(out: Path) -> None:
    place = Place(out)
    assert TABLE.files(place) == [files(out)[0]]
    assert TABLE.origin(place) == "local run"
    assert len(TABLE.load(place)) + 1 == len(files(out)[0].read_text().splitlines())


def test_the_committed_table_is_read_where_there_is_no_local_one(
    out: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path_factory.mktemp("root")
    (root / "results").mkdir()
    (out / "theory").rename(root / "results" / "theory")
    monkeypatch.setattr(reads, "ROOT", root)
    assert TABLE.origin(Place(out)) == "results"
    assert not TABLE.load(Place(out)).empty


def test_missing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "ROOT", tmp_path)
    with pytest.raises(NotRun, match=rf"{NAME}.csv: not computed; .*--only {NAME}"):
        TABLE.load(Place(tmp_path))
    assert not available((TABLE,), Place(tmp_path))


def test_the_scale_names_the_experiment_unless_another_is_asked_for(tmp_path: Path) -> None:
    write_experiment(tmp_path, seeds=1, experiment="large")
    one = Experiment({"cpu": "absent", "gpu": "large"})
    assert one.load(Place(tmp_path, "gpu")).experiment == "large"
    assert one.load(Place(tmp_path, "cpu", "large")).experiment == "large"
    assert len(one.files(Place(tmp_path, "gpu"))) == 3
    for place, said in ((Place(tmp_path), "absent: not run"), (Place(tmp_path, "paper"), "no experiment of the scale")):
        assert not available((one,), place)
        with pytest.raises(NotRun, match=said):
            one.load(place)


def test_several_experiments_are_those_that_were_run(tmp_path: Path) -> None:
    write_experiment(tmp_path, seeds=1, experiment="here")
    place = Place(tmp_path)
    both, none = Experiments({"here": "cpu", "absent": "gpu"}), Experiments({"absent": "cpu"})
    assert list(both.load(place)) == ["here"]
    assert both.files(place) == results.files("here", tmp_path)
    with pytest.raises(NotRun, match="absent: not run"):
        none.load(place)
    optional = Experiments(none.scales, optional=True)
    assert optional.load(place) == {}
    assert [available((one,), place) for one in (both, none, optional)] == [True, False, True]


def test_files_of_the_project(tmp_path: Path) -> None:
    found = Files("rl/experiments/paper/*.yaml").load(Place(tmp_path))
    assert {path.parent for path in found} == {ROOT / "rl" / "experiments" / "paper"}


def test_without_manifest_is_refused(out: Path) -> None:
    record = files(out)[1]
    record.unlink()
    with pytest.raises(ResultError, match=re.escape(str(record))):
        TABLE.load(Place(out))


@pytest.mark.parametrize("content", ["", "{", "[1"])
def test_a_broken_manifest_is_refused(out: Path, content: str) -> None:
    files(out)[1].write_text(content)
    with pytest.raises(ResultError, match="no manifest that can be read"):
        TABLE.load(Place(out))


@pytest.mark.parametrize("field", REQUIRED)
def test_an_incomplete_manifest_is_refused(out: Path, field: str) -> None:
    record = files(out)[1]
    manifest = json.loads(record.read_text())
    del manifest[field]
    record.write_text(json.dumps(manifest))
    with pytest.raises(ResultError, match=rf"lacks {field}$"):
        TABLE.load(Place(out))


def test_a_changed_table_is_refused_even_by_one_digit(out: Path) -> None:
    path = files(out)[0]
    content = bytearray(path.read_bytes())
    content[-2] = ord("1") if content[-2] != ord("1") else ord("2")
    path.write_bytes(bytes(content))
    with pytest.raises(ResultError, match="checksum differs"):
        TABLE.load(Place(out))


def test_a_manifest_without_checksum_is_refused(out: Path) -> None:
    record = files(out)[1]
    manifest = json.loads(record.read_text())
    del manifest["sha256"]
    record.write_text(json.dumps(manifest))
    with pytest.raises(ResultError, match="checksum differs"):
        TABLE.load(Place(out))


def test_no_manifest_tells_where_it_was_made(computed: Path) -> None:
    text = files(computed)[1].read_text()
    assert str(ROOT) not in text
    assert str(computed) not in text
