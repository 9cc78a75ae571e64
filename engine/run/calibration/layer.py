"""A layer over ``p_hat``: fitted on past windows, kept as a numbered file, never applied unasked.

*Temperature* divides the log-odds by one number; *isotonic* replaces probabilities by a rising step function.
It is fitted on the seconds in which the engine decides, every window counting as one. A layer says on what
and until when it was fitted, and refuses to score windows that it was fitted on. What it does not know:
trading. A temperature layer decides only where a setting names it (``engine.layer``).
"""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np
from scipy.optimize import isotonic_regression, minimize_scalar

from engine.core.decide import LAYER_CLIP, tempered
from engine.decoded import from_json
from engine.errors import DecodingError, EngineError
from engine.layer import FOLDER
from engine.nouns import counted
from engine.private_files import make_folder, private
from engine.run.calibration.moments import Moment, hammer_taus

LEAST: Final = 200
"""Windows that a fit asks for; a window's moments share its outcome, and are no more than one."""

Kind = Literal["temperature", "isotonic"]


class LayerError(EngineError):
    """A layer cannot be fitted, read or applied; the message says why."""


class Layer(msgspec.Struct, frozen=True):
    """What was fitted: ``points`` (said, corrected) of an isotonic layer, ``temperature`` of the other.

    ``taus`` are the seconds before the end that it was fitted on, those within ``hammer_s``; a file of before
    they were told has none.
    """

    version: int
    kind: Kind
    fitted_until_ms: int
    moments: int
    windows: int
    temperature: float = 1.0
    points: tuple[tuple[float, float], ...] = ()
    taus: tuple[int, ...] = ()
    hammer_s: float | None = None

    def apply(self, probability: float) -> float:
        """Return a corrected probability."""
        if self.kind == "temperature":
            return tempered(probability, self.temperature)
        said, corrected = zip(*self.points, strict=True)
        return float(np.interp(probability, said, corrected))

    @property
    def words(self) -> str:
        """What is to be shown wherever the layer is on."""
        what = f"temperature {self.temperature:.3f}" if self.kind == "temperature" else "isotonic"
        when = f", {', '.join(map(str, self.taus))} s before their end" if self.taus else ""
        size = counted(self.windows, "window")
        return f"calibration layer {self.version} ({what}, fitted on {size}{when})"


def fit(moments: Sequence[Moment], kind: Kind, version: int, hammer_s: float) -> Layer:
    """Fit a layer on the moments at which the engine would decide, every window counting as one.

    Args:
        moments: At any times before the end; earlier ones than ``hammer_s`` are left out, for a forecast that
            is twice too sure a minute before may be right ten seconds before.
        kind: Which correction.
        version: Its number.
        hammer_s: Seconds before the end within which the engine decides.

    Raises:
        LayerError: Too few windows.
    """
    taus = hammer_taus(hammer_s)
    chosen = [one for one in moments if one.tau in taus]
    by_window = Counter(one.slug for one in chosen)
    if len(by_window) < LEAST:
        raise LayerError(
            f"{counted(len(by_window), 'window')} with a forecast in hammer time are too few to fit a layer "
            f"on: {LEAST} are asked for"
        )
    said = np.array([one.p_up for one in chosen])
    came = np.array([float(one.up) for one in chosen])
    weights = np.array([1.0 / by_window[one.slug] for one in chosen])
    facts: dict[str, Any] = {
        "version": version,
        "kind": kind,
        "fitted_until_ms": max(int(one.at_ms + one.seconds_left * 1000) for one in chosen),
        "moments": len(chosen),
        "windows": len(by_window),
        "taus": taus,
        "hammer_s": hammer_s,
    }
    if kind == "temperature":
        found = minimize_scalar(
            lambda log: _loss(said, came, weights, math.exp(log)), bounds=(-3.0, 3.0), method="bounded"
        )
        return Layer(temperature=float(math.exp(found.x)), **facts)
    order = np.argsort(said, kind="stable")
    fitted = isotonic_regression(came[order], weights=weights[order]).x
    points = {float(p): float(c) for p, c in zip(said[order], fitted, strict=True)}
    return Layer(points=tuple(sorted(points.items())), **facts)


def applied(moments: Sequence[Moment], layer: Layer) -> list[Moment]:
    """Return moments with corrected probabilities; only of windows that began after the layer was fitted.

    Raises:
        LayerError: No such window is there.
    """
    later = [one for one in moments if one.at_ms > layer.fitted_until_ms]
    if not later:
        raise LayerError(f"{layer.words} was fitted on these windows: it can be judged on later ones only")
    return [one._replace(p_up=layer.apply(one.p_up)) for one in later]


def keep(layer: Layer, data_dir: Path) -> Path:
    """Write a layer under its number; one that is there is never changed.

    Raises:
        LayerError: The number is taken.
    """
    folder = data_dir / FOLDER
    make_folder(folder)
    path = folder / f"layer-{layer.version}.json"
    try:
        with open(path, "xb", opener=private) as file:
            file.write(msgspec.json.encode(layer) + b"\n")
    except FileExistsError:
        raise LayerError(f"{path} is there already") from None
    return path


def layers(data_dir: Path) -> list[Layer]:
    """Return the layers that were kept, oldest first.

    Raises:
        LayerError: One of them is no layer.
    """
    found = []
    for path in (data_dir / FOLDER).glob("layer-*.json"):
        try:
            found.append(from_json(path.read_bytes(), Layer))
        except (DecodingError, OSError) as error:
            raise LayerError(f"{path}: {error}") from None
    return sorted(found, key=lambda layer: layer.version)


def _loss(said: Any, came: Any, weights: Any, temperature: float) -> float:
    p = np.clip(said, LAYER_CLIP, 1.0 - LAYER_CLIP)
    made = 1.0 / (1.0 + np.exp(-np.log(p / (1.0 - p)) / temperature))
    made = np.clip(made, LAYER_CLIP, 1.0 - LAYER_CLIP)
    losses = -(came * np.log(made) + (1.0 - came) * np.log(1.0 - made))
    return float(np.average(losses, weights=weights))
