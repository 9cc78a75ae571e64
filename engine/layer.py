"""The calibration layer that decisions are made with, read once: a number beside the other parameters.

``CALIBRATION_LAYER`` names a file that ``python -m engine calibration --fit temperature`` has kept. It
becomes ``Params.layer_temperature``, journaled with the session and replayed with it. What it does not know:
how a layer is fitted, and what it is worth (``engine.run.calibration.layer``).
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from engine.core.decide import LAYER_COLDEST
from engine.decoded import from_json
from engine.errors import DecodingError, SettingsError
from engine.nouns import counted

FOLDER: Final = "calibration"
HOTTEST: Final = 20.1
"""No fit ends above e to the 3."""

_NAME: Final = re.compile(r"(?:layer-)?(\d+)(?:\.json)?")


class Kept(msgspec.Struct, frozen=True):
    """What of a kept layer a decision needs."""

    version: int
    kind: str
    fitted_until_ms: int
    windows: int
    temperature: float = 1.0

    @property
    def words(self) -> str:
        """What is shown wherever it is on."""
        size = counted(self.windows, "window")
        return f"calibration layer {self.version} (temperature {self.temperature:.3f}, {size})"


def layer_path(named: str, data_dir: Path) -> Path:
    """Return the file that a setting names: a path, or ``layer-3`` (or ``3``) for one that was kept there."""
    found = _NAME.fullmatch(named)
    return data_dir / FOLDER / f"layer-{found[1]}.json" if found else Path(named)


@lru_cache(maxsize=16)
def kept_layer(path: Path) -> Kept:
    """Return a layer; a process reads its file once, so that one changed meanwhile changes no decision.

    Raises:
        SettingsError: The file cannot be read, is no layer, or is one that no decision can be made with.
    """
    try:
        layer = from_json(path.read_bytes(), Kept)
    except OSError as error:
        raise SettingsError(f"CALIBRATION_LAYER {path} cannot be read: {error.strerror}") from None
    except DecodingError as error:
        raise SettingsError(f"CALIBRATION_LAYER {path} is no calibration layer: {error}") from None
    if layer.kind != "temperature":
        raise SettingsError(f"CALIBRATION_LAYER {path} is {layer.kind}: only a temperature layer can decide")
    if not LAYER_COLDEST <= layer.temperature <= HOTTEST:
        raise SettingsError(f"CALIBRATION_LAYER {path} has a temperature that no fit ends with")
    return layer
