"""The pictures that a job's ControlNets and IP-Adapters go by."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from torch import Tensor

from engine.diffusion.canvas import covering
from engine.diffusion.control_pictures import Subject, control_picture
from engine.diffusion.generation_job import GenerationJob
from engine.diffusion.prompt_faces import faces_taken
from engine.images import Floats, to_tensor
from engine.interface import Call, Where
from engine.preprocessing.networks import BY_NETWORK, seen_by_network
from engine.steps import await_call, await_steps
from protocol.guides import ControlFit


def guides(job: GenerationJob) -> Mapping[str, Any]:
    """What the pipeline is given for them. In a job's greenlet; they are read and prepared on the side pool.

    Raises:
        EngineError: `bad_image`; `model_missing`: a network that finds faces, depth or poses; `forbidden`: its licence.
    """
    controls, prompts = job.additions.controls, job.additions.image_prompts
    given: dict[str, Any] = {}
    if controls is not None:
        given |= controls.arguments(job.kind, [to_tensor(picture) for picture in _controls(job)])
    if prompts is not None:
        read = cast("list[Floats]", await_call(Call(lambda: job.read_all("image_prompts"), Where.POOL, "read")))
        shown = await_steps(faces_taken(prompts.refs, read, job.studio.residency, job.context))
        given |= prompts.arguments(_prepared(lambda: prompts.prepare(shown)), is_guided=job.is_guided(job.model))
    return given


def _prepared(prepare: Callable[[], list[Tensor]]) -> list[Tensor]:
    return cast("list[Tensor]", await_call(Call(prepare, Where.POOL, "read")))


def _controls(job: GenerationJob) -> list[Floats]:
    """What each ControlNet goes by."""
    refs = job.params.controls
    read = Call(lambda: [_control(job, number) for number in range(len(refs))], Where.POOL, "read")
    pictures = cast("list[Floats]", await_call(read))
    for number, ref in enumerate(refs):
        if ref.preprocess in BY_NETWORK:
            seen = seen_by_network(
                ref.preprocess, pictures[number], job.studio.residency, job.studio.plugins, job.context
            )
            pictures[number] = await_steps(seen)
    return pictures


def _control(job: GenerationJob, number: int) -> Floats:
    """What the ControlNet of that number goes by, or a network makes that of. On the side pool."""
    ref, own = job.params.controls[number], job.scene.subject
    if ref.image is None:
        assert own is not None, "parameters of a task without a picture name one for each control"
        return control_picture(ref, own)
    given = job.read(f"controls[{number}].image")
    if ref.fit is ControlFit.COVER:
        given = covering(given, job.scene.whole)
    return control_picture(ref, Subject(job.scene.guide(given)))
