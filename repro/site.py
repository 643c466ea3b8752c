"""`python -m repro.site`: the website, from README, docs/, notebooks/, figures/out/ and the library's docstrings.

The pages are gathered in `<out>/site-source`, at the places where they lie in the project, so that every link holds.
The site is in `<out>/site` and opens from the disk. Code that a page links to becomes a page too. A dead link fails the
build.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

from repro.files import write_text
from repro.manifest import ROOT

LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".sh": "bash", ".toml": "toml", ".cff": "yaml"}
API = ("smoothing", "rollouts", "advantages", "methods", "passk", "config", "trl", "verl")


def gather(source: Path) -> None:
    """Put every page of the site under `source`."""
    pages = {Path("README.md"): Path("index.md"), Path("REPRODUCTION.md"): Path("REPRODUCTION.md")}
    pages |= {path.relative_to(ROOT): path.relative_to(ROOT) for path in sorted((ROOT / "docs").rglob("*.md"))}
    pages |= {path.relative_to(ROOT): path.relative_to(ROOT) for path in sorted((ROOT / "figures/out").glob("*.md"))}
    for path, page in pages.items():
        write_text(source / page, _linked((ROOT / path).read_text(encoding="utf-8"), path.parent, page.parent, source))
    for path in sorted((ROOT / "figures" / "out").glob("*.png")):
        _copy(path, source)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        _notebook(path, source)
    write_text(source / "notebooks" / "index.md", _notebooks())
    write_text(source / "figures" / "out" / "index.md", _gallery())
    write_text(source / "docs" / "api.md", _api())


def _copy(path: Path, source: Path) -> None:
    target = source / path.relative_to(ROOT)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, target)


def _linked(text: str, folder: Path, page: Path, source: Path) -> str:
    """`text` of a page that lies in `folder` of the project, with links as they are on the site."""

    def one(found: re.Match[str]) -> str:
        link, anchor = found[1], found[2] or ""
        if "://" in link or link.startswith("mailto:"):
            return found[0]
        path = Path(os.path.normpath(folder / link))
        target = _page_of(path, source)
        return Path(os.path.relpath(target, page)).as_posix() + anchor

    return LINK.sub(one, text)


def _page_of(path: Path, source: Path) -> Path:
    """Where `path` of the project stands on the site; code becomes a page, other files are copied.

    Raises FileNotFoundError for a link that leads nowhere.
    """
    there = ROOT / path
    if path.name == "README.md" and path.parent == Path("."):
        return Path("index.md")
    if path.suffix == ".ipynb":
        return path.with_suffix(".md")
    if path.suffix == ".md":
        return path
    if path in (Path("notebooks"), Path("figures/out")):
        return path / "index.md"
    if there.is_dir():
        names = sorted(one.name + "/" * one.is_dir() for one in there.iterdir() if not one.name.startswith((".", "_")))
        page = Path("source") / path / "index.md"
        write_text(source / page, f"# {path}/\n\n" + "\n".join(f"- `{name}`" for name in names) + "\n")
        return page
    if not there.is_file():
        raise FileNotFoundError(f"{path}: a page links to it, and it is not there")
    if there.suffix in LANGUAGES:
        page = Path("source") / f"{path}.md"
        code = there.read_text(encoding="utf-8")
        write_text(source / page, f"# {path}\n\n~~~~{LANGUAGES[there.suffix]}\n{code}~~~~\n")
        return page
    _copy(there, source)
    return path


def _notebook(path: Path, source: Path) -> None:
    """The notebook as Markdown with its committed outputs; images beside it."""
    text, resources = MarkdownExporter().from_notebook_node(
        nbformat.read(path, as_version=4), {"output_files_dir": f"{path.stem}_files"}
    )
    relative = path.relative_to(ROOT)
    for name, content in resources["outputs"].items():
        image = source / relative.parent / name
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(content)
    links = set(resources["outputs"])
    parts = re.split(r"(!\[[^\]]*\]\([^)]*\))", text)
    text = "".join(
        part
        if part.startswith("![") and part[part.rindex("(") + 1 : -1] in links
        else _linked(part, relative.parent, relative.parent, source)
        for part in parts
    )
    write_text(source / relative.with_suffix(".md"), text)


def _titles() -> list[tuple[str, str]]:
    """Name and title of each notebook, theorems in the order of their numbers."""
    found = []
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        first = nbformat.read(path, as_version=4).cells[0].source.splitlines()[0]
        number = re.match(r"T(\d+)_", path.stem)
        found.append((int(number[1]) if number else 0 if path.stem[0].isdigit() else 99, path.stem, first.lstrip("# ")))
    return [(stem, title) for _, stem, title in sorted(found)]


def _notebooks() -> str:
    return "# Notebooks\n\n" + "\n".join(f"- [{title}]({stem}.md)" for stem, title in _titles()) + "\n"


def _gallery() -> str:
    folder = ROOT / "figures" / "out"
    figures = "\n\n".join(f"## {path.stem}\n\n![{path.stem}]({path.name})" for path in sorted(folder.glob("*.png")))
    tables = "\n".join(f"- [{path.stem}]({path.name})" for path in sorted(folder.glob("*.md")))
    return f"# Figures and tables\n\nTables:\n\n{tables}\n\n{figures}\n"


def _api() -> str:
    return "# API\n\n" + "\n".join(f"::: differential_smoothing.{name}\n" for name in API)


def main() -> int:
    """Build the site; 1 and mkdocs' own words if a link is dead or a formula cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m repro.site", description="Build the website.")
    parser.add_argument("--out", type=Path, default=Path("build"), help="the site goes to <out>/site")
    out = parser.parse_args().out.resolve()
    source = out / "site-source"
    shutil.rmtree(source, ignore_errors=True)  # nothing but copies
    gather(source)
    environment = {
        **os.environ,
        "SITE_SOURCE": str(source),
        "SITE_TARGET": str(out / "site"),
        "NO_MKDOCS_2_WARNING": "1",
    }
    done = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--quiet"], cwd=ROOT, env=environment)
    if done.returncode == 0:
        print(f"{out / 'site' / 'index.html'}: open it in a browser")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
