import pytest

from nmt.core.errors import ConfigError
from nmt.distributed.remote_result import answer, result_of


def test_a_result() -> None:
    assert result_of(answer(divmod, 17, 5), "a worker") == (3, 2)


def test_what_the_user_can_mend_is_raised_as_it_is() -> None:
    def refuse(word: str) -> None:
        raise ConfigError(word)

    with pytest.raises(ConfigError, match=r"^no$"):
        result_of(answer(refuse, "no"), "a worker")


def test_of_another_exception_the_traceback_is_told() -> None:
    told = r"^in rank 1:\nTraceback .*\n(.*\n)*ZeroDivisionError: "
    with pytest.raises(RuntimeError, match=told):
        result_of(answer(divmod, 1, 0), "rank 1")
