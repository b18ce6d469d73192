import pytest

from nmt.cli.check import describe_time


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ((30, None), ", 0:19:30 for 30 epochs"),
        ((30, 100), ", 0:01:18 for 100 updates"),
        ((1, 100), ", 0:00:39 for 1 epoch"),
        ((None, 500), ", 0:06:30 for 500 updates"),
        ((None, None), ""),
    ],
)
def test_the_time_is_that_of_the_nearest_limit(
    limits: tuple[int | None, int | None], told: str
) -> None:
    said = describe_time(39.0, 50, *limits)
    assert said == f"about 0:00:39 an epoch{told}, on this machine; validations come on top"
