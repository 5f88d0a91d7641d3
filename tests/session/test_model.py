"""What the model of a session announces, and in which order."""

from collections.abc import Iterator
from pathlib import Path

from napari_ciml.cases.case import open_case
from napari_ciml.explanation.explain import explain
from napari_ciml.inference.segment import segment
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.session.loaded_case import LoadedCase
from napari_ciml.session.model import SessionModel
from napari_ciml.session.stepwise import StepwiseSignal

RESULTS = ("segmentation_changed", "explanation_changed", "change_changed")


def recorded(model: SessionModel) -> list[str]:
    """Return a list that the names of the model's signals are added to when they are emitted."""
    emitted: list[str] = []
    for name in ("case_changed", *RESULTS, "request_changed"):
        getattr(model, name).connect(lambda n=name: emitted.append(n))
    model.runs.changed.connect(lambda: emitted.append("runs.changed"))

    def drawn(name: str) -> Iterator[None]:
        emitted.append(f"{name}, first step")
        yield
        emitted.append(f"{name}, last step")

    model.case_arrived.connect(lambda *_: drawn("case"))
    model.segmentation_arrived.connect(lambda *_: drawn("segmentation"))
    return emitted


def test_results_are_announced_in_one_order(case_folder: Path, tiny_checkpoint: Checkpoint) -> None:
    model = SessionModel()
    model.set_checkpoint(tiny_checkpoint.path)
    emitted, case = recorded(model), open_case(case_folder)
    generation = model.generations.case.now()
    list(model.commit_case(LoadedCase.of(case)))
    assert emitted == [
        "case, first step", "case, last step",
        "runs.changed", "case_changed", *RESULTS, "request_changed",
    ]  # fmt: skip
    assert model.case is case
    assert not generation.is_current
    emitted.clear()

    generation, segmentation = model.generations.segmentation.now(), segment(case, tiny_checkpoint)
    list(model.commit_segmentation(segmentation))
    drawn = ["segmentation, first step", "segmentation, last step"]
    assert emitted == [*drawn, "runs.changed", *RESULTS]
    assert model.runs.current.segmentation is segmentation
    assert not generation.is_current
    emitted.clear()

    explanation = explain(case, tiny_checkpoint, segmentation)
    model.commit_explanation(explanation)
    assert emitted == ["runs.changed", "explanation_changed"]
    assert model.runs.current.explanation is explanation
    assert model.generations.case.now().is_current


def test_an_edit_ends_the_generation_of_the_request_alone() -> None:
    model = SessionModel()
    case, request = model.generations.case.now(), model.generations.request.now()
    model.set_threshold("WT", 0.4)
    assert (case.is_current, request.is_current) == (True, False)
    request = model.generations.request.now()
    model.set_threshold("WT", 0.4)
    assert request.is_current


def test_listeners_take_their_steps_one_after_the_other() -> None:
    signal, steps = StepwiseSignal(), []

    def listener(name: str) -> Iterator[None]:
        for k in range(2):
            steps.append(f"{name}{k}")
            yield

    signal.connect(listener)
    signal.connect(lambda name: listener(name.upper()))
    emitting = signal.emit("a")
    assert steps == []
    next(emitting)
    assert steps == ["a0"]
    list(emitting)
    assert steps == ["a0", "a1", "A0", "A1"]
