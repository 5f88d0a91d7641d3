"""The report as one self-contained HTML file."""

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.export.report import DISCLAIMER, Report
from napari_ciml.export.report_page import picture_png, weights_png
from napari_ciml.files import write_text

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATE = Path(__file__).with_name("report.html.jinja")


def write_report_html(path: Path, report: Report) -> Path:
    """Write the report as HTML with embedded pictures.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    return write_text(path, to_html(report))


def to_html(report: Report) -> str:
    """Return the report as HTML."""
    (_, day), *facts = report.facts
    return _template().render(
        report=report,
        day=day,
        facts=facts,
        weights=weights_png(report.weights) if report.weights else None,
        notices=(*report.notices, DISCLAIMER),
    )


def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"picture": picture_png, "data_url": _data_url}
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
