"""Hooks of MkDocs: pages from outside docs/, an API reference from the docstrings, and mathematics as MathML.

Nothing here is needed to read the pages on a code host; `make docs` builds the site from the same files.
"""

from __future__ import annotations

import ast
import html
import re
from pathlib import Path
from typing import Any

from griffe import Extension, Object
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from mr_als.teaching.interactive import interactive_page
from mr_als.teaching.lesson import Lesson
from mr_als.teaching.matrix import EXAMPLE, EXAMPLE_FACTORS

ROOT = Path(__file__).resolve().parents[1]

# pages outside docs/: where they are on the site
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "benchmarks/results.md": "benchmarks/results.md",
    "LICENSE": "LICENSE.txt",
}
# what `mr-als walkthrough --html` writes of the example
INTERACTIVE = "interactive.html"
# the modules of what `import mr_als` gives, and of what it takes and raises
PUBLIC = ("api.fit", "api.model", "api.functions", "api.report", "api.sweeping", "options", "errors")

_DOCTEST = re.compile(r"^>>> .*\n(?:.+(?:\n|$))*", re.MULTILINE)


class Fences(Extension):
    """Show doctests as code, also where no heading says that they are examples."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Fence the doctests of a docstring."""
        if obj.docstring and not re.search(r"^Examples$", obj.docstring.value, re.MULTILINE):
            text = obj.docstring.value + "\n"
            obj.docstring.value = _DOCTEST.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", text)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the reference pages into the navigation, and pages that mkdocs.yml does not name to those on use."""
    parts = {name: pages for part in config.nav or [] if isinstance(part, dict) for name, pages in part.items()}
    known = {page for pages in parts.values() for page in pages if isinstance(page, str)}
    parts["Use"] += sorted({path.name for path in (ROOT / "docs").glob("*.md")} - known)
    parts["Reference"] += list(reference())
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside docs/, the interactive one, and the reference."""
    files.append(File.generated(config, INTERACTIVE, content=interactive_page(Lesson(EXAMPLE, EXAMPLE_FACTORS))))
    for source, place in OUTSIDE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=_moved(text, source)))
    for place, text in reference().items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links from docs/ to pages outside lead to where these are on the site; a fence has one word for its language."""
    markdown = re.sub(r"^```(\w+) (?:session|notebook)$", r"```\1", markdown, flags=re.MULTILINE)
    for source, place in OUTSIDE.items():
        markdown = markdown.replace(f"](../{source}", f"]({place}")
    return markdown


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn formulas into MathML, which browsers show without a script."""
    content = re.sub(
        r'<div class="arithmatex">\\\[(.*?)\\\]</div>', lambda found: _mathml(found[1], "block"), content, flags=re.DOTALL
    )
    return re.sub(
        r'<span class="arithmatex">\\\((.*?)\\\)</span>', lambda found: _mathml(found[1], "inline"), content, flags=re.DOTALL
    )


def _mathml(formula: str, display: str) -> str:
    return convert(html.unescape(formula).strip(), display=display)


def _moved(text: str, source: str) -> str:
    """Let the links of a page outside docs/ lead to where things are on the site."""
    up = "../" * OUTSIDE[source].count("/")
    for other, place in OUTSIDE.items():
        for link in {other, f"{'../' * source.count('/')}{other}"}:
            text = text.replace(f"]({link})", f"]({up}{place})").replace(f"]({link}#", f"]({up}{place}#")
    return re.sub(r"\]\((?:\.\./)?docs/", f"]({up}", text)


def reference() -> dict[str, str]:
    """Map each reference page to its text: one for `import mr_als`, one for each room of the code."""
    pages = {
        "reference/mr_als.md": "# From Python: `import mr_als`\n\n" + "".join(_documented(f"mr_als.{name}") for name in PUBLIC)
    }
    for room in sorted(path.parent for path in (ROOT / "mr_als").glob("*/__init__.py")):
        what = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""
        modules = sorted(path for path in room.rglob("*.py") if path.name != "__init__.py")
        names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in modules]
        blocks = "".join(_documented(name) for name in names if name.removeprefix("mr_als.") not in PUBLIC)
        pages[f"reference/{room.name}.md"] = f"# mr_als.{room.name}\n\n{what.splitlines()[0]}\n\n{blocks}"
    return pages


def _documented(module: str) -> str:
    return f"::: {module}\n    options:\n      show_root_full_path: true\n\n"
