from dataclasses import replace
from pathlib import Path

from engine.library.default import default_checkpoint
from engine.library.records import Family, FoundModel, ModelKind


def checkpoint(name: str) -> FoundModel:
    return FoundModel(
        name=name,
        kind=ModelKind.CHECKPOINT,
        family=Family.SD1,
        path=Path(name),
        is_folder=True,
        size_bytes=1,
        source="tests",
        problem=None,
        is_pickle=False,
        modified_at=0.0,
        relative=name,
    )


def test_the_first_by_name_is_the_default_and_the_embedded_one_only_if_there_is_no_other() -> None:
    spark, zebra, yak = checkpoint("spark"), checkpoint("zebra"), checkpoint("yak")
    assert default_checkpoint([spark, zebra, yak]) is yak
    assert default_checkpoint([spark]) is spark
    assert default_checkpoint([]) is None


def test_what_is_broken_or_no_checkpoint_is_never_the_default() -> None:
    broken = replace(checkpoint("a"), problem="it is truncated")
    lora = replace(checkpoint("a"), kind=ModelKind.LORA)
    assert default_checkpoint([broken, lora, checkpoint("spark")]) == checkpoint("spark")
    assert default_checkpoint([broken, lora]) is None
