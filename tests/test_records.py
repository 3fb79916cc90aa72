"""Records are dataclasses: they do what those of the standard library do."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field
from functools import cached_property
from typing import Any

import pytest

from imgpipe import records

Decorator = Callable[..., Any]


def made(dataclass: Decorator, **options: Any) -> Any:
    @dataclass(**options)
    class Record:
        """A record of all kinds of fields."""

        first: int
        second: tuple[Any, ...] = ()
        third: list[int] = field(default_factory=list, compare=False)
        fourth: str = field(default="hidden", repr=False)

        @cached_property
        def double(self) -> int:
            return 2 * self.first

    return Record


@pytest.mark.parametrize(
    "options",
    [
        {"frozen": True},
        {"frozen": True, "eq": False},
        {"frozen": True, "repr": False},
        {"frozen": True, "kw_only": True},
        {},
        {"eq": False},
    ],
)
class TestRecord:
    def test_is_made_compared_and_shown_alike(self, options: dict[str, Any]) -> None:
        said = []
        for decorator in (records.dataclass, dataclasses.dataclass):
            cls = made(decorator, **options)
            one, same, other = cls(first=1), cls(first=1, third=[5]), cls(first=1, second=(2,))
            shown = repr(other) if options.get("repr", True) else type(other).__repr__
            said.append(
                (
                    [one == same, one == other, one != other, one == (1, ())],
                    shown.partition(" object at ")[0] if isinstance(shown, str) else shown,
                    cls.__hash__ is None or [hash(one) == hash(each) for each in (same, other)],
                    dataclasses.replace(other, first=3).first,
                    dataclasses.asdict(other),
                    other.double,
                )
            )
        assert said[0] == said[1]

    def test_has_the_same_signature(self, options: dict[str, Any]) -> None:
        said = [made(one, **options) for one in (records.dataclass, dataclasses.dataclass)]
        ours, theirs = (inspect.signature(cls).parameters for cls in said)
        assert list(ours) == list(theirs)
        assert [each.kind for each in ours.values()] == [each.kind for each in theirs.values()]
        assert [each.annotation for each in ours.values()] == [
            each.annotation for each in theirs.values()
        ]

    def test_refuses_wrong_arguments(self, options: dict[str, Any]) -> None:
        cls = made(records.dataclass, **options)
        with pytest.raises(TypeError, match="first"):
            cls()
        with pytest.raises(TypeError, match="fifth"):
            cls(first=1, fifth=5)


def test_a_frozen_record_stays_as_it_was_made() -> None:
    one = made(records.dataclass, frozen=True)(1)
    for name in ("first", "second", "third", "new"):
        with pytest.raises(FrozenInstanceError, match=name):
            setattr(one, name, 5)
    with pytest.raises(FrozenInstanceError, match="first"):
        del one.first
    assert (one.first, one.second, one.double) == (1, (), 2)


def test_a_record_may_fill_in_a_field_itself() -> None:
    @records.dataclass(frozen=True)
    class Area:
        width: int
        pixels: int = field(init=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "width", abs(self.width))
            object.__setattr__(self, "pixels", self.width**2)

    assert repr(Area(-3)).endswith("Area(width=3, pixels=9)")


def test_each_record_gets_its_own_default() -> None:
    cls = made(records.dataclass, frozen=True)
    cls(1).third.append(5)
    assert cls(1).third == []
    assert cls(1, third=None).third is None


def test_a_class_extends_one_of_which_no_record_was_made() -> None:
    class Below(made(records.dataclass, frozen=True)):  # type: ignore[misc]
        def __init__(self, first: int) -> None:
            super().__init__(first, second=(first,))

    assert [Below(1).second, Below(2).second] == [(1,), (2,)]


def test_the_method_is_compiled_once() -> None:
    cls = made(records.dataclass, frozen=True)
    first = cls.__init__
    assert cls.__init__ is first
    assert first.__qualname__ == f"{cls.__qualname__}.__init__"


def test_methods_of_the_class_itself_are_kept() -> None:
    @records.dataclass(frozen=True)
    class Plain:
        first: int

        def __init__(self, first: int) -> None:
            object.__setattr__(self, "first", 2 * first)

        def __repr__(self) -> str:
            return "plain"

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 7

    assert (repr(Plain(1)), Plain(1) == Plain(2), hash(Plain(3))) == ("plain", True, 7)
    assert Plain(1).first == 2


@records.dataclass(frozen=True)
class Base:
    first: int = 1


@records.dataclass(frozen=True)
class Further(Base):
    second: Any = None


def test_records_inherit_fields_and_travel() -> None:
    one = Further(2, Base())
    assert pickle.loads(pickle.dumps(one)) == one
    assert one != Base(2)
    assert repr(one) == "Further(first=2, second=Base(first=1))"
    with pytest.raises(FrozenInstanceError):
        pickle.loads(pickle.dumps(one)).first = 1


@pytest.mark.parametrize("base", [records.dataclass, dataclasses.dataclass])
@pytest.mark.parametrize("decorator", [records.dataclass, dataclasses.dataclass])
class TestExtended:
    """Classes of a plug-in may extend ours, and ours may extend others."""

    def test_by_a_frozen_one(self, decorator: Decorator, base: Decorator) -> None:
        @base(frozen=True)
        class Above:
            first: int = 1

        @decorator(frozen=True)
        class Below(Above):
            second: int = 2

        cls: Any = Below
        one = cls(second=3)
        assert (one.first, one.second) == (1, 3)
        assert one == cls(1, 3) != cls(1, 4)
        assert hash(one) == hash(cls(1, 3))
        assert dataclasses.replace(one, first=5).first == 5
        for name in ("first", "second"):
            with pytest.raises(FrozenInstanceError, match=name):
                setattr(one, name, 5)

    def test_by_one_that_changes(self, decorator: Decorator, base: Decorator) -> None:
        @base(frozen=True)
        class Above:
            first: int = 1

        with pytest.raises(TypeError, match="frozen"):
            decorator()(type("Below", (Above,), {}))


def test_a_record_that_holds_itself_can_be_shown() -> None:
    held: list[Any] = []
    one = Base(held)  # type: ignore[arg-type]
    held.append(one)
    assert repr(one) == "Base(first=[...])"
