"""A figure is drawn from numbers that can be traced, or not at all."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from figures import sources
from repro.manifest import REQUIRED, ROOT
from theory import exhibits

NAME = "fig_selection_bias"


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("computed")
    exhibits.write(NAME, out)
    return out


@pytest.fixture
def out(computed: Path, tmp_path: Path) -> Path:
    """A run at hand of the test's own, to be spoilt."""
    (tmp_path / "theory").mkdir()
    for suffix in (".csv", ".json"):
        (tmp_path / "theory" / f"{NAME}{suffix}").write_bytes((computed / "theory" / f"{NAME}{suffix}").read_bytes())
    return tmp_path


def files(out: Path) -> tuple[Path, Path]:
    return out / "theory" / f"{NAME}.csv", out / "theory" / f"{NAME}.json"


def command(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", f"figures.{module}", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_the_run_at_hand_is_read_with_its_manifest(out: Path) -> None:
    frame, manifest, origin = sources.table(NAME, out)
    assert origin == "run at hand"
    assert set(REQUIRED) <= set(manifest)
    assert len(frame) + 1 == len(files(out)[0].read_text().splitlines())


def test_the_committed_table_is_read_where_there_is_none_at_hand(
    out: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path_factory.mktemp("root")
    (root / "results").mkdir()
    (out / "theory").rename(root / "results" / "theory")
    monkeypatch.setattr(sources, "ROOT", root)
    assert sources.table(NAME, out)[2] == "results"


def test_missing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    with pytest.raises(sources.SourceError, match=rf"{NAME}.csv: not computed; .*--only {NAME}"):
        sources.table(NAME, tmp_path)


def test_without_manifest_is_refused(out: Path) -> None:
    record = files(out)[1]
    record.unlink()
    with pytest.raises(sources.SourceError, match=re.escape(str(record))):
        sources.table(NAME, out)


@pytest.mark.parametrize("content", ["", "{", "[1"])
def test_a_broken_manifest_is_refused(out: Path, content: str) -> None:
    files(out)[1].write_text(content)
    with pytest.raises(sources.SourceError, match="no manifest that can be read"):
        sources.table(NAME, out)


@pytest.mark.parametrize("field", REQUIRED)
def test_an_incomplete_manifest_is_refused(out: Path, field: str) -> None:
    record = files(out)[1]
    manifest = json.loads(record.read_text())
    del manifest[field]
    record.write_text(json.dumps(manifest))
    with pytest.raises(sources.SourceError, match=rf"lacks {field}$"):
        sources.table(NAME, out)


def test_a_changed_table_is_refused_even_by_one_digit(out: Path) -> None:
    path = files(out)[0]
    content = bytearray(path.read_bytes())
    content[-2] = ord("1") if content[-2] != ord("1") else ord("2")
    path.write_bytes(bytes(content))
    with pytest.raises(sources.SourceError, match="checksum differs"):
        sources.table(NAME, out)


def test_a_manifest_without_checksum_is_refused(out: Path) -> None:
    record = files(out)[1]
    manifest = json.loads(record.read_text())
    del manifest["sha256"]
    record.write_text(json.dumps(manifest))
    with pytest.raises(sources.SourceError, match="checksum differs"):
        sources.table(NAME, out)


def test_the_command_refuses_in_one_line_and_draws_nothing(out: Path) -> None:
    files(out)[1].unlink()
    done = command(NAME, "--out", out)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{NAME}: not drawn: ")
    assert not (out / "figures").exists()


def test_the_folder_may_have_a_space(out: Path) -> None:
    spaced = out / "a space"
    spaced.mkdir()
    (out / "theory").rename(spaced / "theory")
    done = command(NAME, "--out", spaced)
    assert done.returncode == 0, done.stderr
    assert "run at hand" in done.stdout
    assert (spaced / "figures" / f"{NAME}.pdf").is_file()


def test_draw_names_the_refused(out: Path) -> None:
    done = command("draw", "--only", NAME, "--out", out)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [f"{NAME}: drawn from theory (run at hand)", "1 of 1 drawn"]
    files(out)[0].write_text("changed\n")
    done = command("draw", "--only", NAME, "--out", out)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == f"0 of 1 drawn; refused: {NAME}"
    assert "checksum" in done.stderr


def test_draw_offers_the_nearest_name() -> None:
    done = command("draw", "--only", "fig_selection_bais")
    assert done.returncode == 2
    assert f"did you mean {NAME!r}?" in done.stderr


def test_no_manifest_tells_where_it_was_made(computed: Path) -> None:
    text = files(computed)[1].read_text()
    assert str(ROOT) not in text
    assert str(computed) not in text
