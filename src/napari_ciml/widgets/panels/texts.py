"""What the tables of lesions and regions say."""

from napari_ciml.decomposition.model import Region
from napari_ciml.lesions import Lesion, RegionSummary


def size_text(lesion: Lesion) -> str:
    """Return region, volume, diameters and their product, as RANO asks."""
    d = lesion.diameters
    size = f"{d.longest_mm:.1f} x {d.perpendicular_mm:.1f} mm\nproduct {d.product_mm2:.0f} mm²"
    return f"{lesion.region}  {lesion.volume_ml:.3g} mL\n{size}"


def confidence_text(lesion: Lesion) -> str:
    """Return how sure it is, who sees it, and why to look."""
    reasons = [f"! {reason}" for reason in lesion.reasons]
    if lesion.probability is None or lesion.uncertainty is None:
        return "\n".join(("not segmented", *reasons))
    shares = ", ".join(f"{name} {share:.0%}" for name, share in lesion.seen_by.items())
    means = f"p {lesion.probability:.2f}, unsure {lesion.uncertainty:.2f}"
    return "\n".join((means, f"seen by {shares}", *reasons))


def summary_row(summary: RegionSummary) -> tuple[str, ...]:
    """Return a row of the table of regions."""
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
    """Return what there is to say of a region besides."""
    lines = [f"Sum of products (RANO): {summary.sum_of_products_mm2:.0f} mm²"]
    lines += [f"{name} alone: {ml:.1f} mL" for name, ml in summary.segmentor_ml.items()]
    return "\n".join(lines)


def describe_stroke(region: Region, regions: tuple[Region, ...], erase: bool) -> str:
    """Return what a stroke does to the region chosen, those in it and those around it."""
    inner = [other.name for other in regions if set(other.labels) < set(region.labels)]
    around = [other for other in regions if set(other.labels) > set(region.labels)]
    closest = min(around, key=lambda other: len(other.labels), default=None)
    if erase:
        out = " and ".join((region.name, *inner))
        rest = f"it stays in {closest.name}" if closest is not None else "nothing is left there"
        return f"Erasing takes out of {out} what is painted over; {rest}."
    stay = "stay" if len(inner) > 1 else "stays"
    kept = f"; {' and '.join(inner)} in it {stay}" if inner else ""
    into = "".join(f", in {other.name}" for other in sorted(around, key=lambda r: len(r.labels)))
    return f"Painting adds to {region.name}{into}{kept}."
