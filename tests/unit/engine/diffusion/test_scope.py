"""Several adapters over one module at once."""

from functools import partial

import pytest
from torch import nn

from engine.diffusion.scope import NO_ADAPTERS, AdapterState, all_of, switch_adapters


def recording(name: str, told: list[str], *, fails: bool = False) -> AdapterState:
    def activate(_module: nn.Module) -> None:
        if fails:
            raise ValueError(name)
        told.append(f"+{name}")

    return AdapterState(name, activate, lambda _module: told.append(f"-{name}"))


def test_several_are_laid_over_in_their_order_and_lifted_off_in_the_other() -> None:
    told: list[str] = []
    module = nn.Linear(1, 1)
    one = partial(recording, told=told)
    switch_adapters(module, all_of(one("a"), NO_ADAPTERS, one("b")))
    switch_adapters(module, all_of(one("a"), one("b")))
    switch_adapters(module, NO_ADAPTERS)
    assert told == ["+a", "+b", "-b", "-a"]


def test_none_and_one_are_themselves() -> None:
    state = recording("a", [])
    assert all_of() is all_of(NO_ADAPTERS) is NO_ADAPTERS
    assert all_of(NO_ADAPTERS, state) is state


def test_others_in_the_same_places_are_not_equal() -> None:
    told: list[str] = []
    assert all_of(recording("a", told), recording("b", told)) != all_of(recording("b", told), recording("a", told))


def test_if_one_cannot_be_laid_over_none_is() -> None:
    told: list[str] = []
    module = nn.Linear(1, 1)
    with pytest.raises(ValueError, match="b"):
        switch_adapters(module, all_of(recording("a", told), recording("b", told, fails=True)))
    assert told == ["+a", "-a"]
    switch_adapters(module, NO_ADAPTERS)
    assert told == ["+a", "-a"]
