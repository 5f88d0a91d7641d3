"""The controller of runs: a case is segmented, and the segmentation explained, in the queue."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.cases.case import Case
from napari_ciml.errors import CimlError
from napari_ciml.explanation.result import Explanation
from napari_ciml.inference.result import Segmentation
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.comparison import LabelMapDiff, diff_runs
from napari_ciml.widgets.controllers.checkpoint_cache import load_checkpoint
from napari_ciml.widgets.jobs import Steps

if TYPE_CHECKING:
    from napari_ciml.widgets.controllers.session import Session


class SegmentationController:
    """Runs the network.

    Parameters
    ----------
    session : Session
        For whose case.
    """

    def __init__(self, session: "Session") -> None:
        self.session = session

    def segment(self) -> None:
        """Segment the case.

        Raises
        ------
        CimlError
            If no case or no checkpoint is there, or the decomposition cannot be run.
        """
        case, path = self.require_ready()
        model, previous = self.session.model, self.session.model.segmentation
        asked, before, settings = model.request, model.runs.current, model.settings()
        reference = model.findings.reference

        def work(monitor: ProgressMonitor) -> tuple[Segmentation, LabelMapDiff | None]:
            monitor.step("Loading the checkpoint")
            checkpoint = load_checkpoint(path)
            from napari_ciml.inference.segment import segment

            made = segment(case, checkpoint, asked.decomposition, settings, monitor, previous)
            return made, diff_runs(before, made, case, reference)

        self.session.runner.submit("Segmenting", work, self._for_case(case, self._segmented))

    def explain(self) -> None:
        """Explain the segmentation.

        Raises
        ------
        CimlError
            If there is none.
        """
        case, path, segmentation = self.require_segmentation()

        def work(monitor: ProgressMonitor) -> Explanation:
            monitor.step("Loading the checkpoint")
            checkpoint = load_checkpoint(path)
            from napari_ciml.explanation.explain import explain

            return explain(case, checkpoint, segmentation, monitor)

        def done(_: Case, result: Explanation) -> None:
            if self.session.model.segmentation is segmentation:
                self.session.model.set_explanation(result)

        self.session.runner.submit("Explaining", work, self._for_case(case, done))

    def require_ready(self) -> tuple[Case, Path]:
        """Return the case and the checkpoint to segment it with.

        Raises
        ------
        CimlError
            If something is missing, or what is asked for cannot be run.
        """
        model = self.session.model
        if model.case is None:
            raise CimlError("Open a case first.")
        if model.checkpoint is None:
            raise CimlError("Choose a checkpoint first.")
        problems = model.problems()
        if problems:
            raise CimlError(f"The decomposition cannot be run: {problems[0].message}")
        return model.case, model.checkpoint

    def require_segmentation(self) -> tuple[Case, Path, Segmentation]:
        """Return the segmentation that maps explain, with its case and the checkpoint.

        What is asked for next may be edited meanwhile, right or wrong.

        Raises
        ------
        CimlError
            If there is none.
        """
        model = self.session.model
        if model.case is None or model.checkpoint is None or model.segmentation is None:
            raise CimlError("Segment the case first; then ask why.")
        return model.case, model.checkpoint, model.segmentation

    def _for_case(self, case: Case, done: Callable[..., Steps]) -> Callable[[object], Steps]:
        """Drop a result whose case is no longer open."""
        return lambda result: done(case, result) if self.session.model.case is case else None

    def _segmented(
        self, case: Case, found: tuple[Segmentation, LabelMapDiff | None]
    ) -> Iterator[None]:
        made, change = found
        yield from self.session.layers.show_segmentation(case, made)
        self.session.model.set_segmentation(made)
        self.session.live.set_change(change)
        self.session.live.catch_up()
