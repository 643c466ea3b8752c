"""Which project files a module is made of: the closure of its imports, read from the source without running it."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from repro.manifest import ROOT

OWN = ("benchmarks", "differential_smoothing", "figures", "repro", "rl", "theory")


def _file_of(module: str, root: Path) -> Path | None:
    base = root.joinpath(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _imports(path: Path, module: str) -> set[str]:
    found: set[str] = set()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in node.names)  # `from package import module`
    return found


def closure(
    modules: Iterable[str], root: Path = ROOT, *, unfollowed: Mapping[str, Collection[str]] | None = None
) -> list[Path]:
    """The project files that `modules` import, directly or not, themselves included; sorted.

    Imports by name at run time are not seen: a stage whose modules find others so reads their folder. unfollowed: by
    module, what it imports and need not count unless something else imports it too.
    """
    skipped = unfollowed or {}
    files: set[Path] = set()
    waiting = list(modules)
    seen: set[str] = set()
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        path = _file_of(module, root)
        if path is None:
            continue
        files.add(path)
        parts = module.split(".")
        waiting.extend(".".join(parts[:i]) for i in range(1, len(parts)))
        waiting.extend(_imports(path, module) - set(skipped.get(module, ())))
    return sorted(files)


def code_of(source: str, without: Collection[str] = ()) -> str:
    """What Python runs of `source`, as text: two files are alike if they differ in layout, comments, docstrings alone.

    without: tables assigned at the top of a module that do not count; then its imports, which fill them, do not either.
    """
    tree = ast.parse(source)
    if without:
        tree.body = [
            node
            for node in tree.body
            if not isinstance(node, ast.Import | ast.ImportFrom)
            and not (
                isinstance(node, ast.Assign | ast.AnnAssign)
                and any(isinstance(name, ast.Name) and name.id in without for name in _targets(node))
            )
        ]
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            # a string that stands alone does nothing: docstrings, and those under fields
            node.body = [  # type: ignore[attr-defined]
                one
                for one in body
                if not (
                    isinstance(one, ast.Expr)
                    and isinstance(one.value, ast.Constant)
                    and isinstance(one.value.value, str)
                )
            ]
    return ast.dump(tree)


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def digest(paths: Iterable[Path], words: Iterable[str] = (), root: Path = ROOT) -> str:
    """SHA-256 over `words` and names and contents of `paths`; a folder counts with its files, hidden ones left out."""
    total = hashlib.sha256()
    for word in words:
        total.update(word.encode() + b"\0")
    for path in sorted(set(_expand(paths))):
        name = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
        total.update(str(name).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _expand(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        if path.is_dir():
            yield from (
                p
                for p in path.rglob("*")
                if p.is_file() and not p.name.startswith(".") and "__pycache__" not in p.parts
            )
        else:
            yield path
