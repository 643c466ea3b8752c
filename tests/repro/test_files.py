"""Writing is all or nothing; a manifest holds what it must and nothing of this machine."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from repro.files import replacing, whole_folder, write_json, write_text
from repro.manifest import REQUIRED, command_line, manifest, missing_fields


def test_an_error_in_mid_write_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "kept.txt"
    write_text(target, "old")

    def fail_half_way() -> None:
        with replacing(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("known", [False, True])
def test_an_error_leaves_no_folder_and_keeps_the_old_one(tmp_path: Path, known: bool) -> None:
    target = tmp_path / "deep" / "model"
    staging = target.with_name("staging") if known else None

    def fail_half_way() -> None:
        with whole_folder(target, staging) as made:
            (made / "half").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert list(target.parent.iterdir()) == []
    with whole_folder(target, staging) as made:
        (made / "weights").write_text("old")
    with pytest.raises(RuntimeError):
        fail_half_way()
    assert [path.name for path in target.parent.rglob("*")] == ["model", "weights"]
    assert target.stat().st_mode & 0o777 == 0o755


def test_a_known_place_replaces_and_one_of_its_own_does_not(tmp_path: Path) -> None:
    """Of two processes that make the same folder side by side the first one wins."""
    target = tmp_path / "model"
    with whole_folder(target) as one, whole_folder(target) as other:
        (one / "weights").write_text("slower")
        (other / "weights").write_text("faster")
    assert (target / "weights").read_text() == "faster"
    with whole_folder(target, tmp_path / "staging") as made:
        (made / "weights").write_text("newer")
    assert (target / "weights").read_text() == "newer"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    def fail() -> None:
        with whole_folder(tmp_path / "model"):
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_json(tmp_path / "x.json", {"value": float("nan")})
    assert not list(tmp_path.iterdir())


def test_manifest_is_complete_and_json(tmp_path: Path) -> None:
    found = manifest({"gamma_p": 0.1}, 3, time.time(), tokens=7)
    assert missing_fields(found) == []
    assert found["tokens"] == 7
    assert json.loads(json.dumps(found))["config"] == {"gamma_p": 0.1}
    for name in REQUIRED:
        assert missing_fields({key: value for key, value in found.items() if key != name}) == [name]


def test_command_line_names_no_folder_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/else/prog.py", str(tmp_path / "out"), "--seed", "1"])
    assert str(tmp_path) not in command_line()
    assert command_line().endswith("out --seed 1")
