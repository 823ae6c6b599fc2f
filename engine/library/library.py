"""The models there are: looked up on disk as often as asked, read only where something changed."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from engine.library import names
from engine.library.apart import LISTED_APART
from engine.library.layouts import Layout, Root, folders_of, recognise
from engine.library.looks import Look, look_at
from engine.library.records import Changes, FoundModel, ModelKind
from engine.library.walk import Candidate, Signature, Walk

logger = structlog.get_logger(__name__)


def own_root(models_dir: Path) -> Root:
    """Our own models folder."""
    return Root(path=models_dir, layout=Layout.FOLDER, source="models", ignored=LISTED_APART)


@dataclass(frozen=True, slots=True)
class _Seen:
    signature: Signature
    hint: ModelKind | None
    look: Look | None


class Library:
    """The models in some roots. Any thread may call anything.

    Empty until the first `refresh`; a root that is not there, or not yet, holds no models.

    Args:
        roots: what is reached through two of them belongs to the first.
    """

    def __init__(self, roots: Sequence[Root]) -> None:
        self._roots = tuple(roots)
        self._models: tuple[FoundModel, ...] = ()
        self._seen: dict[Path, _Seen] = {}
        self._skipped: frozenset[tuple[Path, str]] = frozenset()
        self._lock = threading.Lock()

    @property
    def folders(self) -> tuple[Path, ...]:
        """Those it looks in."""
        return tuple(root.path for root in self._roots)

    @property
    def models(self) -> tuple[FoundModel, ...]:
        """All of them as of the last refresh, by kind and name. Never waits."""
        return self._models

    def find(self, name: str, kind: ModelKind) -> FoundModel:
        """The model a client means by `name`; see `names`. Never waits and never looks at the disk.

        One with a `problem` is found like any other: the loader says what is wrong with it.

        Raises:
            EngineError: `model_missing`, with up to three names that are close; `invalid_params`: it means several.
        """
        return names.find(self._models, name, kind)

    def refresh(self) -> Changes:
        """Look at the disk. Lists every folder, and reads the files that are new or changed.

        A second caller waits for the first. Nothing that lies on the disk makes it raise.
        """
        with self._lock:
            before = self._models
            after = self._scan()
            self._models = after
        had, has = set(before), set(after)
        changes = Changes(
            added=tuple(model for model in after if model not in had),
            removed=tuple(model for model in before if model not in has),
        )
        if changes.added or changes.removed:
            logger.info("library.changed", added=len(changes.added), removed=len(changes.removed), models=len(after))
        return changes

    def _scan(self) -> tuple[FoundModel, ...]:
        skipped: set[tuple[Path, str]] = set()
        walk = Walk(lambda path, reason: skipped.add((path, reason)))
        seen: dict[Path, _Seen] = {}
        found: list[FoundModel] = []
        for root in self._roots:
            source = root.source or (root.layout or recognise(root.path)).value
            for folder in folders_of(root):
                for candidate in walk.candidates(folder, root.ignored):
                    seen[candidate.path] = entry = self._look(candidate)
                    if entry.look is None:
                        continue
                    if candidate.is_in_repository and candidate.is_folder and entry.look.sniffed.problem:
                        skipped.add((candidate.path, entry.look.sniffed.problem))
                        continue
                    found.append(_model(candidate, entry.look, source))
        self._seen = seen
        self._log_skipped(frozenset(skipped))
        apart = names.named_apart(_one_per_stem(found))
        return tuple(sorted(apart, key=lambda model: (model.kind, model.name)))

    def _look(self, candidate: Candidate) -> _Seen:
        known = self._seen.get(candidate.path)
        if known is not None and known.signature == candidate.signature and known.hint is candidate.hint:
            return known
        return _Seen(candidate.signature, candidate.hint, look_at(candidate))

    def _log_skipped(self, skipped: frozenset[tuple[Path, str]]) -> None:
        for path, reason in sorted(skipped - self._skipped):
            logger.warning("library.skipped", path=str(path), reason=reason)
        self._skipped = skipped


def _model(candidate: Candidate, look: Look, source: str) -> FoundModel:
    is_named_whole = candidate.is_in_repository
    return FoundModel(
        name=candidate.relative if is_named_whole else candidate.relative.rpartition("/")[2],
        kind=look.kind,
        family=look.sniffed.family,
        path=candidate.path,
        is_folder=candidate.is_folder,
        size_bytes=look.size_bytes,
        source=source,
        problem=look.sniffed.problem,
        is_pickle=look.is_pickle,
        modified_at=candidate.modified_at,
        relative=candidate.relative,
        prediction=look.sniffed.prediction,
    )


@dataclass(frozen=True, slots=True)
class _Place:
    stem: Path
    kind: ModelKind
    is_folder: bool


def _one_per_stem(models: Sequence[FoundModel]) -> Sequence[FoundModel]:
    """Of a model that lies there as safetensors and as a pickle, the first; the second only if the first is broken."""
    best: dict[_Place, FoundModel] = {}
    for model in models:
        stem = model.path if model.is_folder else model.path.with_suffix("")
        place = _Place(stem, model.kind, model.is_folder)
        if place not in best or _rank(model) < _rank(best[place]):
            best[place] = model
    return tuple(best.values())


def _rank(model: FoundModel) -> tuple[bool, bool]:
    return (model.problem is not None, model.is_pickle)
