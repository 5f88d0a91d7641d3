"""Texts of tables and hints: lesions, regions, brush strokes, counts."""

from napari_ciml.decomposition.model import Region
from napari_ciml.lesions import Lesion, RegionSummary


def count_text(count: int, noun: str) -> str:
    """Return a count with its noun in the singular or plural, as ``2 files``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def size_text(lesion: Lesion) -> str:
    """Return region, volume, diameters and their product as in RANO."""
    d = lesion.diameters
    size = f"{d.longest_mm:.1f} x {d.perpendicular_mm:.1f} mm\nproduct {d.product_mm2:.0f} mm²"
    return f"{lesion.region}  {lesion.volume_ml:.3g} mL\n{size}"


def confidence_text(lesion: Lesion) -> str:
    """Return probability, uncertainty, agreement of the segmentors, and reasons to review."""
    reasons = [f"! {reason}" for reason in lesion.reasons]
    if lesion.probability is None or lesion.uncertainty is None:
        return "\n".join(("not segmented", *reasons))
    fractions = ", ".join(f"{name} {fraction:.0%}" for name, fraction in lesion.seen_by.items())
    means = f"mean prob. {lesion.probability:.2f}, uncertainty {lesion.uncertainty:.2f}"
    return "\n".join((means, f"predicted by {fractions}", *reasons))


def summary_row(summary: RegionSummary) -> tuple[str, ...]:
    """Return the cells of a region's row."""
    d = summary.diameters
    return (
        summary.region,
        summary.ml_in_words,
        str(summary.lesions),
        f"{d.longest_mm:.0f} x {d.perpendicular_mm:.0f}" if summary.lesions else "-",
        "-" if summary.uncertainty is None else f"{summary.uncertainty:.2f}",
        "-" if summary.agreement is None else f"{summary.agreement:.2f}",
    )


def summary_tooltip(summary: RegionSummary) -> str:
    """Return the tooltip of a region: sum of products and volumes by segmentor."""
    lines = [f"Sum of products of diameters (RANO): {summary.sum_of_products_mm2:.0f} mm²"]
    lines += [f"{name} only: {ml:.1f} mL" for name, ml in summary.segmentor_ml.items()]
    return "\n".join(lines)


def label_values_text(regions: tuple[Region, ...]) -> str:
    """Return the label values of regions; a line does not break within one of them."""
    texts = (f"{region.name} = label {', '.join(map(str, region.labels))}" for region in regions)
    return "; ".join(text.replace(" ", "\N{NO-BREAK SPACE}") for text in texts)


def describe_stroke(region: Region, regions: tuple[Region, ...], erase: bool) -> str:
    """Return how a brush stroke changes the selected region and its nested regions."""
    inner = [other.name for other in regions if set(other.labels) < set(region.labels)]
    around = [other for other in regions if set(other.labels) > set(region.labels)]
    closest = min(around, key=lambda other: len(other.labels), default=None)
    if erase:
        erased = " and ".join((region.name, *inner))
        rest = (
            f"voxels stay in {closest.name}" if closest is not None else "voxels become background"
        )
        return f"Erases from {erased}; {rest}."
    verb = "are" if len(inner) > 1 else "is"
    unchanged = f"; {' and '.join(inner)} {verb} unchanged" if inner else ""
    parents = "".join(f", {other.name}" for other in sorted(around, key=lambda r: len(r.labels)))
    return f"Adds to {region.name}{parents}{unchanged}."
