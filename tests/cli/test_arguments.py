import argparse

import pytest

from nmt.cli.arguments import add_arguments
from nmt.cli.evaluate import Arguments


def overrides(*words: str) -> dict[str, str]:
    parser = argparse.ArgumentParser()
    add_arguments(parser, Arguments)
    arguments = Arguments(**vars(parser.parse_args(["runs/x", *words])))
    return {it.key: it.text.partition("=")[2] for it in arguments.list_overrides()}


def test_missing_arguments_default_to_the_run() -> None:
    assert overrides() == {}


def test_arguments_are_options_of_the_configuration() -> None:
    given = overrides("--beam-size", "3", "--batch-tokens", "100", "--device", "cpu")
    assert given["decoding.beam_size"] == "3"
    assert given["decoding.batch_tokens"] == "100"
    assert given["device"] == "cpu"


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ("none", "none"),
        ("gnmt", "gnmt"),
        ("0.8", "{name: gnmt, alpha: 0.8}"),
        ("1e-1", "{name: gnmt, alpha: 0.1}"),
    ],
)
def test_a_number_is_the_alpha_of_gnmt(given: str, option: str) -> None:
    assert overrides("--length-penalty", given)["decoding.length_penalty"] == option
