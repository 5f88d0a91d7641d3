"""Results of an explanation. No torch here, so that widgets and exports can import them early."""

from collections.abc import Mapping
from dataclasses import dataclass

from napari_ciml.cases.lazy_volumes import LazyResampledVolumes
from napari_ciml.decomposition.model import Message, Pair

Triple = tuple[Pair, str]
"""A primary-region pair and the auxiliary modality whose message is explained."""


@dataclass(frozen=True)
class Explanation:
    """Complementary information that each auxiliary modality added to a segmentation (section 4.6).

    Parameters
    ----------
    maps : LazyResampledVolumes
        Complementary-information maps (eq. 14) by pair and auxiliary, (Z, Y, X) float32 on the case
        grid. All are divided by ``scale``, so they lie in [0, 1] and can be compared with each
        other. Each is resampled when it is looked up.
    weights : dict of (Pair, str) to float
        Complementary-information weights (eq. 16) over the target voxels. They sum to 1 over the
        auxiliaries of a pair; NaN where all maps of the pair are zero.
    scale : float
        Largest value of all maps before scaling.
    strongest : (Pair, str), optional
        Pair and auxiliary of the map with that value; None if all maps are zero.
    notices : tuple of str
        Notices for the user, for example about regions without target voxels.
    """

    maps: LazyResampledVolumes[Triple]
    weights: dict[Triple, float]
    scale: float
    strongest: Triple | None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class MutingEffect:
    """Effect of muting one message on a segmentation.

    Parameters
    ----------
    message : Message
        The muted message.
    ml : mapping of str to float
        By region, volume without the message minus volume with it, in mL.
    dice : mapping of str to float
        By region, Dice between the segmentations without and with the message.
    """

    message: Message
    ml: Mapping[str, float]
    dice: Mapping[str, float]

    @property
    def worst(self) -> float:
        """Smallest Dice over the regions; 1 if there are none."""
        return min(self.dice.values(), default=1.0)
