"""Notices about a discovered case: what the user has to decide, and what was assumed.

Each is data with a ``text``; nothing is read back out of the text.
"""

from dataclasses import dataclass
from pathlib import Path

_NAME_FILE = "Name it with --modality NAME=FILE."


@dataclass(frozen=True)
class AmbiguousFile:
    """A file whose name matches several modalities."""

    path: Path
    modalities: tuple[str, ...]

    @property
    def text(self) -> str:
        """The notice as a sentence."""
        names = " or ".join(self.modalities)
        return f"{self.path.name} could be {names} by its name; choose its modality."

    @property
    def command_line_hint(self) -> str:
        """The option that settles it on the command line."""
        return _NAME_FILE


@dataclass(frozen=True)
class DuplicateModality:
    """Several volumes with the same modality."""

    modality: str
    titles: tuple[str, ...]

    @property
    def text(self) -> str:
        """The notice as a sentence."""
        both = "both" if len(self.titles) == 2 else "all"
        return f"{' and '.join(self.titles)} are {both} {self.modality}; change one of them."

    @property
    def command_line_hint(self) -> str:
        """The option that settles it on the command line."""
        return _NAME_FILE


@dataclass(frozen=True)
class UnnamedChannels:
    """A 4-D file whose channels have no known modality."""

    path: Path
    channels: int

    @property
    def text(self) -> str:
        """The notice as a sentence."""
        return f"{self.path.name} has {self.channels} channels of unknown modality."

    @property
    def command_line_hint(self) -> str:
        """The option that settles it on the command line."""
        return "Name them in order with --channels A,B,..."


Problem = AmbiguousFile | DuplicateModality | UnnamedChannels
"""Something the user has to decide before the case can be loaded."""


@dataclass(frozen=True)
class AssumedModality:
    """A DICOM series that was chosen for a modality.

    Parameters
    ----------
    modality, title : str
        The modality, and the title of the series.
    derived : bool
        Whether the series is computed from other images.
    alternatives : int
        Number of other series that match the modality.
    """

    modality: str
    title: str
    derived: bool
    alternatives: int

    @property
    def text(self) -> str:
        """The notice as a sentence."""
        derived = ", though it is derived from other images" if self.derived else ""
        others = f" ({self.alternatives} more could be)" if self.alternatives else ""
        return f"{self.modality} is {self.title}{derived}{others}."


@dataclass(frozen=True)
class PreferredFile:
    """A file that was preferred to another one of the same modality."""

    file: str
    description: str
    excluded: str

    @property
    def text(self) -> str:
        """The notice as a sentence."""
        return f"{self.file} is used, {self.description}; {self.excluded} is left out."


@dataclass(frozen=True)
class AssumedChannels:
    """The modalities that the channels of a 4-D file were taken to be."""

    modalities: tuple[str, ...]

    @property
    def text(self) -> str:
        """The notice as a sentence."""
        return f"Channels are assumed to be {', '.join(self.modalities)}, in this order."


@dataclass(frozen=True)
class DifferentFrames:
    """Chosen series that do not share a frame of reference."""

    text: str = "The series have different frames of reference; they may not be aligned."


Assumption = AssumedModality | PreferredFile | AssumedChannels | DifferentFrames
"""Something that no name or header states and that the user may change."""
