"""Textual inversion: files, names in prompts, and vectors in place of tokens."""

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from engine.diffusion.embedding_names import EmbeddingName, split_at_names
from engine.diffusion.embeddings import MAX_VECTORS, EncoderRole, load_embedding
from engine.diffusion.intercepted import intercept_components
from engine.diffusion.placeholders import placeholders
from engine.diffusion.prompts import PromptEncoder
from engine.diffusion.scope import JobScope, job_scope
from engine.interface import Call, EngineError
from engine.library.records import Family
from engine.steps import GreenletJob
from protocol.errors import ErrorCode
from tests import tiny_models
from tests.tiny_models import HIDDEN, HIDDEN_2


def vectors(count: int = 2, width: int = HIDDEN, seed: int = 0) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def parameters(tensor: Tensor) -> nn.ParameterDict:
    return nn.ParameterDict({"*": nn.Parameter(tensor)})


FORMS = {
    "a1111.pt": lambda v: {
        "string_to_token": {"*": 265},
        "string_to_param": {"*": v},
        "name": "other",
        "step": 7,
        "sd_checkpoint": "abc",
        "sd_checkpoint_name": None,
    },
    "original.pt": lambda v: {"string_to_token": {"*": torch.tensor(265)}, "string_to_param": parameters(v)},
    "diffusers.bin": lambda v: {"<cat-toy>": v},
    "diffusers.safetensors": lambda v: {"<cat-toy>": v},
    "kohya.safetensors": lambda v: {"emb_params": v},
    "kohya.pt": lambda v: {"emb_params": v, "step": torch.tensor(3)},
    "half.safetensors": lambda v: {"emb_params": v.half()},
}


def write(path: Path, content: Any) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(content, path)
    else:
        torch.save(content, path)
    return path


def write_embedding(path: Path, tensor: Tensor) -> Path:
    return write(path, {"emb_params": tensor})


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_its_vectors(tmp_path: Path, form: str) -> None:
    expected = vectors()
    loaded = load_embedding("toy", write(tmp_path / form, FORMS[form](expected)))
    found = loaded.vectors(EncoderRole.CLIP_L, HIDDEN)
    assert found.dtype == torch.float32
    assert not found.requires_grad
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)


def test_single_vector_without_a_row_dimension_is_one_row(tmp_path: Path) -> None:
    path = write(tmp_path / "one.safetensors", {"<x>": vectors(1)[0]})
    assert torch.equal(load_embedding("one", path).vectors(EncoderRole.CLIP_L, HIDDEN), vectors(1))


def test_sdxl_file_gives_each_encoder_its_own(tmp_path: Path) -> None:
    content = {"clip_l": vectors(), "clip_g": vectors(width=HIDDEN_2)}
    loaded = load_embedding("xl", write(tmp_path / "xl.safetensors", content))
    assert torch.equal(loaded.vectors(EncoderRole.CLIP_L, HIDDEN), content["clip_l"])
    assert torch.equal(loaded.vectors(EncoderRole.CLIP_G, HIDDEN_2), content["clip_g"])


def test_embedding_of_another_width_is_refused_with_both_sizes(tmp_path: Path) -> None:
    loaded = load_embedding("toy", write_embedding(tmp_path / "toy.safetensors", vectors(width=24)))
    with pytest.raises(
        EngineError, match=r"'toy' .* vectors have 24 values, the text encoder clip_l .* takes 768"
    ) as caught:
        loaded.vectors(EncoderRole.CLIP_L, 768)
    assert caught.value.code is ErrorCode.INVALID_PARAMS


def test_sdxl_file_with_one_encoder_missing_is_refused_for_that_one(tmp_path: Path) -> None:
    loaded = load_embedding("half", write(tmp_path / "half.safetensors", {"clip_l": vectors()}))
    with pytest.raises(EngineError, match=r"'half' .* no vectors of 1280 values for the text encoder clip_g") as caught:
        loaded.vectors(EncoderRole.CLIP_G, 1280)
    assert caught.value.code is ErrorCode.INVALID_PARAMS


class Hostile:
    """A pickle that would write a file where it is loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._path,))


def test_pickle_with_code_in_it_is_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path = write(tmp_path / "evil.pt", {"string_to_param": {"*": vectors()}, "x": Hostile(mark)})
    with pytest.raises(EngineError, match=r"'evil' .* its pickle holds more than tensors") as caught:
        load_embedding("evil", path)
    assert caught.value.code is ErrorCode.BAD_MODEL
    assert not mark.exists()
    path.write_bytes(pickle.dumps(Hostile(mark), protocol=2))
    with pytest.raises(EngineError):
        load_embedding("evil", path)
    assert not mark.exists()


BAD = {
    "no tensors.pt": {"a": 1, "b": "text"},
    "a list.pt": [torch.ones(2, 2)],
    "two of them.safetensors": {"a": torch.ones(1, 4), "b": torch.ones(1, 4)},
    "whole numbers.safetensors": {"emb_params": torch.ones(1, 4, dtype=torch.int64)},
    "empty.safetensors": {"emb_params": torch.ones(0, 4)},
    "cube.safetensors": {"emb_params": torch.ones(2, 2, 2)},
    "scalar.safetensors": {"emb_params": torch.tensor(1.0)},
    "not finite.safetensors": {"emb_params": torch.tensor([[1.0, float("nan")]])},
    "too many.safetensors": {"emb_params": torch.ones(MAX_VECTORS + 1, 4)},
    "uneven.safetensors": {"clip_l": torch.ones(1, 4), "clip_g": torch.ones(2, 4)},
    "odd param.pt": {"string_to_param": 3},
    "sparse.pt": {"emb_params": torch.eye(3).to_sparse()},
}


@pytest.mark.parametrize("name", BAD)
def test_file_that_is_no_embedding_is_refused_by_name(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, BAD[name])
    with pytest.raises(EngineError, match=name) as caught:
        load_embedding(name, path)
    assert caught.value.code is ErrorCode.BAD_MODEL
    assert str(tmp_path) not in caught.value.message


@pytest.mark.parametrize("form", FORMS)
def test_truncated_file_is_refused_wherever_it_is_cut(tmp_path: Path, form: str) -> None:
    whole = write(tmp_path / form, FORMS[form](vectors())).read_bytes()
    for part in range(16):
        path = tmp_path / f"cut{part}{Path(form).suffix}"
        path.write_bytes(whole[: len(whole) * part // 16])
        with pytest.raises(EngineError, match="'cut'") as caught:
            load_embedding("cut", path)
        assert caught.value.code is ErrorCode.BAD_MODEL
        assert str(tmp_path) not in caught.value.message


def test_missing_and_oversized_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="'gone'") as caught:
        load_embedding("gone", tmp_path / "gone.pt")
    assert str(tmp_path) not in caught.value.message
    huge = tmp_path / "huge.pt"
    with huge.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(EngineError, match=r"'huge' .* too many for an embedding"):
        load_embedding("huge", huge)


OFFERED = ("two", "bad", "bad-hands", "Easy_Negative.v2", "two words")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a cat", []),
        ("a bad cat", ["bad"]),
        ("bad-hands, x", ["bad-hands"]),
        ("badly abad bad_x", []),
        ("BAD", ["bad"]),
        ("embedding:bad, embedding:bad-hands.safetensors", ["bad", "bad-hands"]),
        ("easy_negative.v2.", ["Easy_Negative.v2"]),
        ("embedding:Easy_Negative.v2.pt", ["Easy_Negative.v2"]),
        ("xembedding:bad", ["bad"]),
        ("in two words", ["two words"]),
        ("embedding:nobody x", [None]),
        ("embedding:badly", [None]),
    ],
)
def test_embeddings_are_found_by_name(text: str, names: list[str | None]) -> None:
    parts = split_at_names(text, OFFERED)
    assert [part.name for part in parts if isinstance(part, EmbeddingName)] == names
    assert "".join(part if isinstance(part, str) else part.said for part in parts) == text


def test_names_that_differ_in_case_alone_are_told_apart() -> None:
    parts = split_at_names("Cat cat CAT", ("cat", "Cat"))
    assert [part.name for part in parts if isinstance(part, EmbeddingName)] == ["Cat", "cat", "cat"]


@given(st.text(), st.lists(st.text(min_size=1), max_size=4))
def test_no_text_and_no_name_is_an_error(text: str, names: list[str]) -> None:
    parts = split_at_names(text, names)
    assert "".join(part if isinstance(part, str) else part.said for part in parts) == text


def stock_with_inversion(pipeline: Any, tokens: dict[str, list[Tensor]]) -> Any:
    """A copy of a pipeline with embeddings added to tokenizers and tables, as diffusers does it."""
    pipeline = copy.deepcopy(pipeline)
    for token, each in tokens.items():
        names = [("tokenizer", "text_encoder"), ("tokenizer_2", "text_encoder_2")][: len(each)]
        for (tokenizer, text_encoder), tensor in zip(names, each, strict=True):
            pipeline.load_textual_inversion(
                {token: tensor},
                token=token,
                tokenizer=getattr(pipeline, tokenizer),
                text_encoder=getattr(pipeline, text_encoder),
            )
    return pipeline


def test_embedding_equals_what_diffusers_makes_of_it_on_sd1(tmp_path: Path) -> None:
    pipeline = tiny_models.make_sd1()
    file = write_embedding(tmp_path / "toy.pt", vectors(3))
    encoder = PromptEncoder(pipeline.components, Family.SD1)
    expected = stock_with_inversion(pipeline, {"<toy>": [vectors(3)]}).encode_prompt(
        "a <toy> on grass", torch.device("cpu"), 1, True, "no <toy>"
    )
    for named in ("toy", "embedding:toy"):
        made = encoder.encode(f"a {named} on grass", f"no {named}", guidance=True, embeddings={"toy": file})
        assert made is not None
        assert made.negative_prompt_embeds is not None
        assert torch.equal(made.prompt_embeds, expected[0])
        assert torch.equal(made.negative_prompt_embeds, expected[1])


@pytest.mark.parametrize("end", [None, 2], ids=["end by its id", "end by the highest id"])
def test_embedding_equals_what_diffusers_makes_of_it_on_sdxl(tmp_path: Path, end: int | None) -> None:
    pipeline = tiny_models.make_sdxl()
    both = [vectors(), vectors(width=HIDDEN_2, seed=1)]
    file = write(tmp_path / "xl.safetensors", {"clip_l": both[0], "clip_g": both[1]})
    expected = stock_with_inversion(pipeline, {"<toy>": both}).encode_prompt("a <toy>", device=torch.device("cpu"))
    if end is not None:
        # As in the configurations of the published models.
        pipeline.text_encoder_2.text_model.eos_token_id = end
    made = PromptEncoder(pipeline.components, Family.SDXL).encode("a toy", guidance=True, embeddings={"toy": file})
    assert made is not None
    assert torch.equal(made.prompt_embeds, expected[0])
    assert made.pooled is not None
    assert torch.equal(made.pooled, expected[2])


def test_tokenizer_and_table_are_left_as_they_were(tmp_path: Path) -> None:
    pipeline = tiny_models.make_sd1()
    file = write_embedding(tmp_path / "toy.pt", vectors())
    table = pipeline.text_encoder.get_input_embeddings()
    before = (table.weight.clone(), len(pipeline.tokenizer), set(vars(table)))
    encoder = PromptEncoder(pipeline.components, Family.SD1)
    encoder.encode("a toy", guidance=True, embeddings={"toy": file})
    assert torch.equal(table.weight, before[0])
    assert len(pipeline.tokenizer) == before[1]
    assert set(vars(table)) == before[2]
    assert not table._forward_hooks
    assert not table._forward_pre_hooks


def test_embedding_may_be_weighted_and_is_not_cut(tmp_path: Path) -> None:
    pipeline = tiny_models.make_sd1()
    files = {"toy": write_embedding(tmp_path / "toy.pt", vectors(10))}
    encoder = PromptEncoder(pipeline.components, Family.SD1)

    def states(prompt: str) -> Tensor:
        made = encoder.encode(prompt, guidance=False, embeddings=files)
        assert made is not None
        return made.prompt_embeds

    empty, plain, weighted = states(""), states("x toy y"), states("x (toy:0.5) y")
    torch.testing.assert_close(weighted[:, 2:12], (plain[:, 2:12] + empty[:, 2:12]) / 2)
    assert torch.equal(weighted[:, 12:], plain[:, 12:])
    assert torch.equal(states("a" * 70 + " toy")[:, 77:], states("toy"))


def test_two_embeddings_in_one_prompt_keep_apart(tmp_path: Path) -> None:
    pipeline = tiny_models.make_sd1()
    both = {"one": vectors(2), "two": vectors(3, seed=1)}
    files = {name: write_embedding(tmp_path / f"{name}.pt", tensor) for name, tensor in both.items()}
    stock = stock_with_inversion(pipeline, {f"<{name}>": [tensor] for name, tensor in both.items()})
    expected = stock.encode_prompt("<two> x <one> <two>", torch.device("cpu"), 1, False)[0]
    made = PromptEncoder(pipeline.components, Family.SD1).encode("two x one two", guidance=False, embeddings=files)
    assert made is not None
    assert torch.equal(made.prompt_embeds, expected)


def test_unknown_embedding_is_said_and_left_out() -> None:
    said: list[tuple[str, str]] = []
    encoder = PromptEncoder(tiny_models.make_sd1().components, Family.SD1)
    made = encoder.encode("a embedding:nobody b", guidance=False, warn=lambda *heard: said.append(heard))
    plain = encoder.encode("a b", guidance=False)
    assert made is not None
    assert plain is not None
    assert torch.equal(made.prompt_embeds, plain.prompt_embeds)
    assert [code for code, _ in said] == ["embedding_missing"]
    assert "embedding:nobody" in said[0][1]


def test_model_that_encodes_for_itself_says_that_it_takes_no_embeddings(tmp_path: Path) -> None:
    said: list[str] = []
    encoder = PromptEncoder({}, Family.FLUX)
    encoder.encode("toy toy", guidance=True, embeddings={"toy": tmp_path}, warn=lambda code, _: said.append(code))
    assert said == ["embedding_ignored"]


def test_embedding_for_another_model_fails_before_any_forward(tmp_path: Path) -> None:
    pipeline = tiny_models.make_sdxl()
    calls: list[object] = []
    pipeline.text_encoder.register_forward_pre_hook(lambda _module, args: calls.append(args))
    file = write_embedding(tmp_path / "toy.pt", vectors())
    encoder = PromptEncoder(pipeline.components, Family.SDXL)
    with pytest.raises(EngineError, match=f"{HIDDEN} values, the text encoder clip_g of this one takes {HIDDEN_2}"):
        encoder.encode("a toy", guidance=True, embeddings={"toy": file})
    assert calls == []


def test_file_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    encoder = PromptEncoder(tiny_models.make_sd1().components, Family.SD1)
    file = write_embedding(tmp_path / "toy.pt", vectors(1))
    first = encoder.encode("a toy", guidance=False, embeddings={"toy": file})
    write_embedding(file, vectors(4, seed=9))
    second = encoder.encode("a toy", guidance=False, embeddings={"toy": file})
    assert first is not None
    assert second is not None
    assert not torch.equal(first.prompt_embeds, second.prompt_embeds)


def test_jobs_that_encode_at_the_same_time_do_not_see_each_others_embeddings(tmp_path: Path) -> None:
    """Interleaved at every call, on one module: with two embeddings of one name, and without any."""
    files = [{"toy": write_embedding(tmp_path / f"{seed}.pt", vectors(seed=seed))} for seed in range(2)]
    offered: list[dict[str, Path]] = [*files, {}]
    prompts = "a toy BREAK (toy:1.4) b BREAK c"

    def encoded(encoder: PromptEncoder, which: int) -> Tensor:
        made = encoder.encode(prompts, "a toy", guidance=True, embeddings=offered[which])
        assert made is not None
        assert made.negative_prompt_embeds is not None
        return torch.cat([made.prompt_embeds, made.negative_prompt_embeds])

    alone = [encoded(PromptEncoder(tiny_models.make_sd1().components, Family.SD1), which) for which in range(3)]
    pipeline = tiny_models.make_sd1()
    shared = PromptEncoder(pipeline.components, Family.SD1)
    intercept_components(pipeline.components)
    together: dict[int, Tensor] = {}

    def work(which: int) -> None:
        with job_scope(JobScope()):
            together[which] = encoded(shared, which)

    jobs = [GreenletJob(lambda which=which: work(which)) for which in range(3)]  # type: ignore[misc] # bound early
    waiting = [(job, job.resume()) for job in jobs]
    calls = 0
    while waiting:
        job, call = waiting.pop(0)
        if isinstance(call, Call):
            calls += 1
            waiting.append((job, job.resume(call.run())))
    assert calls > 9
    for which in range(3):
        assert torch.equal(together[which], alone[which])


def test_job_that_is_cancelled_while_it_waits_leaves_nothing_at_the_table(tmp_path: Path) -> None:
    pipeline = tiny_models.make_sd1()
    file = write_embedding(tmp_path / "toy.pt", vectors())
    encoder = PromptEncoder(pipeline.components, Family.SD1)
    intercept_components(pipeline.components)
    table = pipeline.text_encoder.get_input_embeddings()

    def work() -> None:
        with job_scope(JobScope()):
            encoder.encode("a toy", guidance=False, embeddings={"toy": file})

    job = GreenletJob(work)
    assert isinstance(job.resume(), Call)
    assert table._forward_hooks
    with pytest.raises(KeyboardInterrupt):
        job.resume(error=KeyboardInterrupt())
    assert not table._forward_hooks
    assert not table._forward_pre_hooks
    assert encoder.size_bytes == 0


def test_placeholders_stand_for_their_vectors_in_any_shape() -> None:
    table = nn.Embedding(8, 4)
    given = vectors(3, 4)
    with placeholders(table, given) as first, placeholders(table, -given) as other:
        assert first < 0
        assert other < 0
        ids = torch.tensor([[5, first - 2], [other, first]])
        expected = torch.stack([torch.stack([table.weight[5], given[2]]), torch.stack([-given[0], given[0]])])
        assert torch.equal(table(ids), expected)
        assert torch.equal(table(torch.tensor([1, 2])), table.weight[1:3])
    with pytest.raises((IndexError, RuntimeError)):
        table(torch.tensor([first]))
