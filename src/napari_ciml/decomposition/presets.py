"""Named decompositions: of the paper and of the data sets it uses."""

from napari_ciml.decomposition.model import Decomposition, Region, Subtask

# Label values of BraTS 2020: 1 necrotic and non-enhancing core, 2 edema, 4 enhancing.
_BRATS_REGIONS = (
    Region(name="WT", labels=(1, 2, 4), colour="#2ca02c"),
    Region(name="TC", labels=(1, 4), colour="#d62728"),
    Region(name="ET", labels=(4,), colour="#ffd92f"),
)


def _brats(name: str, **regions: str) -> Decomposition:
    """Make each modality primary for the given regions and auxiliary for all others."""
    subtasks = tuple(
        Subtask(
            primary=(modality,),
            regions=tuple(regions[modality].split()),
            auxiliaries=tuple(m for m in regions if m != modality),
        )
        for modality in regions
    )
    return Decomposition(
        name=name, modalities=tuple(regions), regions=_BRATS_REGIONS, subtasks=subtasks
    )


def _pet_ct(name: str, region: Region) -> Decomposition:
    """Let two segmentors predict one region, each assisted by the other modality (Fig. 3b)."""
    return Decomposition(
        name=name,
        modalities=("PET", "CT"),
        regions=(region,),
        subtasks=(
            Subtask(primary=("PET",), regions=(region.name,), auxiliaries=("CT",)),
            Subtask(primary=("CT",), regions=(region.name,), auxiliaries=("PET",)),
        ),
    )


_ALL = (
    _brats("brats2020", FLAIR="WT", T1="TC", T2="WT TC", T1CE="TC ET"),
    _brats("table6-1", FLAIR="TC", T1="TC ET", T2="WT", T1CE="TC"),
    _brats("table6-2", FLAIR="WT", T1="WT", T2="TC", T1CE="TC ET"),
    _brats("table6-3", FLAIR="WT", T1="WT TC", T2="TC", T1CE="ET"),
    _brats("table6-4", FLAIR="WT", T1="WT TC", T2="WT TC", T1CE="TC ET"),
    _brats("table6-5", FLAIR="WT", T1="TC", T2="WT TC", T1CE="TC ET"),
    _brats("fig3", FLAIR="WT", T1="TC ET", T2="WT TC", T1CE="TC ET"),
    _brats("flair-t1ce", FLAIR="WT", T1CE="TC ET"),
    _pet_ct("autopet", Region(name="lesion", labels=(1,), colour="#d62728")),
    _pet_ct("hecktor2022", Region(name="GTVn", labels=(2,), colour="#d62728")),
)

DEFAULT = "brats2020"
PRESETS: dict[str, Decomposition] = {decomposition.name: decomposition for decomposition in _ALL}
