"""The arguments of a forward, with the tensors of several jobs laid on top of each other, and its output cut again.

A row is one sample of a batch. Which tensors have rows is told by the first argument: where it has N, a tensor with a
leading dimension of N has rows as well. Everything else has to be equal between jobs, and so is a part of the key.
What cannot be told for sure runs alone.
"""

from collections.abc import Hashable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

_SHARED: Final = frozenset({"img_ids", "txt_ids"})
"""Never in rows, whatever their leading dimension: positions of Flux and its kin, (tokens, 3)."""
_OPAQUE: Final = frozenset({"cross_attention_kwargs", "joint_attention_kwargs", "attention_kwargs"})
"""For the attention processors, which may do anything with them: never joined."""
_MOST_DIGEST_BYTES: Final = 1 << 20

_digests: Final[MutableMapping[Tensor, tuple[int, bytes]]] = WeakTensorKeyDictionary()
"""Tensor -> (its version, digest): a pipeline passes the same one at every step."""


class _Alone(Exception):
    """These arguments cannot be joined with others."""


class RowsMismatch(ValueError):
    """An output that is not in rows, or not in as many as went in."""


@dataclass(frozen=True, slots=True)
class _Slot:
    """Stands in the arguments for what each job has a value of its own for."""

    index: int
    is_timestep: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Arguments:
    """The arguments of one forward, ready to be joined with others of an equal `key`.

    Attributes:
        rows: how many samples, at least 1.
        key: shapes beyond the rows, dtypes, devices, structure, and what has to be equal.
        shape: dtypes and shapes of what has rows: what the time of a forward depends on.
    """

    rows: int
    key: Hashable
    shape: Hashable
    device: torch.device
    _tree: Mapping[str, Any]
    _slots: tuple[_Slot, ...]
    _values: tuple[Any, ...]

    def as_given(self) -> dict[str, Any]:
        """The arguments by name, every value the very object that was given."""
        return {name: _filled(tree, self._values) for name, tree in self._tree.items()}


def read_arguments(given: Mapping[str, Any]) -> Arguments | None:
    """Find the rows in the arguments of a forward.

    Args:
        given: by name and in the order of the signature, with the defaults filled in, so that spelling does not matter.

    Returns:
        None if these arguments can only be run alone.
    """
    first = next(iter(given.values()), None)
    if not isinstance(first, Tensor) or first.ndim < 2 or len(first) == 0:
        return None
    reading = _Reading(len(first))
    try:
        read = {name: reading.argument(name, value) for name, value in given.items()}
    except _Alone:
        return None
    key = tuple((name, key) for name, (_, key) in read.items())
    tree = {name: tree for name, (tree, _) in read.items()}
    shape = tuple(
        (value.dtype, value.shape[1:]) for value in reading.values if isinstance(value, Tensor) and value.ndim
    )
    return Arguments(reading.rows, key, shape, first.device, tree, tuple(reading.slots), tuple(reading.values))


def join(parts: Sequence[Arguments]) -> dict[str, Any]:
    """One set of arguments for all of `parts`, which have equal keys: their rows one after another."""
    joined = [_joined(parts, slot) for slot in parts[0]._slots]
    return {name: _filled(tree, joined) for name, tree in parts[0]._tree.items()}


def split(output: Any, rows: Sequence[int]) -> list[Any]:
    """Cut the output of a joined forward: one of the same structure for each part.

    Every tensor is a copy. A view would hold on to the rows of all for as long as one scheduler keeps its own.

    Args:
        output: a tensor, None, or tuples, lists, dicts and output classes of these.
        rows: of each part.

    Raises:
        RowsMismatch: a tensor in it does not have the rows of all parts together.
    """
    total = sum(rows)
    starts = [sum(rows[:index]) for index in range(len(rows))]
    return [_cut(output, start, count, total) for start, count in zip(starts, rows, strict=True)]


def single_rows(arguments: Arguments) -> list[dict[str, Any]]:
    """The arguments of one forward for each row."""
    return [
        {name: _filled(tree, _row(arguments, index)) for name, tree in arguments._tree.items()}
        for index in range(arguments.rows)
    ]


def stacked(outputs: Sequence[Any]) -> Any:
    """The opposite of `split`: one output of the same structure, the rows of all one after another."""
    first = outputs[0]
    if isinstance(first, Tensor):
        return torch.cat(list(outputs))
    if first is None:
        return None
    if isinstance(first, Mapping):
        together = {name: stacked([output[name] for output in outputs]) for name in first}
        return together if type(first) is dict else type(first)(**together)
    if type(first) is list or type(first) is tuple:
        return type(first)(stacked([output[index] for output in outputs]) for index in range(len(first)))
    raise RowsMismatch(f"output: {type(first).__name__} has no rows")


class _Reading:
    """One walk through the arguments of a forward."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.slots: list[_Slot] = []
        self.values: list[Any] = []

    def argument(self, name: str, value: Any) -> tuple[Any, Hashable]:
        """The argument with slots in it, and its part of the key."""
        if name == "timestep" and _is_timestep(value, self.rows):
            return self._slot(value, is_timestep=True), _Slot
        return self._walk(value, can_join=name not in _SHARED and name not in _OPAQUE, is_opaque=name in _OPAQUE)

    def _walk(self, value: Any, *, can_join: bool, is_opaque: bool) -> tuple[Any, Hashable]:
        if isinstance(value, Tensor):
            has_rows = self._has_rows(value)
            if has_rows and can_join:
                return self._slot(value), (_Slot, value.dtype, value.device, value.shape[1:])
            if has_rows and is_opaque:
                raise _Alone  # perhaps in rows after all, and then as many as this one job has
            return value, (value.dtype, value.device, value.shape, _digest(value))
        if value is None or isinstance(value, bool | int | float | str | Enum | torch.dtype | torch.device):
            return value, (type(value), value)
        if type(value) is dict:
            walked = {name: self._walk(each, can_join=can_join, is_opaque=is_opaque) for name, each in value.items()}
            return {name: tree for name, (tree, _) in walked.items()}, (
                dict,
                tuple((name, key) for name, (_, key) in walked.items()),
            )
        if type(value) is list or type(value) is tuple:
            if len(value) == self.rows and not all(self._has_rows(each) for each in value):
                raise _Alone  # as many as there are rows: perhaps one for each
            items = [self._walk(each, can_join=can_join, is_opaque=is_opaque) for each in value]
            return type(value)(tree for tree, _ in items), (type(value), tuple(key for _, key in items))
        raise _Alone

    def _has_rows(self, value: Any) -> bool:
        return isinstance(value, Tensor) and value.ndim > 0 and len(value) == self.rows

    def _slot(self, value: Any, *, is_timestep: bool = False) -> _Slot:
        slot = _Slot(len(self.slots), is_timestep)
        self.slots.append(slot)
        self.values.append(value)
        return slot


def _is_timestep(value: Any, rows: int) -> bool:
    """Whether it is one number for all rows, or one for each."""
    if isinstance(value, Tensor):
        return value.numel() == 1 or value.shape == (rows,)
    return isinstance(value, int | float)


def _digest(tensor: Tensor) -> bytes:
    """Of the content of `tensor`.

    Raises:
        _Alone: it is too large to be read, or does not tell when it is changed.
    """
    if tensor.numel() * tensor.element_size() > _MOST_DIGEST_BYTES or tensor.is_inference():
        raise _Alone
    version, digest = _digests.get(tensor, (-1, b""))
    if version != tensor._version:
        # The bytes, whatever the dtype: numpy has no bfloat16.
        content = tensor.detach().contiguous().cpu().reshape(-1).view(torch.uint8).numpy().data
        digest = blake2b(content, digest_size=16).digest()
        _digests[tensor] = (tensor._version, digest)
    return digest


def _filled(tree: Any, values: Sequence[Any]) -> Any:
    if isinstance(tree, _Slot):
        return values[tree.index]
    if type(tree) is dict:
        return {name: _filled(each, values) for name, each in tree.items()}
    if type(tree) is list or type(tree) is tuple:
        return type(tree)(_filled(each, values) for each in tree)
    return tree


def _joined(parts: Sequence[Arguments], slot: _Slot) -> Tensor:
    if not slot.is_timestep:
        return torch.cat([part._values[slot.index] for part in parts])
    vectors = [_vector(part._values[slot.index], part) for part in parts]
    # DDIM counts its timesteps in integers, Euler in floats.
    is_mixed = len({vector.dtype for vector in vectors}) > 1
    return torch.cat([vector.float() for vector in vectors] if is_mixed else vectors)


def _row(arguments: Arguments, index: int) -> list[Any]:
    """The values of one row."""
    values = list(arguments._values)
    for slot in arguments._slots:
        value = values[slot.index]
        if slot.is_timestep:
            value = _vector(value, arguments)
        values[slot.index] = value[index : index + 1]
    return values


def _vector(timestep: Any, part: Arguments) -> Tensor:
    return torch.as_tensor(timestep, device=part.device).reshape(-1).expand(part.rows)


def _cut(output: Any, start: int, count: int, total: int) -> Any:
    if isinstance(output, Tensor):
        if output.ndim == 0 or len(output) != total:
            raise RowsMismatch(f"output: expected {total} rows, got the shape {tuple(output.shape)}")
        return output[start : start + count].clone()
    if output is None:
        return None
    if isinstance(output, Mapping):
        cut = {name: _cut(each, start, count, total) for name, each in output.items()}
        # The output classes of diffusers and transformers are dicts with a constructor of named fields.
        return cut if type(output) is dict else type(output)(**cut)
    if type(output) is list or type(output) is tuple:
        return type(output)(_cut(each, start, count, total) for each in output)
    raise RowsMismatch(f"output: {type(output).__name__} has no rows")
