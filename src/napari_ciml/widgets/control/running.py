"""The controller of runs: a case is segmented, and the segmentation explained, in the queue."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.cases.case import Case
from napari_ciml.errors import CimlError
from napari_ciml.monitor import Monitor
from napari_ciml.whatif.change import Change, since
from napari_ciml.widgets.control.checkpoints import load_checkpoint
from napari_ciml.widgets.jobs import Steps

if TYPE_CHECKING:
    from napari_ciml.explanation.explain import Explanation
    from napari_ciml.inference.segment import Segmentation
    from napari_ciml.widgets.control.session import Session


class Running:
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
        case, path = self.ready()
        review, previous = self.session.review, self.session.review.segmentation
        asked, before, settings = review.asked, review.runs.current, review.settings()
        reference = review.findings.reference

        def work(monitor: Monitor) -> "tuple[Segmentation, Change | None]":
            monitor.step("Loading the checkpoint")
            checkpoint = load_checkpoint(path)
            from napari_ciml.inference.segment import segment

            made = segment(case, checkpoint, asked.decomposition, settings, monitor, previous)
            return made, since(before, made, case, reference)

        self.session.runner.submit("Segmenting", work, self._for_case(case, self._segmented))

    def explain(self) -> None:
        """Explain the segmentation.

        Raises
        ------
        CimlError
            If there is none.
        """
        case, path, segmentation = self.explainable()

        def work(monitor: Monitor) -> "Explanation":
            monitor.step("Loading the checkpoint")
            checkpoint = load_checkpoint(path)
            from napari_ciml.explanation.explain import explain

            return explain(case, checkpoint, segmentation, monitor)

        def done(_: Case, result: "Explanation") -> None:
            if self.session.review.segmentation is segmentation:
                self.session.review.set_explanation(result)

        self.session.runner.submit("Explaining", work, self._for_case(case, done))

    def ready(self) -> tuple[Case, Path]:
        """Return the case and the checkpoint to segment it with.

        Raises
        ------
        CimlError
            If something is missing, or what is asked for cannot be run.
        """
        review = self.session.review
        if review.case is None:
            raise CimlError("Open a case first.")
        if review.checkpoint is None:
            raise CimlError("Choose a checkpoint first.")
        problems = review.problems()
        if problems:
            raise CimlError(f"The decomposition cannot be run: {problems[0].message}")
        return review.case, review.checkpoint

    def explainable(self) -> tuple[Case, Path, "Segmentation"]:
        """Return the segmentation that maps explain, with its case and the checkpoint.

        What is asked for next may be edited meanwhile, right or wrong.

        Raises
        ------
        CimlError
            If there is none.
        """
        review = self.session.review
        if review.case is None or review.checkpoint is None or review.segmentation is None:
            raise CimlError("Segment the case first; then ask why.")
        return review.case, review.checkpoint, review.segmentation

    def _for_case(self, case: Case, done: Callable[..., Steps]) -> Callable[[object], Steps]:
        """Drop a result whose case is no longer open."""
        return lambda result: done(case, result) if self.session.review.case is case else None

    def _segmented(self, case: Case, found: "tuple[Segmentation, Change | None]") -> Iterator[None]:
        made, change = found
        yield from self.session.layers.show_segmentation(case, made)
        self.session.review.set_segmentation(made)
        self.session.live.tell(change)
        self.session.live.catch_up()
