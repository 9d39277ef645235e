"""The book's mark, drawn from the idea it stands for.

A gradient norm falls to the floor of its batch size, the batch doubles, and it falls on: the curve
is the exact root mean square of SGD on a quadratic, the dots are the batches, area for size.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

STAGES = 5
LIGHT = {"curve": "#d55e00", "dots": "#0072b2", "ground": "#ffffff"}
DARK = {"curve": "#f0a35e", "dots": "#6cb6ee", "ground": "#121212"}


def norms(stages: int = STAGES, steps: int = 24, rate: float = 0.15) -> np.ndarray:
    """Root-mean-square gradient over the stages, in units of the start.

    One curvature; the batch doubles from stage to stage, and has done so once before the start:

        s_{t+1} = q s_t + (1 - q) / 2^(m+1),    q = (1 - rate)^2

    Args:
        stages: number of batch sizes.
        steps: steps in a stage.
        rate: learning rate times curvature.

    Returns:
        array ``(stages * steps + 1,)``, decreasing.

    Example:
        >>> norms(stages=2, steps=2).round(3).tolist()
        [1.0, 0.928, 0.872, 0.787, 0.719]
    """
    kept, squares = (1 - rate) ** 2, [1.0]
    for step in range(stages * steps):
        floor = 1 / 2 ** (step // steps + 1)
        squares.append(kept * squares[-1] + (1 - kept) * floor)
    return np.sqrt(squares)


def points(width: float, height: float, margin: float, **chosen: int) -> np.ndarray:
    """The curve in a picture, logarithmic upwards: array ``(steps + 1, 2)`` of x and y."""
    values = np.log(norms(**chosen))
    x = np.linspace(margin, width - margin, len(values))
    y = margin + (height - 2 * margin) * (values[0] - values) / (values[0] - values[-1])
    return np.stack([x, y], axis=1)


def path(curve: np.ndarray) -> str:
    """The SVG path through the points."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in curve)


def logo(colours: dict[str, str] = LIGHT) -> str:
    """The mark as SVG: curve, and a dot for the batch of each stage, at the end of the stage."""
    curve = points(240, 96, 14)
    ends = curve[:: (len(curve) - 1) // STAGES][1:]
    dots = "\n".join(
        f'  <circle cx="{x:.1f}" cy="{y:.1f}" r="{2.8 * 2 ** (m / 2):.1f}"/>'
        for m, (x, y) in enumerate(ends)
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 240 96">
  <title>A gradient norm falls in steps as the batches grow</title>
  <path d="{path(curve)}" fill="none" stroke="{colours["curve"]}" stroke-width="5" \
stroke-linecap="round" stroke-linejoin="round"/>
  <g fill="{colours["dots"]}" stroke="{colours["ground"]}" stroke-width="2.5">
{dots}
  </g>
</svg>
"""


def favicon() -> str:
    """The mark for a browser's tab: three stages, light on blue."""
    curve = points(32, 32, 6, stages=3)
    ends = curve[:: (len(curve) - 1) // 3][1:]
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{2.1 * 2 ** (m / 2):.1f}"/>'
        for m, (x, y) in enumerate(ends)
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
  <title>A gradient norm falls in steps as the batches grow</title>
  <rect width="32" height="32" rx="6" fill="#00507f"/>
  <path d="{path(curve)}" fill="none" stroke="#f0a35e" stroke-width="2.6" \
stroke-linecap="round" stroke-linejoin="round"/>
  <g fill="#ffffff">{dots}</g>
</svg>
"""


def files() -> dict[str, str]:
    """Name and text of every file of the mark."""
    return {"logo.svg": logo(), "logo-dark.svg": logo(DARK), "favicon.svg": favicon()}


def draw(folder: Path) -> None:
    """Write the files; ``python -m sgdm_lib.study.figures.logo`` does so for the book."""
    for name, text in files().items():
        (folder / name).write_text(text, "utf8")


if __name__ == "__main__":
    draw(Path(__file__).resolve().parents[3] / "_static")
