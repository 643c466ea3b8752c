"""The website: it builds, no link is dead, formulas are drawn, and a browser loads every page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import pytest

from repro import site, site_hooks
from repro.manifest import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync")
QUIET += ("--disable-background-networking", "--disable-component-update", "--dump-dom")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "repro.site", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "site"


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src") and value]


def dead(page: Path) -> list[str]:
    """The links of `page` to files that are not there."""
    links = Links()
    links.feed(page.read_text(encoding="utf-8"))
    paths = [unquote(urlsplit(link).path) for link in links.found if not urlsplit(link).scheme]
    return [path for path in paths if path and not (page.parent / path).exists()]


@pytest.mark.slow
def test_no_link_is_dead_and_nothing_is_loaded_from_elsewhere(built: Path) -> None:
    pages = sorted(built.rglob("*.html"))
    assert len(pages) > 50
    assert {str(page.relative_to(built)): dead(page) for page in pages if page.name != "404.html" and dead(page)} == {}
    loaded = re.compile(r"<(?:script|img|link)[^>]*(?:src|href)=\"https?://(?!squidfunk)")
    assert [page.name for page in pages if loaded.search(page.read_text(encoding="utf-8"))] == []


@pytest.mark.slow
def test_formulas_are_drawn_and_no_word_for_one_is_left(built: Path) -> None:
    texts = {page.stem: page.read_text(encoding="utf-8") for page in built.rglob("*.html")}
    assert sum(text.count("<math") for text in texts.values()) > 500
    assert [name for name, text in texts.items() if re.search(r"FORMULA\d+END", text)] == []
    for theorem in range(1, 14):
        assert any(name.startswith(f"T{theorem}_") and "<math" in text for name, text in texts.items())


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_loads_every_page(built: Path, tmp_path: Path) -> None:
    for page in sorted(built.rglob("*.html")):
        if "source" in page.relative_to(built).parts or page.name == "404.html":
            continue
        command = [str(CHROMIUM), *QUIET, f"--user-data-dir={tmp_path}", page.as_uri()]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=3600)
        assert "<h1" in shown.stdout, f"{page.name}: {shown.stderr[-500:]}"


def test_a_link_that_leads_nowhere_stops_the_build(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"theory/nowhere\.py: a page links to it"):
        site._linked("see [it](../theory/nowhere.py)", Path("docs"), Path("docs"), tmp_path)


def test_links_lead_where_the_files_stand_on_the_site(tmp_path: Path) -> None:
    text = "[a](../README.md#more) [b](verl.md) [c](../theory/groups.py) [d](https://arxiv.org/abs/2511.19942)"
    found = site._linked(text, Path("docs"), Path("docs"), tmp_path)
    assert re.findall(r"\]\(([^)]*)\)", found) == [
        "../index.md#more",
        "verl.md",
        "../source/theory/groups.py.md",
        "https://arxiv.org/abs/2511.19942",
    ]
    assert "def " in (tmp_path / "source" / "theory" / "groups.py.md").read_text(encoding="utf-8")


def test_a_formula_becomes_mathml_and_code_is_left_alone() -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_path="here.md"))
    text = site_hooks.on_page_markdown("a $x_1 * y_1$ b `$HOME` costs 5$ or $$p^2$$", page)
    assert "`$HOME` costs 5$ or " in text
    html = site_hooks.on_page_content(text)
    assert html.count("<math") == 2
    assert html.count("<msub>") == 2
    with pytest.raises(ValueError, match=r"here\.md: the formula .* cannot be read"):
        site_hooks.on_page_markdown(r"$\left( x$", page)
