from pathlib import Path
from types import ModuleType

import pytest
from torch import nn

from nmt.nn.layers import initialize_linear
from nmt.word_alignment.pharaoh import format_pharaoh

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture(scope="module")
def script(load_script) -> ModuleType:
    module: ModuleType = load_script("trace_calls")
    return module


def test_trace_counts_functions_and_changes_of_file_by_hand(script: ModuleType) -> None:
    linear = nn.Linear(2, 2)
    trace = script.Trace()
    with trace.recording():
        format_pharaoh([(0, 1)])
        initialize_linear(linear)
        format_pharaoh([(0, 1)])
    assert trace.files == {"word_alignment/pharaoh.py", "nn/layers.py"}
    assert {code.co_name for code in trace.functions} >= {"format_pharaoh", "initialize_linear"}
    assert trace.changes == {("nn/layers.py", "word_alignment/pharaoh.py"): 2}


def test_one_translation_loads_one_configuration(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    traces = {"update": script.trace_update(tmp_path)}
    traces["translate"] = script.trace_translation(tmp_path / "run", tmp_path)
    assert traces["translate"].num_loads == 1
    assert traces["update"].num_loads == 0
    assert "system/plugins.py" not in traces["translate"].files
    assert len(traces["translate"].files) <= 50
    assert "nn/model.py" in traces["update"].files & traces["translate"].files
    capsys.readouterr()
    script.report(traces, 1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["functions", "files", "file", "changes", "configurations"]
    assert [line.split()[0] for line in lines[1:3]] == ["update", "translate"]
    assert "most file changes of translate:" in lines
