"""Views of attention: the script and style of a page, and the frame that a notebook shows."""

from html import escape
from importlib.resources import files
from typing import Final

from nmt.visualization.attention_view import AttentionView

# Views in the order in which a page shows them: name, and the file in `page/views`. A new view is
# one file that calls `nmt.register(name, …)`, and one line here.
VIEWS: Final = {
    "heads": "heads.js",
    "lines": "lines.js",
    "grid": "grid.js",
    "matrix": "matrix.js",
}

# Scripts of a kind of page that its own script needs.
_FURTHER_SCRIPTS: Final = {"trace": ("tree.js",)}

# Heights in pixels of a page in a notebook.
_MARGIN = 420
_OF_WORD = 66  # in both views
_MOST = 900


def style() -> str:
    """Return the style sheet of all pages."""
    return _read("page.css")


def script(kind: str) -> str:
    """Return the script of a page: the common part, the views, and the part of this kind."""
    views = [f"views/{name}" for name in VIEWS.values()]
    names = ["page.js", *views, *_FURTHER_SCRIPTS.get(kind, ()), f"{kind}.js"]
    return "\n".join(map(_read, names))


def notebook_html(view: AttentionView) -> str:
    """Return the page of one sentence in a frame, for the output of a notebook's cell.

    The frame has its own styles and no access to the notebook: it is `sandbox="allow-scripts"`.
    """
    from nmt.visualization.page import render_page

    words = view.words
    longest = 1 if words is None else max(len(words.source), len(words.target), 1)
    height = min(_MARGIN + _OF_WORD * longest, _MOST)
    page = escape(render_page("attention", [view.to_json()], title="attention"))
    return (
        f'<iframe srcdoc="{page}" sandbox="allow-scripts" title="attention" width="100%" '
        f'height="{height}" style="border:0" loading="lazy"></iframe>'
    )


def _read(name: str) -> str:
    return files("nmt.visualization").joinpath("page", name).read_text(encoding="utf-8")
