"""The report as one self-contained HTML file."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from napari_ciml.export.report import DISCLAIMER, Report, Table
from napari_ciml.export.report_page import picture_png, weights_png
from napari_ciml.export.report_pictures import Picture
from napari_ciml.files import write_text

_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 1.5rem auto;
  padding: 0 1rem; background: white }
h1 { font-size: 1.6rem; border-bottom: 1px solid #ccc; padding-bottom: .4rem; margin: 0 0 1rem }
h1 time { float: right; font-size: .9rem; font-weight: normal; color: #666; margin-top: .6rem }
h2 { font-size: 1rem; margin: 0 0 .4rem }
.row { display: flex; flex-wrap: wrap; gap: 1rem; margin-bottom: 1rem; align-items: flex-start }
.row > * { flex: 1 1 16rem; margin: 0; min-width: 0 }
figure { max-width: 20rem }
figure b, figcaption { display: block }
img { width: 100%; display: block }
figcaption, th, footer { color: #666; font-size: .8rem; font-weight: normal }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .15rem .8rem .15rem 0; vertical-align: top;
  overflow-wrap: anywhere }
tr + tr td { border-top: 1px solid #eee }
footer { border-top: 1px solid #ccc; padding-top: .6rem }
@media print { body { margin: 0; max-width: none } }
""".strip()


def write_report_html(path: Path, report: Report) -> Path:
    """Write the report as HTML, pictures included.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    return write_text(path, to_html(report))


def to_html(report: Report) -> str:
    """Return the report as HTML."""
    day = dict(report.facts)["Date"]
    facts = Table("How this was made", ("", ""), report.facts[1:])
    weights = ""
    if report.weights:
        title = "Complementary-information weights"
        weights = f"<section><h2>{title}</h2>{_image(weights_png(report.weights), title)}</section>"
    notices = "".join(f"<p>{escape(text)}</p>" for text in (*report.notices, DISCLAIMER))
    return "\n".join(
        (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(report.title)}</title>\n<style>\n{_STYLE}\n</style>\n</head>\n<body>",
            f"<h1>{escape(report.title)} <time>{escape(day)}</time></h1>",
            _pictures(report.pictures),
            _pictures(report.maps),
            f'<div class="row"><section>{_table(report.regions)}</section>{weights}</div>',
            f'<div class="row"><section>{_table(report.decomposition)}</section></div>',
            f'<div class="row"><section>{_table(facts)}</section></div>',
            f"<footer>{notices}</footer>\n</body>\n</html>\n",
        )
    )


def _pictures(pictures: Sequence[Picture]) -> str:
    figures = "".join(
        f"<figure><b>{escape(one.title)}</b>{_image(picture_png(one), one.title)}"
        f"<figcaption>{escape(one.caption)}</figcaption></figure>"
        for one in pictures
    )
    return f'<div class="row">{figures}</div>' if pictures else ""


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in texts) + "</tr>"
        for texts in table.rows
    )
    named = f"<tr>{head}</tr>" if any(table.columns) else ""
    return f"<h2>{escape(table.title)}</h2><table>{named}{body}</table>"


def _image(png: bytes, alt: str) -> str:
    data = base64.b64encode(png).decode("ascii")
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{data}">'
