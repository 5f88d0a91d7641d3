"""Which file of a folder is which modality: as recognised, and as the user says."""

from psygnal import Signal

from napari_ciml.cases.case import default_reference
from napari_ciml.cases.discovery import DiscoveredCase, VolumeSource
from napari_ciml.errors import InputError


class SourceAssignment:
    """What was opened, and what its files are.

    Attributes
    ----------
    scan : Scan or None
        The folder or file that was looked at.
    modalities : list of (str or None)
        Which modality each source of the scan is, as recognised or as the user says.
    reference : str or None
        The modality on whose grid the case lies; None leaves the choice to the loader.
    """

    sources_changed = Signal()

    def __init__(self) -> None:
        self.discovered: DiscoveredCase | None = None
        self.modalities: list[str | None] = []
        self.reference: str | None = None

    def set_discovered(self, scan: DiscoveredCase) -> None:
        """Show what was found; the loaded case stays until another one is loaded."""
        self.discovered = scan
        self.modalities = [source.modality for source in scan.sources]
        self.reference = None
        self.sources_changed.emit()

    def set_modality(self, row: int, modality: str | None) -> None:
        """Say which modality a source is; None leaves it out."""
        if self.modalities[row] == (modality or None):
            return
        self.modalities[row] = modality or None
        if self.reference not in self.modalities:
            self.reference = None
        self.sources_changed.emit()

    def set_reference(self, modality: str) -> None:
        """Choose the modality whose grid is kept."""
        if self.reference != modality:
            self.reference = modality
            self.sources_changed.emit()

    def issues(self) -> tuple[str, ...]:
        """Say what the user has to decide before the case can be loaded."""
        if self.discovered is None:
            return ()
        named = list(zip(self.discovered.sources, self.modalities, strict=True))
        found = []
        for modality in dict.fromkeys(m for m in self.modalities if m):
            names = [source.title for source, m in named if m == modality]
            if len(names) > 1:
                found.append(f"{' and '.join(names)} are both {modality}; change one of them.")
        if not any(self.modalities):
            found.append("No modality is recognised; say which file is which.")
        undecided = {source.title for source, m in named if m is None}
        found += [
            text
            for text in self.discovered.problems
            if text.partition(" claims to be ")[0] in undecided
        ]
        return tuple(found)

    def assigned_sources(self) -> dict[str, VolumeSource]:
        """Return the sources to load, by modality.

        Raises
        ------
        InputError
            If there is none, or the user has something to decide first.
        """
        problems = self.issues()
        if self.discovered is None or problems:
            raise InputError(problems[0] if problems else "Open a folder first.")
        return self._named_sources(self.discovered)

    def chosen_reference(self) -> str | None:
        """Return the reference chosen, or the one the loader would choose."""
        if self.reference or self.discovered is None:
            return self.reference
        sources = self._named_sources(self.discovered)
        return default_reference(sources) if sources else None

    def _named_sources(self, scan: DiscoveredCase) -> dict[str, VolumeSource]:
        pairs = zip(self.modalities, scan.sources, strict=True)
        return {modality: source for modality, source in pairs if modality}
