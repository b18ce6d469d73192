import gzip
from pathlib import Path

import pytest

from nmt.cli.documents import read_documents


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.HTML", "html"),
        ("a.htm", "html"),
        ("a.xhtml", "html"),
        ("a.html.gz", "html"),
        ("a.txt", "text"),
        ("a.html.txt", "text"),
        ("html", "text"),
    ],
)
def test_a_file_is_html_by_its_name(tmp_path: Path, name: str, form: str) -> None:
    text = "<!doctype html>\n"
    content = text.encode()
    file = tmp_path / name
    file.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert read_documents([str(file)]) == [(text, form)]
