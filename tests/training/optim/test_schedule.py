import math

import pytest

from nmt.core.errors import ConfigError
from nmt.training.optim.schedule import (
    Constant,
    Cosine,
    InverseSquareRoot,
    Plateau,
    Schedule,
    scheduled_sampling_probability,
)
from nmt.training.optim.table import SCHEDULES


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_warms_up_and_stays_between_nothing_and_all(name: str) -> None:
    schedule: Schedule = SCHEDULES[name](100, warmup=10)
    factors = [schedule.factor(update) for update in range(1, 131)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[:10] == sorted(factors[:10])
    assert factors[9] == pytest.approx(1.0)
    assert all(0.0 <= factor <= 1.0 for factor in factors)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_resumes(name: str) -> None:
    unbroken: Schedule = SCHEDULES[name](50, warmup=3)
    broken: Schedule = SCHEDULES[name](50, warmup=3)
    for update in range(1, 60):
        if update == 20:
            state = broken.state()
            broken = SCHEDULES[name](50, warmup=3)
            broken.restore(state, update)
        if update % 3 == 0:
            for schedule in (unbroken, broken):
                schedule.observe(update == 12)
        assert unbroken.factor(update) == broken.factor(update)


def test_constant_stays() -> None:
    assert {Constant(None).factor(update) for update in (1, 10, 10**6)} == {1.0}


def test_constant_cools_down_at_the_end() -> None:
    schedule = Constant(100, warmup=10, cooldown=20)
    assert {schedule.factor(update) for update in range(10, 81)} == {1.0}
    assert schedule.factor(90) == pytest.approx(0.5)
    assert schedule.factor(95) == pytest.approx(0.25)
    assert schedule.factor(100) == schedule.factor(120) == 0.0


def test_cooldown_needs_an_end_and_enough_updates() -> None:
    with pytest.raises(ConfigError, match=r"schedule\.cooldown: needs the end of training"):
        Constant(None, cooldown=5)
    with pytest.raises(ConfigError, match="95 and warmup 10 exceed the 100 updates"):
        Constant(100, warmup=10, cooldown=95)


def test_started_cooldown_cannot_be_postponed() -> None:
    state = Constant(100, cooldown=20).state()
    for end in (90, 100, 200):
        Constant(end, cooldown=20).restore(state, 70)
    Constant(100, cooldown=20).restore(state, 90)
    for end, update in ((200, 81), (90, 71)):
        message = f"the cool-down of this run ends at update 100, but at {end} with"
        with pytest.raises(ConfigError, match=message):
            Constant(end, cooldown=20).restore(state, update)


def test_inverse_square_root_by_hand() -> None:
    schedule = InverseSquareRoot(None, warmup=100)
    assert schedule.factor(50) == pytest.approx(0.5)
    assert schedule.factor(400) == pytest.approx(0.5)
    assert schedule.factor(10_000) == pytest.approx(0.1)


def test_cosine_by_hand() -> None:
    schedule = Cosine(110, warmup=10, final=0.2)
    assert schedule.factor(10) == pytest.approx(1.0)
    assert schedule.factor(60) == pytest.approx(0.6)
    assert schedule.factor(35) == pytest.approx(0.2 + 0.8 * (1 + math.cos(math.pi / 4)) / 2)
    assert schedule.factor(110) == pytest.approx(0.2)
    assert schedule.factor(500) == pytest.approx(0.2)


def test_the_length_of_cosine_can_be_given() -> None:
    assert Cosine(110, num_updates=20).factor(10) == pytest.approx(0.5)
    assert Cosine(None, num_updates=20).factor(10) == pytest.approx(0.5)


def test_cosine_schedule_cannot_change_on_resume() -> None:
    state = Cosine(110).state()
    message = r"cosine of this run ends at update 110, but at 220 .*; restore training.max_updates"
    with pytest.raises(ConfigError, match=message):
        Cosine(220).restore(state, 1)
    Cosine(220, num_updates=110).restore(state, 1)


def test_cosine_needs_an_end() -> None:
    with pytest.raises(ConfigError, match=r"schedule\.num_updates: missing, and training"):
        Cosine(None)


def test_cosine_must_end_after_the_warmup() -> None:
    with pytest.raises(ConfigError, match=r"schedule\.warmup: must be less than the 50 updates"):
        Cosine(50, warmup=50)


def test_plateau_waits_then_lowers_then_waits_again() -> None:
    schedule = Plateau(None, patience=2, decay=0.5, minimum=0.2)
    factors = []
    for improved in [True, False, True, False, False, False, False, False, False, False, False]:
        schedule.observe(improved)
        factors.append(schedule.factor(100))
    assert factors == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2]


def test_warmup_rises_to_the_reduced_rate() -> None:
    schedule = Plateau(None, warmup=10, patience=1, decay=0.5)
    schedule.observe(False)
    assert schedule.factor(5) == pytest.approx(0.25)
    assert schedule.factor(10) == schedule.factor(11) == 0.5


def test_a_restored_plateau_remembers_how_long_it_has_waited() -> None:
    schedule, restored = (Plateau(None, patience=2, decay=0.5) for _ in range(2))
    schedule.observe(False)
    restored.restore(schedule.state(), 7)
    restored.observe(False)
    assert restored.factor(8) == 0.5


def test_warmup_and_cooldown_may_fill_the_training() -> None:
    schedule = Constant(100, warmup=40, cooldown=60)
    assert [schedule.factor(update) for update in (20, 40, 70)] == [0.5, 1.0, 0.5]


def test_the_given_length_of_cosine_counts_the_warmup() -> None:
    schedule = Cosine(1_000, warmup=10, num_updates=50)
    assert [schedule.factor(update) for update in (5, 10, 30, 50)] == pytest.approx(
        [0.5, 1.0, 0.5, 0.0]
    )


@pytest.mark.parametrize(
    ("update", "probability"), [(0, 0.0), (100, 0.0), (150, 0.2), (200, 0.4), (10**6, 0.4)]
)
def test_probability_of_scheduled_sampling_rises_linearly(update: int, probability: float) -> None:
    found = scheduled_sampling_probability(update, 100, 200, 0.4)
    assert found == pytest.approx(probability)
