"""The findings as a table to read."""

from collections.abc import Callable, Iterator
from typing import Any

from napari_ciml.research.bench.report import BenchResults, figures, peak_share

_ROWS = (
    ("cold", "napari-ciml, nothing compiled before"),
    ("warm", "napari-ciml, compiled before"),
    ("torch", "napari-ciml, --engine torch"),
    ("monai 0.5", "MONAI sliding window, overlap 0.5, float32"),
    ("monai 0.25", "MONAI sliding window, overlap 0.25, float32"),
    ("nnunet mirrored", "nnU-Net, mirroring"),
    ("nnunet", "nnU-Net, no mirroring"),
)

Aim = tuple[str, str, Callable[[float], bool]]

AIMS: dict[str, Aim] = {
    "speedup_monai_warm": ("times as fast as MONAI, compiled before", ">= 30", lambda v: v >= 30),
    "speedup_monai_cold": ("times as fast as MONAI, not compiled", ">= 12", lambda v: v >= 12),
    "speedup_nnunet": ("times as fast as nnU-Net's default", "> 1", lambda v: v > 1),
    "dice_vs_monai": ("Dice of the label maps, worst region", ">= 0.995", lambda v: v >= 0.995),
    "peak_share_network": ("share of the matrix peak", ">= 0.6", lambda v: v >= 0.6),
    "maps_over_segment": ("all maps / segmenting", "<= 0.6", lambda v: v <= 0.6),
    "whatif_over_segment": ("what-if / segmenting", "<= 0.25", lambda v: v <= 0.25),
    "event_loop_p99_ms": ("event loop, 99th percentile, ms", "< 50", lambda v: v < 50),
    "peak_memory_mib": ("peak memory, MiB", "< 6144", lambda v: v < 6144),
}
"""By figure: in words, what is aimed at (C = 32, a whole BraTS volume, two cores), and whether."""


def render(found: BenchResults) -> str:
    """Return the table, several lines."""
    return "\n".join(
        [*_heading(found), "", *_contenders(found), "", *_parts(found), "", *_aims(found)]
    )


def _heading(found: BenchResults) -> Iterator[str]:
    setup, machine, prepared = found.setup, found.machine, found.results["prepare"]
    ours = found.results["warm"]
    shape = " x ".join(str(edge) for edge in reversed(setup.extent.shape))
    inner = " x ".join(str(edge) for edge in reversed(ours["foreground"]))
    peaks = ", ".join(f"{k} {v:.0f}" for k, v in prepared["matrix_peak_gflops"].items())
    yield f"{shape} voxels, foreground {inner}, C = {setup.base_filters}: {prepared['source']}"
    yield (
        f"{machine['processor']}, {machine['cores']} cores, {prepared['device']}, "
        f"{prepared['threads']} threads, load before {machine['load_before']}"
    )
    yield f"matrix products, GFLOP/s: {peaks}; ours ran in {ours['precision']} ({ours['engine']})"


def _contenders(found: BenchResults) -> Iterator[str]:
    yield f"{'from files to a written label map':46} {'seconds':>9} {'x ours':>7} {'MiB':>7}"
    warm = found.results["warm"]["seconds"]["total"]
    for name, words in _ROWS:
        result = found.results.get(name)
        if result is None:
            yield f"{words:46} {'-':>9} {'-':>7} {'-':>7}  {found.missing[name]}"
            continue
        total = result["seconds"]["total"]
        memory = result["peak_memory_mib"]
        said = f"  {result['estimate']}" if "estimate" in result else ""
        yield f"{words:46} {total:9.2f} {total / warm:7.2f} {memory:7.0f}{said}"


def _parts(found: BenchResults) -> Iterator[str]:
    ours = found.results["warm"]
    stages = {**ours["seconds"], **{f"segment: {k}": v for k, v in ours["stages"].items()}}
    yield "ours, seconds: " + ", ".join(f"{k} {v:.2f}" for k, v in stages.items())
    again = ours["again"]
    yield (
        f"again in the same process: {again['seconds']['total']:.2f} s, "
        f"of them the network {again['stages']['network']:.2f} s"
    )
    kept = ", ".join(f"{name} {mib:.0f} MiB" for name, mib in ours["kept_mib"].items())
    yield f"kept for what-if and maps: {kept}"
    share = peak_share(found, contender="torch")
    if share is not None:
        torch = found.results["torch"]
        yield (
            f"PyTorch: {torch['precision']}, network {torch['again']['stages']['network']:.2f} s, "
            f"share of the matrix peak {share:.3f}"
        )
    yield f"{ours['maps']['count']} maps: {ours['maps']['seconds']:.2f} s{_gradcam(found)}"
    what_if = ours["whatif"]
    yield (
        f"what-if: {what_if['message']} muted {what_if['seconds']:.2f} s, "
        f"another threshold {what_if['seconds_threshold']:.2f} s"
    )
    growth = ", ".join(f"{g['size']} {g['seconds']:.2f} s" for g in ours["growth"])
    first = ours["growth"][0]["voxels"] / 1e6
    yield f"growth with the volume (1x = {first:.2f} million voxels): {growth}"
    for name, values in found.dice.items():
        yield f"Dice with {name}: " + ", ".join(f"{k} {v:.4f}" for k, v in values.items())


def _gradcam(found: BenchResults) -> str:
    theirs: Any = found.results.get("gradcam")
    if theirs is None:
        return f" (Grad-CAM pair by pair: {found.missing['gradcam']})"
    return (
        f"; MONAI's Grad-CAM pair by pair {theirs['seconds']:.0f} s "
        f"({theirs['runs_needed']} runs, {theirs['runs_timed']} of them timed)"
    )


def _aims(found: BenchResults) -> Iterator[str]:
    yield f"{'figure':46} {'found':>9} {'aim':>9}"
    for key, value in figures(found).items():
        words, aim, met = AIMS[key]
        shown = "-" if value is None else f"{value:.4g}"
        verdict = "" if value is None else "met" if met(value) else "missed"
        yield f"{words:46} {shown:>9} {aim:>9}  {verdict}".rstrip()
    if found.setup.quick:
        yield "The aims are for the whole volume; this one was a quarter of it."
