"""The modality of each discovered volume: as recognised, and as the user assigns."""

from psygnal import Signal

from napari_ciml.cases.case import default_reference
from napari_ciml.cases.discovery import DiscoveredCase, VolumeSource
from napari_ciml.cases.notices import AmbiguousFile, DuplicateModality
from napari_ciml.errors import InputError


class SourceAssignment:
    """The discovered case and the modality of each of its sources.

    Attributes
    ----------
    discovered : DiscoveredCase or None
        The volumes of the folder or file that was opened.
    modalities : list of (str or None)
        Modality of each source, as recognised or as the user assigns; None leaves it out.
    reference : str or None
        The modality that defines the case grid; None leaves the choice to the loader.
    """

    changed = Signal()

    def __init__(self) -> None:
        self.discovered: DiscoveredCase | None = None
        self.modalities: list[str | None] = []
        self.reference: str | None = None

    def set_discovered(self, discovered: DiscoveredCase) -> None:
        """Set the discovered case; the loaded case stays until another one is loaded."""
        self.discovered = discovered
        self.modalities = [source.modality for source in discovered.sources]
        self.reference = None
        self.changed.emit()

    def set_modality(self, row: int, modality: str | None) -> None:
        """Assign a modality to a source; None leaves it out."""
        if self.modalities[row] == (modality or None):
            return
        self.modalities[row] = modality or None
        if self.reference not in self.modalities:
            self.reference = None
        self.changed.emit()

    def set_reference(self, modality: str) -> None:
        """Choose the modality that defines the case grid."""
        if self.reference != modality:
            self.reference = modality
            self.changed.emit()

    def issues(self) -> tuple[str, ...]:
        """Return what the user has to decide before the case can be loaded, in sentences."""
        if self.discovered is None:
            return ()
        assigned = list(zip(self.discovered.sources, self.modalities, strict=True))
        texts = []
        for modality in dict.fromkeys(m for m in self.modalities if m):
            titles = tuple(source.title for source, m in assigned if m == modality)
            if len(titles) > 1:
                texts.append(DuplicateModality(modality, titles).text)
        if not any(self.modalities):
            texts.append("No modality is recognised; choose the modality of each file.")
        undecided = {source.path for source, m in assigned if m is None}
        texts += [
            problem.text
            for problem in self.discovered.problems
            if isinstance(problem, AmbiguousFile) and problem.path in undecided
        ]
        return tuple(texts)

    def assigned_sources(self) -> dict[str, VolumeSource]:
        """Return the sources to load by modality.

        Raises
        ------
        InputError
            If no folder is open, or the user has something to decide first.
        """
        issues = self.issues()
        if self.discovered is None or issues:
            raise InputError(issues[0] if issues else "Open a folder first.")
        return self._sources_by_modality(self.discovered)

    def chosen_reference(self) -> str | None:
        """Return the chosen reference, or the one the loader would choose."""
        if self.reference or self.discovered is None:
            return self.reference
        sources = self._sources_by_modality(self.discovered)
        return default_reference(sources) if sources else None

    def _sources_by_modality(self, discovered: DiscoveredCase) -> dict[str, VolumeSource]:
        pairs = zip(self.modalities, discovered.sources, strict=True)
        return {modality: source for modality, source in pairs if modality}
