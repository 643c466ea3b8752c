"""MkDocs hooks: formulas between dollar signs become MathML, which browsers draw themselves.

A formula is replaced by a word before Markdown is rendered, so that no underscore or star of it is read as Markdown,
and put back afterwards.
"""

from __future__ import annotations

import re
from typing import Any

from latex2mathml.converter import convert

CODE = re.compile(r"(```.*?```|~~~.*?~~~|`[^`\n]+`)", re.DOTALL)
FORMULA = re.compile(r"\$\$(?P<block>.+?)\$\$|(?<![\\$\w])\$(?P<inline>[^$\n]+?)\$(?!\d)", re.DOTALL)
WORD = re.compile(r"FORMULA(\d+)END")
_found: list[str] = []
_tex: list[str] = []


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Replace each formula outside code by a word. Raises ValueError that names the page and the formula."""
    parts = CODE.split(markdown)
    for index in range(0, len(parts), 2):  # the odd ones are code
        parts[index] = FORMULA.sub(lambda found: _word(found, page.file.src_path), parts[index])
    return "".join(parts)


def _word(found: re.Match[str], page: str) -> str:
    block = found["block"]
    _tex.append((block or found["inline"]).strip())
    try:
        _found.append(convert(_tex[-1], display="block" if block else "inline"))
    except Exception as error:
        raise ValueError(f"{page}: the formula {found[0]!r} cannot be read ({error})") from None
    return f"FORMULA{len(_found) - 1}END"


def on_page_content(html: str, **_: Any) -> str:
    """Put the formulas in the place of their words."""
    return _put_back(html)


def on_post_page(output: str, **_: Any) -> str:
    """The same for the table of contents and the menu, which are made of headings; a window's title takes TeX."""
    title = re.compile(r"(?<=<title>).*?(?=</title>)", re.DOTALL)
    plain = title.sub(lambda found: WORD.sub(lambda word: _tex[int(word[1])], found[0]), output)
    return _put_back(plain)


def _put_back(html: str) -> str:
    return WORD.sub(lambda found: _found[int(found[1])], html)
