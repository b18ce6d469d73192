import pytest

from nmt.training.scheduled_sampling import sampling_chance


@pytest.mark.parametrize(
    ("update", "chance"), [(0, 0.0), (100, 0.0), (150, 0.2), (200, 0.4), (10**6, 0.4)]
)
def test_the_chance_rises_in_a_line(update: int, chance: float) -> None:
    assert sampling_chance(update, 100, 200, 0.4) == pytest.approx(chance)
