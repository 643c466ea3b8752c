"""Sliders beside a notebook's figure that redraw it at once; where no kernel runs, the picture stands alone."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

Range = tuple[float, float, float]  # low, high, start; whole numbers where all three are


def _slider(name: str, low: float, high: float, start: float) -> Any:
    if all(isinstance(value, int) for value in (low, high, start)):
        return ipywidgets.IntSlider(value=start, min=low, max=high, description=name)
    step = 10.0 ** math.floor(math.log10((high - low) / 20))
    return ipywidgets.FloatSlider(value=start, min=low, max=high, step=step, description=name, readout_format=".3g")


class Live:
    """The figure `draw(**values)` under one slider for each of `ranges`; show it as the last line of a cell."""

    def __init__(self, draw: Callable[..., Figure], **ranges: Range) -> None:
        self.draw = draw
        self.sliders = {name: _slider(name, *limits) for name, limits in ranges.items()}
        self.picture = ipywidgets.Image(format="png")
        for slider in self.sliders.values():
            slider.observe(self.redraw, "value")
        self.redraw()

    def redraw(self, change: object = None) -> None:
        """Draw with the sliders' present values."""
        fig, png = self.draw(**{name: slider.value for name, slider in self.sliders.items()}), io.BytesIO()
        fig.savefig(png, format="png", metadata={"Software": None})
        self.picture.width, self.picture.height = (str(round(inches * 100)) for inches in fig.get_size_inches())
        self.picture.value = png.getvalue()
        plt.close(fig)

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
        """Both forms: Jupyter shows the sliders, a page without a kernel the picture (`repro.notebooks` keeps that)."""
        live = ipywidgets.VBox([*self.sliders.values(), self.picture])._repr_mimebundle_()
        values = ", ".join(f"{name} = {slider.value:g}" for name, slider in self.sliders.items())
        size = {"width": int(self.picture.width), "height": int(self.picture.height)}
        still = {"text/plain": values, "image/png": base64.b64encode(self.picture.value).decode()}
        return {**live, **still}, {"image/png": size}
