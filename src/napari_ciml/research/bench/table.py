"""Results of the benchmark as a text table."""

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

Goal = tuple[str, str, Callable[[float], bool]]

GOALS: dict[str, Goal] = {
    "speedup_monai_warm": ("times as fast as MONAI, compiled before", ">= 30", lambda v: v >= 30),
    "speedup_monai_cold": ("times as fast as MONAI, not compiled", ">= 12", lambda v: v >= 12),
    "speedup_nnunet": ("times as fast as nnU-Net's default", "> 1", lambda v: v > 1),
    "dice_vs_monai": ("Dice of the label maps, worst region", ">= 0.995", lambda v: v >= 0.995),
    "peak_share_network": ("fraction of the matrix peak", ">= 0.6", lambda v: v >= 0.6),
    "maps_over_segment": ("all maps / segmentation", "<= 0.6", lambda v: v <= 0.6),
    "whatif_over_segment": ("what-if / segmentation", "<= 0.25", lambda v: v <= 0.25),
    "event_loop_p99_ms": ("event loop, 99th percentile, ms", "< 50", lambda v: v < 50),
    "peak_memory_mib": ("peak memory, MiB", "< 6144", lambda v: v < 6144),
}
"""Description, goal (C = 32, a whole BraTS volume, two cores) and its test, by figure."""


def render(results: BenchResults) -> str:
    """Return the table as lines of text."""
    return "\n".join(
        [
            *_heading(results),
            "",
            *_contenders(results),
            "",
            *_details(results),
            "",
            *_goals(results),
        ]
    )


def _heading(results: BenchResults) -> Iterator[str]:
    config, machine, prepared = results.config, results.machine, results.results["prepare"]
    ours = results.results["warm"]
    shape = " x ".join(str(edge) for edge in reversed(config.extent.shape))
    foreground = " x ".join(str(edge) for edge in reversed(ours["foreground"]))
    peaks = ", ".join(f"{k} {v:.0f}" for k, v in prepared["matrix_peak_gflops"].items())
    size = f"{shape} voxels, foreground {foreground}, C = {config.base_filters}"
    yield f"{size}: {prepared['source']}"
    yield (
        f"{machine['processor']}, {machine['cores']} cores, {prepared['device']}, "
        f"{prepared['threads']} threads, load before {machine['load_before']}"
    )
    yield f"matrix products, GFLOP/s: {peaks}; ours ran in {ours['precision']} ({ours['engine']})"


def _contenders(results: BenchResults) -> Iterator[str]:
    yield f"{'from files to a written label map':46} {'seconds':>9} {'x ours':>7} {'MiB':>7}"
    warm = results.results["warm"]["seconds"]["total"]
    for name, description in _ROWS:
        result = results.results.get(name)
        if result is None:
            yield f"{description:46} {'-':>9} {'-':>7} {'-':>7}  {results.missing[name]}"
            continue
        total = result["seconds"]["total"]
        memory = result["peak_memory_mib"]
        estimate = f"  {result['estimate']}" if "estimate" in result else ""
        yield f"{description:46} {total:9.2f} {total / warm:7.2f} {memory:7.0f}{estimate}"


def _details(results: BenchResults) -> Iterator[str]:
    ours = results.results["warm"]
    stages = {**ours["seconds"], **{f"segment: {k}": v for k, v in ours["stages"].items()}}
    yield "ours, seconds: " + ", ".join(f"{k} {v:.2f}" for k, v in stages.items())
    again = ours["again"]
    yield (
        f"again in the same process: {again['seconds']['total']:.2f} s, "
        f"of these the network {again['stages']['network']:.2f} s"
    )
    cached = ", ".join(f"{name} {mib:.0f} MiB" for name, mib in ours["kept_mib"].items())
    yield f"cached for what-if and maps: {cached}"
    fraction = peak_share(results, contender="torch")
    if fraction is not None:
        torch = results.results["torch"]
        yield (
            f"PyTorch: {torch['precision']}, network {torch['again']['stages']['network']:.2f} s, "
            f"fraction of the matrix peak {fraction:.3f}"
        )
    yield f"{ours['maps']['count']} maps: {ours['maps']['seconds']:.2f} s{_gradcam(results)}"
    what_if = ours["whatif"]
    yield (
        f"what-if: {what_if['message']} muted {what_if['seconds']:.2f} s, "
        f"another threshold {what_if['seconds_threshold']:.2f} s"
    )
    growth = ", ".join(f"{g['size']} {g['seconds']:.2f} s" for g in ours["growth"])
    first = ours["growth"][0]["voxels"] / 1e6
    yield f"growth with the volume (1x = {first:.2f} million voxels): {growth}"
    for name, values in results.dice.items():
        yield f"Dice with {name}: " + ", ".join(f"{k} {v:.4f}" for k, v in values.items())


def _gradcam(results: BenchResults) -> str:
    gradcam: Any = results.results.get("gradcam")
    if gradcam is None:
        return f" (Grad-CAM pair by pair: {results.missing['gradcam']})"
    return (
        f"; MONAI's Grad-CAM pair by pair {gradcam['seconds']:.0f} s "
        f"({gradcam['runs_needed']} runs, {gradcam['runs_timed']} of them timed)"
    )


def _goals(results: BenchResults) -> Iterator[str]:
    yield f"{'figure':46} {'measured':>9} {'goal':>9}"
    for key, value in figures(results).items():
        description, goal, is_met = GOALS[key]
        shown = "-" if value is None else f"{value:.4g}"
        verdict = "" if value is None else "met" if is_met(value) else "missed"
        yield f"{description:46} {shown:>9} {goal:>9}  {verdict}".rstrip()
    if results.config.quick:
        yield "The goals are for the whole volume; this one was a quarter of it."
