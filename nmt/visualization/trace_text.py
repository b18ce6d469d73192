"""A trace as text for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from nmt.core.console import escape_controls
from nmt.visualization.attention_table import split_glyphs, text_width

_MARGIN: Final = 10  # columns of a label
_NUMBER_WIDTH: Final = 7
_INDENT: Final = " " * 3
# Arrays of a step, in the order in which they are shown, and their labels.
_VECTORS: Final = (("decoder.attention.context", "context"), ("decoder.vectors", "output"))


def format_trace(view: Mapping[str, Any], *, width: int = 100) -> str:
    """Format a trace: its steps, its beam, its formulas, and what it lacks.

    Args:
        view: from `Trace.view`.
        width: of the terminal, in columns.
    """
    source, target = view["text"]
    lines = [_label("source", source), _label("target", target)]
    if view["prefix"]:
        lines.append(_label("forced", view["prefix"]))
    scores = f"{_number(view['score'])}, log-probability {_number(view['log_probability'])}"
    lines.append(_label("score", scores))
    for number, step in enumerate(view["steps"]):
        lines += ["", *_step(view, number, step, width)]
    if view["tree"] is not None:
        lines += ["", *_tree(view["tree"])]
    if view["parts"]:
        lines += ["", "formulas"]
        for part in view["parts"]:
            lines += _part(part)
    if view["lacks"]:
        lines += ["", *(f"not in this trace: {_plain(reason)}" for reason in view["lacks"])]
    return "\n".join(lines) + "\n"


def _step(
    view: Mapping[str, Any], number: int, step: Mapping[str, Any], width: int
) -> Iterator[str]:
    """Yield the lines of a step of the decoder."""
    title = f'after "{_plain(step["previous"])}": "{_plain(step["word"])}"'
    yield f"{number + 1}  {title} {_number(step['probability'])}"
    for cell in step["cells"]:
        kept = "" if cell["kept"] is None else f", {cell['kept']:.0%} of the state kept"
        yield _row("state", f"{cell['path']}: length {_number(cell['norm'])}{kept}")
    rows = [
        (path, arrays["rows"][number])
        for path, arrays in view["arrays"].items()
        if path.endswith((".scores", ".alignment.weights"))
    ]
    yield from _over_source(view["source"], rows, width)
    if step["attention_entropy"] is not None:
        yield _row("", f"entropy of the weights {_number(step['attention_entropy'])} nats")
    for path, label in _VECTORS:
        found = view["arrays"].get(path)
        if found is not None:
            yield _row(label, _vector(found, number))
    words = (f"{_plain(one['word'])} {_number(one['probability'])}" for one in step["likeliest"])
    yield _row("next", f"{'  '.join(words)}   entropy {_number(step['entropy'])} nats")


def _over_source(
    source: Sequence[str], rows: Sequence[tuple[str, Sequence[float]]], width: int
) -> Iterator[str]:
    """Yield numbers under their source tokens, in as many blocks as the width needs."""
    if not rows:
        return
    glyphs = [split_glyphs(word) for word in source]
    sizes = [max(text_width(word), _NUMBER_WIDTH) + 1 for word in glyphs]
    start = 0
    while start < len(source):
        end, used = start + 1, len(_INDENT) + _MARGIN + sizes[start]
        while end < len(source) and used + sizes[end] <= width:
            used += sizes[end]
            end += 1
        place = slice(start, end)
        padded = (
            " " * (size - text_width(word)) + "".join(word)
            for word, size in zip(glyphs[place], sizes[place], strict=True)
        )
        yield _row("", "".join(padded))
        for path, row in rows:
            cells = zip(row[place], sizes[place], strict=True)
            numbers = "".join(f"{_number(value):>{size}}" for value, size in cells)
            yield _row(_row_name(path), numbers)
        start = end


def _row_name(path: str) -> str:
    """Return `scores` or `weights`, with the number of the head if there are several."""
    name = path.rpartition(".")[2]
    _, found, rest = path.partition(".heads.")
    return f"{name} {int(rest.partition('.')[0]) + 1}" if found else name


def _tree(tree: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each node of the beam, grouped by step."""
    places = tree["places"]
    yield f"beam of {places}: the {2 * places} likeliest continuations of each step"
    yield f"{_INDENT}log-probability of the token and of all tokens, reason, tokens"
    nodes = [dict(zip(tree["fields"], node, strict=True)) for node in tree["nodes"]]
    texts: dict[int | None, str] = {None: ""}
    stops = {tuple(stop) for stop in tree["stops"]}
    before: tuple[int, int] | None = None
    for node in nodes:
        texts[node["id"]] = f"{texts[node['parent']]} {_plain(node['token'])}".strip()
        place = node["group"], node["step"]
        if place != before:
            group = f", group {place[0] + 1}" if any(each["group"] for each in nodes) else ""
            stop = f"; {tree['stop_reason']}" if place in stops else ""
            yield f"{_INDENT}step {place[1] + 1}{group}{stop}"
            before = place
        rule = f" ({node['rule']})" if node["rule"] else ""
        score = "" if node["score"] is None else f"  score {_number(node['score'])}"
        penalty = f"  penalty {_number(node['penalty'])}" if node["penalty"] else ""
        log_probabilities = node["token_log_probability"], node["log_probability"]
        numbers = "".join(f"{_number(value):>8}" for value in log_probabilities)
        reason = f"{node['reason']}{rule}"
        yield f"{_INDENT}  {numbers}  {reason:<12}  {texts[node['id']]}{penalty}{score}"


def _part(part: Mapping[str, Any]) -> Iterator[str]:
    line = f":{part['line']}" if part["line"] else ""
    yield f"{_INDENT}{part['kind']}: {part['name']} ({part['file']}{line})"
    for formula in part["formulas"]:
        yield f"{_INDENT}   {formula}"
    owner = "" if part["defined_by"] == part["name"] else f", as {part['defined_by']}"
    if part["source"] or owner:
        yield f"{_INDENT}   {part['source']}{owner}".rstrip()


def _vector(array: Mapping[str, Any], number: int) -> str:
    """Return the first numbers of a row of an array, and how many it has."""
    row, size = array["rows"][number], array["shape"][-1]
    rest = f"  … {size} numbers" if size > len(row) else ""
    return " ".join(f"{_number(value):>{_NUMBER_WIDTH}}" for value in row) + rest


def _label(name: str, text: str) -> str:
    return f"{name:<{_MARGIN}}{_plain(text)}"


def _row(name: str, text: str) -> str:
    return f"{_INDENT}{name:<{_MARGIN}}{text}".rstrip()


def _plain(text: str) -> str:
    """Return text on one line, without characters that move the cursor."""
    return escape_controls(" ".join(text.split()))


def _number(value: float | None) -> str:
    """Format a number with three digits or decimals; only an exact zero is `0`."""
    if value is None:
        return "NaN"
    if value == 0.0 or abs(value) >= 1000.0:
        return f"{value:.4g}"
    return f"{value:.3f}" if abs(value) >= 0.0005 else f"{value:.0e}"
