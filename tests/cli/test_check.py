import pytest

from nmt.cli.check import describe_time


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ((30, None), ", 20 min for 30 epochs"),
        ((30, 100), ", 78 s for 100 updates"),
        ((1, 100), ", 39 s for 1 epoch"),
        ((None, 500), ", 6 min for 500 updates"),
        ((None, None), ""),
    ],
)
def test_the_time_is_that_of_the_nearest_limit(
    limits: tuple[int | None, int | None], told: str
) -> None:
    said = describe_time(39.0, 50, *limits)
    assert said == f"about 39 s an epoch{told}, on this machine; validations come on top"
