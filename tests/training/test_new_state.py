from typing import Any

import pytest

from nmt.config.training import TrainingConfig
from nmt.training.new_state import count_updates


@pytest.mark.parametrize(
    ("limits", "updates"),
    [
        ({"max_epochs": 10}, 40),  # 7 batches are 4 updates of at most 2
        ({"max_epochs": 10, "max_updates": 30}, 30),
        ({"max_epochs": 10, "max_updates": 100}, 40),
        ({"max_epochs": None, "max_updates": 100}, 100),
        ({"max_epochs": None}, None),
    ],
)
def test_how_many_updates_the_limits_allow(limits: dict[str, Any], updates: int | None) -> None:
    config = TrainingConfig.model_validate({"accumulate": 2, **limits})
    assert count_updates(config, 7) == updates
