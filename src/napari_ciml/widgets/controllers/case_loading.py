"""Open, load and show a case."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from napari_ciml.cases.case import load_case
from napari_ciml.cases.discovery import DiscoveredCase, discover_volumes
from napari_ciml.cases.registration import RegistrationSettings
from napari_ciml.cases.skull_stripping import BrainFinder, skull_strip
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.loaded_case import LoadedCase
from napari_ciml.widgets.controllers.checkpoint_cache import warm_up
from napari_ciml.widgets.controllers.context import Context
from napari_ciml.widgets.gc_tuning import GcThrottle

OPENING, LOADING, ALIGNING = "Opening", "Loading", "Aligning"


class CaseController:
    """Opens cases and shows them.

    Parameters
    ----------
    context : Context
        Model, layers, display and jobs.
    """

    def __init__(self, context: Context) -> None:
        self.model, self.layers = context.model, context.layers
        self.display, self.jobs = context.display, context.jobs
        self._gc_throttle = GcThrottle(self.layers.viewer)
        self.model.case_arrived.connect(self._draw)

    def open(
        self,
        path: Path,
        channels: Sequence[str] | None = None,
        overrides: Mapping[str, Path] | None = None,
        reference: str | None = None,
        align: RegistrationSettings | None = None,
        find_brain: BrainFinder | None = None,
    ) -> None:
        """List the volumes of a folder or a 4-D file, and load them if nothing is left to decide.

        Parameters are as in `napari_ciml.cases.case.open_case`, and as `load`.
        """

        def work(monitor: ProgressMonitor) -> DiscoveredCase:
            return discover_volumes(path, channels, overrides, monitor)

        def done(discovered: DiscoveredCase) -> None:
            sources = self.model.sources
            sources.set_discovered(discovered)
            if reference is not None:
                sources.set_reference(reference)
            if not sources.issues():
                self.load(align, find_brain)

        self.jobs.main.submit(OPENING, work, done)

    def load(
        self, align: RegistrationSettings | None = None, find_brain: BrainFinder | None = None
    ) -> None:
        """Load the volumes with the modalities that the user has assigned.

        Parameters
        ----------
        align : RegistrationSettings, optional
            Register them to the reference.
        find_brain : callable, optional
            Finds the brain, so that a network is shown no skull and scalp, if they are there.

        Raises
        ------
        InputError
            If there is something to decide first.
        """
        model = self.model
        sources, reference = model.sources.assigned_sources(), model.sources.chosen_reference()
        discovered, checkpoint = model.sources.discovered, model.checkpoint
        name = discovered.name if discovered else ""

        def work(monitor: ProgressMonitor) -> LoadedCase:
            case = load_case(sources, name=name, reference=reference, align=align, monitor=monitor)
            case = skull_strip(case, monitor, find_brain) if find_brain else case
            monitor.step("Setting the contrast")
            loaded = LoadedCase.of(case)
            warm_up(monitor, checkpoint)
            return loaded

        self.jobs.main.submit(ALIGNING if align else LOADING, work, self.show)

    def show(self, loaded: LoadedCase) -> Iterator[None]:
        """Show a case in place of the one before, in the same layout; a generator."""
        layout = self.display.layouts.current
        yield from self.show_single_plane(loaded)
        self.display.layouts.arrange(layout)

    def show_single_plane(self, loaded: LoadedCase) -> Iterator[None]:
        """Show a case in place of the one before, in one plane; a generator."""
        yield from self.display.layouts.to_single()
        self._gc_throttle.start(self.layers.viewer)
        yield from self.model.commit_case(loaded)
        yield
        yield from self.display.annotate(loaded.case)

    def close(self) -> None:
        """Let the garbage collector run as usual again."""
        self._gc_throttle.stop()

    def _draw(self, loaded: LoadedCase) -> Iterator[None]:
        return self.layers.show_case(loaded.case, loaded.limits)
