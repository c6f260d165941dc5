"""The simulated silicon: how much current a sensor lets through at a bias."""

import math
import zlib

FULL_DEPLETION_V = 60.0
COLD_C = -20.0


def leakage_a(volts: float, breakdown_v: float, module: str = "0") -> float:
    """Give the leakage current in amperes, with the sign of the bias.

    It grows with the depleted depth, then slowly, and rises steeply from the breakdown voltage on.
    """
    magnitude = abs(volts)
    depth = math.sqrt(min(magnitude, FULL_DEPLETION_V) / FULL_DEPLETION_V)
    base = 0.6e-6 * individuality(module) * (depth + 0.0004 * magnitude)
    avalanche = 0.5 * math.exp(min((magnitude - abs(breakdown_v)) / 4.0, 12.0))
    return math.copysign(base * (1.0 + avalanche), volts)


def individuality(module: str) -> float:
    """Give a factor near one that is a module's own, and always the same."""
    return 0.8 + 0.4 * (zlib.crc32(module.encode()) % 1000) / 1000.0
