"""Places of the text in a page of HTML that a translation may replace.

Tags, comments, attributes, scripts and broken markup are never changed, since only places are
returned. Tags end as the HTML standard says; the time is linear in any text.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

# Elements whose content is no text, or must stay as it is.
_KEPT: Final = frozenset({"code", "pre", "kbd", "samp", "var", "svg", "math", "template"})
# Elements whose content is no markup; it ends at their end tag.
_RAW: Final = frozenset(
    {"script", "style", "textarea", "xmp", "iframe", "noembed", "noframes", "plaintext"}
)
_VOID: Final = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param"}
    | {"source", "track", "wbr"}
)
# Elements that may have no end tag, and those whose start ends them.
_PARAGRAPH_ENDS: Final = (
    *("address", "article", "aside", "blockquote", "details", "div", "dl", "fieldset", "figure"),
    *("footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "main", "menu", "nav"),
    *("ol", "p", "pre", "section", "table", "ul"),
)
_CELLS: Final = frozenset({"td", "th"})
_ROWS: Final = _CELLS | {"tr"}
_ENDED_BY: Final = {
    **dict.fromkeys(_PARAGRAPH_ENDS, frozenset({"p"})),
    **dict.fromkeys(("dt", "dd"), frozenset({"dt", "dd"})),
    **dict.fromkeys(("td", "th"), _CELLS),
    "li": frozenset({"li"}),
    "option": frozenset({"option"}),
    "tr": _ROWS,
    **dict.fromkeys(("thead", "tbody", "tfoot"), _ROWS | {"thead", "tbody"}),
}

# The atomic group (?>…) keeps the time linear if a tag does not end.
_TAG: Final = re.compile(
    r"""<(?P<slash>/?)(?P<name>[a-zA-Z][^\s/>]*+)"""
    r"""(?P<attributes>(?>=\s*+"[^"]*+"|=\s*+'[^']*+'|[^>])*?)(?P<end>/?>)"""
)
_TAG_START: Final = re.compile("</?[a-zA-Z]")
_ATTRIBUTE: Final = re.compile(
    r"""([^\s"'/>=]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>"']++)))?"""
)


def find_texts(html: str) -> list[tuple[int, int]]:
    """Return start and end of each stretch of translatable text that has more than blanks.

    Left out are comments, `<script>`, `<style>`, `<code>`, `<pre>` and their like, and what is
    inside of `translate="no"` or `class="notranslate"`.
    """
    texts = []
    open_elements = _OpenElements()
    start = 0
    for tag_start, end in _find_markup(html, open_elements):
        if not open_elements.is_kept and html[start:tag_start].strip():
            texts.append((start, tag_start))
        open_elements.pass_tag(html[tag_start:end])
        start = end
    return texts


class _OpenElements:
    """The elements that are open at a place of a page, and whether their text is kept."""

    def __init__(self) -> None:
        self._stack: list[tuple[str, bool]] = []
        self._number: Counter[str] = Counter()

    @property
    def is_kept(self) -> bool:
        """Return whether text at this place stays as it is."""
        return bool(self._stack) and self._stack[-1][1]

    @property
    def raw(self) -> str | None:
        """Return the name of the innermost element if its content is no markup."""
        name = self._stack[-1][0] if self._stack else ""
        return name if name in _RAW else None

    def pass_tag(self, markup: str) -> None:
        """Open or close an element; comments and ends of elements that are not open do nothing."""
        tag = _TAG.fullmatch(markup)
        if tag is None:
            return
        name = tag["name"].lower()
        if tag["slash"]:
            if self._number[name]:  # never search in vain, which would take quadratic time
                while self._pop() != name:
                    pass
            return
        ended = _ENDED_BY.get(name, frozenset())
        while self._stack and self._stack[-1][0] in ended:
            self._pop()
        if name not in _VOID and tag["end"] != "/>":
            self._stack.append((name, self._keeps(name, tag["attributes"])))
            self._number[name] += 1

    def _pop(self) -> str:
        name, _ = self._stack.pop()
        self._number[name] -= 1
        return name

    def _keeps(self, name: str, attributes: str) -> bool:
        if name in _KEPT or name in _RAW:
            return True
        attributes = attributes.lower()
        if "translate" not in attributes:
            return self.is_kept
        values = {key: a or b or c for key, a, b, c in _ATTRIBUTE.findall(attributes)}
        if "notranslate" in values.get("class", "").split():
            return True
        return {"no": True, "yes": False, "": False}.get(values.get("translate", "?"), self.is_kept)


def _find_markup(html: str, open_elements: _OpenElements) -> Iterator[tuple[int, int]]:
    """Yield start and end of tags and comments, and last the end of the page twice."""
    place = 0
    while (place := html.find("<", place)) >= 0:
        if raw := open_elements.raw:
            end_tag = re.compile(rf"</{re.escape(raw)}(?=[\s/>])", re.IGNORECASE)
            found = end_tag.search(html, place)
            if found is None:
                break
            place = found.start()
        end = _end_of_markup(html, place)
        if end is None:  # a comment or tag without end reaches to the end of the page
            yield place, len(html)
            return
        if end > place:
            yield place, end
        place = max(end, place + 1)
    yield len(html), len(html)


def _end_of_markup(html: str, place: int) -> int | None:
    """Return the end of the markup that starts here: this place if it is text, None if open."""
    if html.startswith("<!--", place):
        end = html.find("-->", place + 2)  # <!--> is a comment, too
        return None if end < 0 else end + len("-->")
    if html.startswith("<![CDATA[", place):
        end = html.find("]]>", place)
        return None if end < 0 else end + len("]]>")
    if html.startswith(("<!", "<?", "</"), place) and not _TAG_START.match(html, place):
        end = html.find(">", place)
        return None if end < 0 else end + 1
    if not _TAG_START.match(html, place):
        return place
    tag = _TAG.match(html, place)
    return None if tag is None else tag.end()
