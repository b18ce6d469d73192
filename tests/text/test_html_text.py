from time import process_time

import pytest
from hypothesis import given, strategies as st

from nmt.text.html_text import find_texts

TEXTS = {
    "<p>Tom <b>runs</b>.</p>": ["Tom ", "runs", "."],
    "Tom &amp; Jerry&#33;": ["Tom &amp; Jerry&#33;"],
    "<p title='a > b' data-x=\"<i>\">Tom</p>": ["Tom"],
    "a < b <!-- c --> d <!--> e": ["a < b ", " d ", " e"],
    "<script>if (a < b) x('<p>y')</script>z": ["z"],
    "<SCRIPT>a</scripty></SCRIPT >z": ["z"],
    "<style>a</style><code>b<i>c</i></code>d<pre>e</pre>": ["d"],
    "<p translate=no>a<b>c</b></p>d": ["d"],
    "<p translate='no'>a<b translate=yes>c</b></p>d": ["c", "d"],
    '<p class="x notranslate">a</p>d': ["d"],
    '<p title=" translate=no ">a</p>': ["a"],
    "<p translate=no>a<p>b": ["b"],
    "<p translate=no>a<div>b</div>": ["b"],
    "<ul><li translate=no>a<ul><li>b</ul><li>c</ul>": ["c"],
    "<dl><dt translate=no>a<dd>b<dt translate=no>c<dt>d</dl>": ["b", "d"],
    "<table><tr><td translate=no>a<th>b<td translate=no>c<tr><td>d</table>": ["b", "d"],
    "<table><thead><tr><th translate=no>a<tbody><tr translate=no><td>b<tfoot><tr><td>c": ["c"],
    "<table><thead translate=no><tr><td>a<tbody><tr><td>b": ["b"],
    "<select><option translate=no>a<option>b</select>": ["b"],
    "<div translate=no>a<div>b</div></div>c": ["c"],
    "<br translate=no>a<img alt='x'/>b": ["a", "b"],
    "</b>a</code>b": ["a", "b"],
    "<!DOCTYPE html><?xml a?><html>a": ["a"],
    "<p>a</p><p unfinished": ["a"],
    "<p>a</p><!-- unfinished <p>b</p>": ["a"],
    "<svg><text>a</text></svg>b": ["b"],
    "<![CDATA[<p>a</p>]]>b": ["b"],
    "don't <a title=don't>b</a>": ["don't ", "b"],
    " \n<p> \n</p>": [],
}


@pytest.mark.parametrize("html", TEXTS)
def test_texts_are_found(html: str) -> None:
    assert [html[start:end] for start, end in find_texts(html)] == TEXTS[html]


@given(st.lists(st.sampled_from([*"<>/\"'=! a&-", "<p>", "</p>", "<code>", "</code>", "<!--"])))
def test_texts_are_in_order_and_without_tags(parts: list[str]) -> None:
    html = "".join(parts)
    done = 0
    for start, end in find_texts(html):
        assert done <= start < end <= len(html)
        assert "<p>" not in html[start:end]
        done = end


@pytest.mark.parametrize(
    "html",
    ["</p>", "<p>", "<", "<!--", "<a ", '<a x="', '="', "<p ='", "<code>", "</", "<i></b>", "<!"],
)
def test_time_is_linear(html: str) -> None:
    start = process_time()
    find_texts(html * 50_000)
    find_texts("<a " + html * 50_000)
    find_texts("<script>" + html * 50_000)
    assert process_time() - start < 4
