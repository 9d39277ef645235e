"""The house style: colours colour-blind readers can tell apart, labels, matplotlib defaults."""

from __future__ import annotations

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
    """Set seaborn's and matplotlib's defaults to the house style; sharp pictures in notebooks."""
    import seaborn
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    rc = {
        "axes.edgecolor": "#5a6270",
        "axes.grid.which": "major",
        "axes.titlelocation": "left",
        "axes.titlesize": "medium",
        "figure.constrained_layout.use": True,
        "figure.dpi": 100,
        "figure.facecolor": "white",
        "font.size": 10.5,
        "grid.color": "#e3e6eb",
        "legend.frameon": False,
        "lines.linewidth": 1.8,
    }
    seaborn.set_theme(style="whitegrid", palette=colours(8), rc=rc)
    set_matplotlib_formats("retina")


def colours(count: int) -> list[str]:
    """The first colours of the house palette (Okabe & Ito 2008, dark enough for lines on white)."""
    palette = [
        "#0072b2",
        "#d55e00",
        "#009e73",
        "#aa4499",
        "#e69f00",
        "#56b4e9",
        "#555555",
        "#882255",
    ]
    return [palette[i % len(palette)] for i in range(count)]
