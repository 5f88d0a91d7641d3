"""Results of a segmentation. No torch here, so that widgets and exports can import them early."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import ref

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.lazy_volumes import LazyResampledVolumes
from napari_ciml.cases.preprocessing import PreprocessedCase
from napari_ciml.decomposition.model import Pair
from napari_ciml.inference.plan import InferencePlan
from napari_ciml.inference.settings import SegmentSettings

if TYPE_CHECKING:
    from napari_ciml.inference.cache import InferenceCache


@dataclass(frozen=True)
class Uncertainty:
    """Uncertainty maps and volumes from Monte Carlo samples of kappa (eq. 9).

    Maps are by region, (Z, Y, X) float32 on the case grid.

    Parameters
    ----------
    samples : int
        Number of samples.
    seed : int
        Seed of the random generator.
    mean : LazyResampledVolumes
        Mean calibrated probability over the samples.
    entropy : LazyResampledVolumes
        Predictive entropy of ``mean`` in bits, in [0, 1].
    spread : LazyResampledVolumes
        Standard deviation of the probability over the samples.
    disagreement : LazyResampledVolumes
        Standard deviation over the segmentors that predict the region, each averaged over the
        samples; 0 where a single segmentor predicts it.
    volumes_ml : mapping of str to tuple of float
        By region, the expected volume of each sample in mL: the sum of its calibrated probability
        over the foreground.
    """

    samples: int
    seed: int
    mean: LazyResampledVolumes[str]
    entropy: LazyResampledVolumes[str]
    spread: LazyResampledVolumes[str]
    disagreement: LazyResampledVolumes[str]
    volumes_ml: Mapping[str, tuple[float, ...]]

    def volume_spread_ml(self, region: str) -> float:
        """Return the standard deviation of a region's volume over the samples, in mL."""
        volumes = self.volumes_ml[region]
        return float(np.std(volumes, ddof=1)) if len(volumes) > 1 else 0.0


@dataclass(frozen=True)
class Segmentation:
    """A segmented case. Arrays are on the case grid unless stated otherwise.

    Parameters
    ----------
    label_map : numpy.ndarray
        Label values of the decomposition's regions, (Z, Y, X) unsigned integers.
    probabilities : dict of str to numpy.ndarray
        By region, (Z, Y, X) float32: the calibrated ensemble mean over the pairs that predict it.
    volumes_ml : dict of str to float
        By region, in millilitres.
    plan : InferencePlan
        Pairs, muted messages and ensemble weights of the run.
    checkpoint : str
        SHA-256 of the checkpoint.
    model_input : PreprocessedCase
        Input of the network, on the model grid.
    pair_probabilities : dict of Pair to numpy.ndarray
        Probability of each primary-region pair on the model grid, (z, y, x) float32.
    settings : SegmentSettings
        Settings of the run, with defaults of the checkpoint filled in.
    cache : InferenceCache
        Features and probabilities for the next segmentation and for explanations.
    case : weak reference to Case
        The segmented case.
    engine, device : str
        Engine and device of the run, after any fallback.
    seconds : dict of str to float
        Wall time by stage.
    peak_memory_mib : float
        Peak resident memory of the process so far, in MiB.
    notices : tuple of str
        Notices for the user: fallbacks, repairs.
    uncertainty : Uncertainty, optional
        Present if kappa was sampled.
    missing : tuple of str
        Modalities of the checkpoint that the case lacks.
    """

    label_map: np.ndarray
    probabilities: dict[str, np.ndarray]
    volumes_ml: dict[str, float]
    plan: InferencePlan
    checkpoint: str
    model_input: PreprocessedCase
    pair_probabilities: dict[Pair, np.ndarray]
    settings: SegmentSettings
    cache: "InferenceCache"
    case: "ref[Case]"
    engine: str
    device: str
    seconds: dict[str, float]
    peak_memory_mib: float
    notices: tuple[str, ...] = ()
    uncertainty: Uncertainty | None = None
    missing: tuple[str, ...] = ()
