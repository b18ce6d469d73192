"""The state file of a translation that is resumed."""

import json
from pathlib import Path
from typing import Any

import pytest

from nmt.cli.resume import ResumeState
from nmt.core.errors import DataError

WHOLE = {"fingerprint": "x", "num_lines": 0, "sizes": {"-o": 0}}


@pytest.mark.parametrize(
    "changed",
    [
        {"num_lines": "3"},
        {"num_lines": -1},
        {"num_lines": 1.5},
        {"sizes": {"-o": "3"}},
        {"sizes": {"-o": -1}},
        {"sizes": ["-o", 0]},
        {"more": 1},
    ],
)
def test_a_state_with_fields_of_other_types_is_damaged(
    changed: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "out.state").write_text(json.dumps(WHOLE | changed))
    with pytest.raises(DataError, match=r"out\.state: is damaged; begin again without --resume"):
        ResumeState({"-o": tmp_path / "out"}, "x", resume=True)
