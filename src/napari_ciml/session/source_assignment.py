"""Assignment of the volumes of a folder to modalities: as recognised, then as the user edits it."""

from psygnal import Signal

from napari_ciml.cases.case import default_reference
from napari_ciml.cases.discovery import DiscoveredCase, VolumeSource
from napari_ciml.errors import InputError


class SourceAssignment:
    """The folder or file that was opened, and which of its volumes is which modality.

    Attributes
    ----------
    discovered : DiscoveredCase or None
        The volumes of the folder or file.
    modalities : list of (str or None)
        Modality of each of its sources; None leaves the source out.
    reference : str or None
        The modality on whose grid the case lies; None leaves the choice to the loader.
    """

    changed = Signal()

    def __init__(self) -> None:
        self.discovered: DiscoveredCase | None = None
        self.modalities: list[str | None] = []
        self.reference: str | None = None

    def set_discovered(self, discovered: DiscoveredCase) -> None:
        """Take the volumes of a folder, with modalities as recognised."""
        self.discovered = discovered
        self.modalities = [source.modality for source in discovered.sources]
        self.reference = None
        self.changed.emit()

    def set_modality(self, row: int, modality: str | None) -> None:
        """Assign a modality to a source by its index; None leaves the source out."""
        if self.modalities[row] == (modality or None):
            return
        self.modalities[row] = modality or None
        if self.reference not in self.modalities:
            self.reference = None
        self.changed.emit()

    def set_reference(self, modality: str) -> None:
        """Choose the modality whose grid is kept."""
        if self.reference != modality:
            self.reference = modality
            self.changed.emit()

    def issues(self) -> tuple[str, ...]:
        """Return what the user has to decide before the case can be loaded."""
        if self.discovered is None:
            return ()
        named = list(zip(self.discovered.sources, self.modalities, strict=True))
        issues = []
        for modality in dict.fromkeys(m for m in self.modalities if m):
            names = [source.title for source, m in named if m == modality]
            if len(names) > 1:
                issues.append(f"{' and '.join(names)} are both {modality}; change one of them.")
        if not any(self.modalities):
            issues.append("No modality is recognised; say which file is which.")
        undecided = {source.title for source, m in named if m is None}
        issues += [
            text
            for text in self.discovered.problems
            if text.partition(" claims to be ")[0] in undecided
        ]
        return tuple(issues)

    def assigned_sources(self) -> dict[str, VolumeSource]:
        """Return the sources to load, by modality.

        Raises
        ------
        InputError
            If nothing was opened, or `issues` is not empty.
        """
        issues = self.issues()
        if self.discovered is None or issues:
            raise InputError(issues[0] if issues else "Open a folder first.")
        return self._named_sources(self.discovered)

    def chosen_reference(self) -> str | None:
        """Return the chosen reference, or the one that loading would choose."""
        if self.reference or self.discovered is None:
            return self.reference
        sources = self._named_sources(self.discovered)
        return default_reference(sources) if sources else None

    def _named_sources(self, discovered: DiscoveredCase) -> dict[str, VolumeSource]:
        pairs = zip(self.modalities, discovered.sources, strict=True)
        return {modality: source for modality, source in pairs if modality}
