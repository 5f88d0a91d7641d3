"""What the brush for a region is said to do."""

from napari_ciml.decomposition.model import Region


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
