"""Aligned on the way in, written where a modality's voxels lie on the way out."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.intensity import foreground
from napari_ciml.cli import main
from napari_ciml.research.phantoms.phantom import make_phantom

SHIFT = (16.0, -12.0, 8.0)


def test_results_lie_on_the_voxels_of_a_modality_that_was_moved(
    tmp_path: Path, tiny_checkpoint_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    phantom = make_phantom("glioma", 5, 4.0)
    grid = phantom.grid
    thick = Grid((*grid.size[:2], grid.size[2] // 2), (4.0, 4.0, 8.0), grid.origin, grid.direction)
    moved = Grid(thick.size, thick.spacing, tuple(np.add(grid.origin, SHIFT)), grid.direction)
    t1 = phantom.images["T1"][: 2 * thick.size[2]].reshape(-1, 2, *grid.shape[1:]).mean(axis=1)
    case = tmp_path / "case"
    case.mkdir()
    flair = grid.to_sitk(phantom.images["FLAIR"])
    sitk.WriteImage(flair, str(case / "a_flair.nii.gz"))
    # Stored in another orientation, which the results have to keep.
    own = sitk.DICOMOrient(moved.to_sitk(t1.astype(np.float32)), "RAS")
    sitk.WriteImage(own, str(case / "a_t1.nii.gz"))
    out = tmp_path / "out"
    asked = ["--align", "rigid", "--grid", "T1", "--checkpoint", str(tiny_checkpoint_path)]
    assert main(["segment", str(case), "-o", str(out), *asked]) == 0
    assert "T1 was aligned to FLAIR" in capsys.readouterr().out
    inside = foreground(sitk.GetArrayFromImage(own))
    for name in ("segmentation", "probability_WT"):
        made = sitk.ReadImage(str(out / f"{name}.nii.gz"))
        assert made.GetSize() == own.GetSize()
        for part in ("Spacing", "Origin", "Direction"):
            ours, theirs = getattr(made, f"Get{part}")(), getattr(own, f"Get{part}")()
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
    # Nothing is predicted outside of the brain: moved back, its middle is that of T1's own.
    seen = sitk.GetArrayFromImage(sitk.ReadImage(str(out / "probability_WT.nii.gz"))) > 0
    apart = np.argwhere(seen).mean(axis=0) - np.argwhere(inside).mean(axis=0)
    assert np.linalg.norm(apart * (8.0, 4.0, 4.0)) < 3
