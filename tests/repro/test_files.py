"""Writing is all or nothing; a manifest holds what it must and nothing of this machine."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from repro.files import replacing, write_json, write_text
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
