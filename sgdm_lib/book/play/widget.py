"""A figure with sliders: HTML that stands alone, and a picture of its first state for print."""

from __future__ import annotations

import base64
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _position(value: float, scale: str) -> float:
    """Return where a slider stands for a value."""
    return {"log": math.log10, "log2": math.log2}.get(scale, float)(value)


@dataclass(frozen=True)
class Slider:
    """A number the reader sets.

    Args:
        name: key in the script.
        label: text beside it.
        low: smallest value.
        high: largest value.
        value: first value.
        step: of the slider; on a logarithmic scale in decades or powers of two.
        scale: "linear"; "log", rounded to two digits; "log2".
    """

    name: str
    label: str
    low: float
    high: float
    value: float
    step: float
    scale: str = "linear"

    def html(self, root: str) -> str:
        """Return label, slider and the number it stands at."""
        low, high, value = (_position(v, self.scale) for v in (self.low, self.high, self.value))
        ident = f"{root}-{self.name}"
        return (
            f'<label for="{ident}">{escape(self.label)}</label>'
            f'<input id="{ident}" type="range" min="{low:g}" max="{high:g}" step="{self.step:g}" '
            f'value="{value:.10g}" data-control="{self.name}" data-scale="{self.scale}">'
            f'<output for="{ident}" data-shows="{self.name}"></output>'
        )


@dataclass(frozen=True)
class Choice:
    """One of several words the reader picks; the first is the default."""

    name: str
    label: str
    options: Sequence[str]

    def html(self, root: str) -> str:
        """Return label and menu."""
        ident = f"{root}-{self.name}"
        options = "".join(f"<option>{escape(option)}</option>" for option in self.options)
        return (
            f'<label for="{ident}">{escape(self.label)}</label>'
            f'<select id="{ident}" data-control="{self.name}">{options}</select><span></span>'
        )


@cache
def _file(name: str) -> str:
    return (resources.files(__package__) / name).read_text("utf8")


@dataclass(frozen=True, eq=False)
class Widget:
    """A figure to play with; shows itself in Jupyter and on the book's pages.

    No server, no network, no other script: the numbers are computed in the page. Without
    JavaScript, and in print through LaTeX, the picture of the first state stands in.

    Args:
        title: what the group of controls is called by screen readers.
        controls: sliders and menus.
        panels: names of the panels, drawn side by side.
        numbers: key and meaning of every number shown below.
        script: the file beside this module that draws.
        picture: draws the first state with matplotlib.
        description: what the picture shows.
    """

    title: str
    controls: Sequence[Slider | Choice]
    panels: Sequence[str]
    numbers: Mapping[str, str]
    script: str
    picture: Callable[[], Figure]
    description: str

    def _repr_html_(self) -> str:
        """Return the figure as HTML with its own style and script."""
        root = f"play-{uuid.uuid4().hex[:12]}"  # the same cell may be shown twice on a page
        controls = "".join(control.html(root) for control in self.controls)
        panels = "".join(
            f'<svg viewBox="0 0 352 262" role="img" aria-label="" data-panel="{name}"></svg>'
            for name in self.panels
        )
        numbers = "".join(
            f'<dt>{escape(text)}</dt><dd data-number="{name}"></dd>'
            for name, text in self.numbers.items()
        )
        image = base64.b64encode(self._repr_png_()).decode()
        return (
            f"<style>{_file('style.css')}</style>"
            f'<div class="sgdm-play" id="{root}" role="group" aria-label="{escape(self.title)}">'
            f'<div class="controls">{controls}</div><div class="panels">{panels}</div>'
            f'<dl aria-live="polite">{numbers}</dl>'
            f'<noscript><img alt="{escape(self.description)}" '
            f'src="data:image/png;base64,{image}"></noscript></div>'
            f'<script>(() => {{\nconst root = document.getElementById("{root}");\n'
            f"{_file('common.js')}\n{_file(self.script)}\n}})();</script>"
        )

    def _repr_png_(self) -> bytes:
        """Return the first state as a PNG."""
        import io

        import matplotlib.pyplot as plt

        figure, buffer = self.picture(), io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")  # a long legend, too
        plt.close(figure)
        return buffer.getvalue()
