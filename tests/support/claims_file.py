"""A small claims file made for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

QUANTITIES = [{"name": "pass@1", "label": "Pass@1", "margin": 0.01}, {"name": "pass@8", "label": "Pass@8"}]
ONE = {
    "id": "one",
    "text": "DS-GRPO is above GRPO",
    "source": "abstract",
    "experiment": "linear",
    "method": "ds-grpo",
    "reference": "grpo",
    "expect": {"pass@1": "higher", "pass@8": "higher"},
    "seeds": [0, 1, 2, 3, 4],
}


def write(path: Path, *changed: dict[str, Any], **more: Any) -> Path:
    values = {"quantities": QUANTITIES, "compared": ["pass@1"], "claims": [ONE | one for one in changed], **more}
    path.write_text(yaml.safe_dump(values))
    return path
