"""Pages of HTML: self-contained files in which no text of a user is ever executed.

Templates and assets are in `page/`. Jinja2 escapes everything that a template inserts. Data goes
into a page as JSON that cannot close its tag, and a content security policy allows the page's own
script and style by their hashes, and no connection. Scripts write texts with `textContent` only.
"""

import base64
import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nmt.core.version import __version__
from nmt.visualization.views import script as script, style as style

if TYPE_CHECKING:
    from nmt.visualization.attention_view import AttentionView

# Place of the data in a rendered template; it is no text of a user, as those are escaped.
_DATA_GOES_HERE: Final = "<!-- data -->"
# Characters that end a tag or a line in a script, and lone surrogates, which no file can have.
_UNSAFE_IN_SCRIPTS: Final = re.compile("[<>&\u2028\u2029\ud800-\udfff]")
_POLICY: Final = (
    "default-src 'none'; script-src {script}; style-src {style}; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)


def render_page(kind: str, data: Sequence[Any], *, title: str) -> str:
    """Return a page.

    Args:
        kind: name of its template and script, without suffix: attention, trace.
        data: each item goes into a `<script type="application/json" class="data">`.
        title: title of the page.
    """
    head, tail = _split_page(kind, title)
    return "".join([head, *map(_data_script, data), tail])


@contextmanager
def attention_page(
    output: TextIO, *, title: str, most_lines: int
) -> "Iterator[Callable[[Callable[[], AttentionView]], None]]":
    """Write a page of any number of sentences, in constant memory.

    Yields a function that appends a sentence. It takes a function that makes the view, which is not
    called after `most_lines` sentences. The page reports how many sentences are not in it.

    Args:
        output: an open text file.
        title: title of the page.
        most_lines: maximum number of sentences.
    """
    head, tail = _split_page("attention", title)
    num_lines = 0

    def write(make_view: "Callable[[], AttentionView]") -> None:
        nonlocal num_lines
        num_lines += 1
        if num_lines <= most_lines:
            output.write(_data_script(make_view().to_json()))

    output.write(head)
    yield write
    output.write(_data_script({"total": num_lines}, name="total"))
    output.write(tail)


def json_for_script(value: Any) -> Markup:
    """Return JSON that cannot close the `<script>` it is written into."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(_UNSAFE_IN_SCRIPTS.sub(lambda one: f"\\u{ord(one[0]):04x}", text))


@functools.cache
def environment() -> Environment:
    """Return the environment of all templates, which escapes every value."""
    loader = PackageLoader("nmt.visualization", "page")
    templates = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    templates.filters["json"] = json_for_script
    return templates


def _split_page(kind: str, title: str) -> tuple[str, str]:
    """Return what comes before the data of a page, and what comes after it."""
    code, looks = script(kind), style()
    text = (
        environment()
        .get_template(f"{kind}.html")
        .render(
            title=title,
            version=__version__,
            policy=_POLICY.format(script=_hash(code), style=_hash(looks)),
            style=Markup(looks),
            script=Markup(code),
        )
    )
    head, _, tail = text.partition(_DATA_GOES_HERE)
    return head, tail


def _data_script(value: Any, name: str = "data") -> str:
    return f'<script type="application/json" class="{name}">{json_for_script(value)}</script>\n'


def _hash(text: str) -> str:
    """Return the source expression of a content security policy that allows this text."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
