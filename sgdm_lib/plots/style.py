"""The style of all figures: colours, labels of axes, and defaults of matplotlib."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from numbers import Number
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from pandas.io.formats.style import Styler

LABELS = {
    "epoch": "epochs",
    "step": "optimizer steps",
    "sfo": "SFO (per-sample gradients)",
    "batch_size": "batch size (samples)",
    "lr": "learning rate",
    "train_loss": "training loss (nats)",
    "train_accuracy": "training accuracy",
    "test_loss": "test loss (nats)",
    "test_accuracy": "test accuracy",
    "full_gradient_norm": r"full gradient norm $\|\nabla f(\theta)\|$",
    "full_gradient_norm_authors": "gradient norm, authors' estimator",
    "seconds": "seconds",
}
LOGARITHMIC = {"full_gradient_norm", "full_gradient_norm_authors", "train_loss", "test_loss"}
DASHES = ("-", "--", "-.", ":")


def use_style() -> None:
    """Set the defaults of seaborn and matplotlib, and show sharp figures in notebooks."""
    import seaborn

    rc = {
        "axes.edgecolor": "#5a6270",
        "axes.grid.which": "major",
        "axes.titlelocation": "left",
        "axes.titlesize": "medium",
        "figure.constrained_layout.use": True,
        "figure.constrained_layout.wspace": 0.05,  # labels keep off the panel beside them
        "figure.dpi": 100,
        "figure.facecolor": "white",
        "font.size": 10.5,
        "grid.color": "#e3e6eb",
        "legend.frameon": False,
        "lines.linewidth": 1.8,
        "svg.hashsalt": "sgdm",  # the same figure is the same file
    }
    seaborn.set_theme(style="whitegrid", palette=colours(8), rc=rc)
    _show_figures()


def _show_figures() -> None:
    """Make a notebook show figures in the form that :func:`picture` chooses."""
    from IPython.core.getipython import get_ipython

    if shell := get_ipython():
        from matplotlib.figure import Figure
        from matplotlib_inline.config import InlineBackend

        InlineBackend.instance(parent=shell).figure_formats = set()
        formatter: Any = shell.display_formatter
        formatter.mimebundle_formatter.for_type(Figure, picture)


def picture(figure: Figure, largest: int = 100_000) -> tuple[dict[str, Any], dict[str, Any]]:
    """Encode a figure for a page: as SVG if it is small, else as PNG in double resolution.

    Args:
        figure: the figure to show.
        largest: bytes up to which an SVG is small; a figure with thousands of dots is not.

    Returns:
        The image and its size on the page, each by type, in the form that IPython expects.
    """
    from IPython.core.pylabtools import print_figure, retina_figure

    svg = print_figure(figure, "svg", metadata={"Date": None})
    if len(svg) <= largest:
        return {"image/svg+xml": svg}, {}
    png, size = retina_figure(figure, base64=False)
    return {"image/png": b64encode(_with_few_colours(png)).decode()}, {"image/png": size}


def _with_few_colours(png: bytes) -> bytes:
    """Reduce a figure to 256 colours, a third of the bytes; a photograph stays as it is."""
    import numpy as np
    from PIL import Image

    original = Image.open(BytesIO(png)).convert("RGB")  # the style's figures have a ground
    few = original.quantize(256, dither=Image.Dither.NONE)
    error = np.asarray(original, dtype=float) - np.asarray(few.convert("RGB"), dtype=float)
    if np.abs(error).mean() > 0.5:  # of 255
        return png
    out = BytesIO()
    few.save(out, "PNG", optimize=True)
    return out.getvalue()


def escaped(frame: DataFrame, formatter: Any = None, **options: Any) -> Styler:
    """Make a table for a page from a frame, in which no text can act as HTML.

    Records may come from other people, so a page shows their text and never interprets it.

    Args:
        frame: the values to show.
        formatter: as for pandas' ``Styler.format``.
        options: as for pandas' ``Styler.format``: ``precision``, ``thousands``, ``na_rep``.
    """
    plain = frame.copy()
    for place, kind in enumerate(plain.dtypes):
        if kind.kind == "O":
            plain.isetitem(place, plain.iloc[:, place].map(_text))
    table = plain.style.format(formatter, escape="html", **options)
    for axis in ("index", "columns"):
        table = table.format_index(escape="html", axis=axis)
    return table


def _text(value: Any) -> Any:
    """Return text in place of a list or a mapping, which pandas does not escape."""
    return value if value is None or isinstance(value, (str, Number)) else str(value)


def words_left(table: Styler) -> Styler:
    """Align columns of words to the left of a table; numbers stay on the right."""
    words = [name for name in table.columns if any(map(_is_word, table.data[name]))]
    return table.set_properties(subset=words, **{"text-align": "left"}).apply_index(
        lambda names: ["text-align: left" * (name in words) for name in names], axis="columns"
    )


def _is_word(value: object) -> bool:
    return isinstance(value, str) and any(map(str.isalpha, value))


def colours(count: int) -> list[str]:
    """Return the first colours of the palette, which repeats after eight.

    Blue, vermilion and green are Okabe & Ito's (2008). The others were searched for: the smallest
    distance of two colours, on white or inverted for a dark page, to full colour vision or any of
    the three kinds of colour blindness, is as large as eight colours allow that stand out on both
    grounds (a test has the numbers).
    """
    palette = [
        "#0072b2",
        "#d55e00",
        "#009e73",
        "#111111",
        "#8866ff",
        "#774400",
        "#aa88aa",
        "#664466",
    ]
    return [palette[i % len(palette)] for i in range(count)]
