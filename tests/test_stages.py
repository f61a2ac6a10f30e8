"""The order of stage columns."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from indexer.stages import ordered_stages

STAGES = st.lists(
    st.sampled_from(["dev", "test", "stage", "prod", "canary", "alpha", "zeta"]),
    unique=True,
    max_size=5,
)


def test_without_a_gto_file_the_usual_order_holds_and_others_follow_by_name() -> None:
    stages = ["prod", "zeta", "dev", "stage", "canary", "test", "staging"]

    assert ordered_stages(stages) == [
        "dev",
        "test",
        "staging",
        "stage",
        "prod",
        "canary",
        "zeta",
    ]


def test_one_gto_file_is_followed_as_it_is() -> None:
    order = ["prod", "canary", "dev"]

    assert ordered_stages(["dev", "canary", "prod"], [(order, 1)]) == order


def test_stages_that_nobody_uses_leave_no_column() -> None:
    assert ordered_stages(["prod"], [(["dev", "stage", "prod"], 3)]) == ["prod"]


def test_a_stage_that_no_file_names_comes_last() -> None:
    order = ["dev", "canary", "prod"]

    found = ordered_stages([*order, "alpha"], [(order, 1)])

    assert found == ["dev", "canary", "prod", "alpha"]


def test_files_that_complete_each_other_are_merged() -> None:
    orders = [(["dev", "canary"], 1), (["canary", "prod"], 1), (["beta", "dev"], 1)]

    found = ordered_stages(["prod", "canary", "beta", "dev"], orders)

    assert found == ["beta", "dev", "canary", "prod"]


def test_where_files_contradict_each_other_the_greater_number_wins() -> None:
    orders = [(["prod", "dev"], 2), (["dev", "prod"], 5)]

    assert ordered_stages(["dev", "prod"], orders) == ["dev", "prod"]
    assert ordered_stages(["dev", "prod"], [(["prod", "dev"], 6), *orders[1:]]) == [
        "prod",
        "dev",
    ]


@given(st.lists(st.tuples(STAGES, st.integers(1, 3)), max_size=5), st.randoms())
def test_every_stage_is_there_once_whatever_order_the_input_has(
    orders: list[tuple[list[str], int]], dice: random.Random
) -> None:
    stages = sorted({stage for order, _ in orders for stage in order})
    found = ordered_stages(stages, orders)
    shuffled = list(orders)
    dice.shuffle(shuffled)

    assert sorted(found) == stages
    assert ordered_stages(reversed(stages), shuffled) == found
