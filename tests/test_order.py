"""Images give tasks in an order that has a name."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.engine.order import ORDERS, Order, order_of
from imgpipe.errors import UsageError


@dataclass(frozen=True)
class Image:
    number: int
    pixels: int = 1


IMAGES = [Image(3, 10), Image(1, 10), Image(4, 90), Image(2, 40)]


def numbers(order: Order) -> list[int]:
    return [image.number for image in order.arranged(IMAGES)]


def test_fifo_is_the_order_of_their_numbers() -> None:
    assert numbers(Order("fifo")) == [1, 2, 3, 4]


def test_round_robin_goes_on_after_the_one_that_was_served() -> None:
    order = Order("round-robin")
    assert numbers(order) == [1, 2, 3, 4]
    order.served(Image(2))
    assert numbers(order) == [3, 4, 1, 2]
    order.served(Image(4))
    assert numbers(order) == [1, 2, 3, 4]


def test_largest_first_serves_equals_in_turn() -> None:
    assert numbers(Order("largest-first")) == [4, 2, 1, 3]


def test_a_seed_says_which_random_order_it_is() -> None:
    def several(seed: int) -> list[list[int]]:
        order = Order("random", seed)
        return [numbers(order) for _ in range(5)]

    assert several(1) == several(1)
    assert several(1) != several(2)


@given(
    name=st.sampled_from(ORDERS),
    images=st.lists(
        st.builds(Image, st.integers(1, 50), st.integers(1, 9)), unique_by=lambda i: i.number
    ),
    served=st.integers(1, 50),
)
def test_no_image_is_left_out(name: str, images: list[Image], served: int) -> None:
    order = order_of(name)
    order.served(Image(served))
    assert sorted(order.arranged(images), key=lambda i: i.number) == sorted(
        images, key=lambda i: i.number
    )


def test_only_an_order_that_compares_images_opens_many_before_they_can_begin() -> None:
    assert {name: Order(name).ahead for name in ORDERS} == {
        "fifo": 1,
        "round-robin": 1,
        "largest-first": 32,
        "random": 32,
    }


def test_an_order_that_is_not_known_is_refused() -> None:
    with pytest.raises(UsageError, match="fifo, round-robin, largest-first, random, not 'lifo'"):
        order_of("lifo")
