"""The difference of two vectors: the goods end where the target says, by the shortest way, whatever the two were."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from app.inbox.difference import NOTHING, Counts, Place, Step, difference
from app.ledger.models import State

A, B = (1, 10), (1, 20)
PHYSICAL = {
    "committed": State.COMMITTED,
    "shipped": State.CUSTOMER,
    "restocked": State.AVAILABLE,
    "damaged": State.DAMAGED,
    "held": State.QUARANTINED,
}
counts = st.builds(Counts, *[st.integers(0, 4)] * 5)
vectors = st.dictionaries(st.sampled_from([A, B, (2, 10)]), counts, max_size=3)


def goods(vector: dict[Place, Counts]) -> Counter[tuple[int, State, int | None]]:
    """Where the units of a vector are; what is restocked lies in available, where everything was taken from."""
    where: Counter[tuple[int, State, int | None]] = Counter()
    for (item, place), held in vector.items():
        for bucket, state in PHYSICAL.items():
            if bucket != "restocked":
                where[item, state, None if state is State.CUSTOMER else place] += getattr(held, bucket)
    return where


def carried(vector: dict[Place, Counts], steps: list[Step]) -> Counter[tuple[int, State, int | None]]:
    where = goods(vector)
    for step in steps:
        where[step.item_id, step.from_state, step.from_location_id] -= step.quantity
        where[step.item_id, step.to_state, step.to_location_id] += step.quantity
    return where


@given(vectors, vectors)
def test_the_goods_end_where_the_target_says(posted: dict[Place, Counts], target: dict[Place, Counts]) -> None:
    ends = carried(posted, difference(posted, target))
    for key, units in goods(target).items():
        assert ends[key] == units
    assert all(units == goods(target)[key] for key, units in ends.items() if key[1] is not State.AVAILABLE)


@given(vectors)
def test_the_same_vector_again_moves_nothing(vector: dict[Place, Counts]) -> None:
    assert difference(vector, vector) == []


@given(vectors, vectors)
def test_every_unit_that_comes_back_from_the_customer_is_a_return(
    posted: dict[Place, Counts], target: dict[Place, Counts]
) -> None:
    for step in difference(posted, target):
        assert step.returns == (step.from_state is State.CUSTOMER)
        assert step.quantity > 0
        assert (step.from_state, step.from_location_id) != (step.to_state, step.to_location_id)


def test_a_return_to_another_place_comes_straight_from_the_customer() -> None:
    steps = difference({A: Counts(shipped=2)}, {A: Counts(shipped=1), B: Counts(restocked=1)})
    assert steps == [Step(1, 1, State.CUSTOMER, None, State.AVAILABLE, 20, returns=True)]


def test_a_reassignment_goes_back_to_available_there_and_is_taken_here() -> None:
    steps = difference({A: Counts(committed=3)}, {B: Counts(committed=3)})
    assert [(s.from_state, s.from_location_id, s.to_state, s.to_location_id) for s in steps] == [
        (State.COMMITTED, 10, State.AVAILABLE, 10),
        (State.AVAILABLE, 20, State.COMMITTED, 20),
    ]


def test_an_order_first_seen_when_it_was_shipped_is_one_movement() -> None:
    assert difference({}, {A: Counts(shipped=2)}) == [Step(1, 2, State.AVAILABLE, 10, State.CUSTOMER, None)]


def test_units_sold_and_returned_before_we_heard_are_sold_and_returned() -> None:
    out, back = difference({}, {A: Counts(restocked=1)})
    assert (out.to_state, back.from_state, back.returns_now) == (State.CUSTOMER, State.CUSTOMER, True)


def test_a_refund_without_restock_before_shipping_holds_the_goods() -> None:
    steps = difference({A: Counts(committed=2)}, {A: Counts(committed=1, held=1)})
    assert steps == [Step(1, 1, State.COMMITTED, 10, State.QUARANTINED, 10)]


def test_nothing_posted_and_nothing_wanted_is_nothing_to_do() -> None:
    assert difference({A: NOTHING}, {}) == []
