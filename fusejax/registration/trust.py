"""When a transform may be used, and how far off it may be.

The limits and the factor were set on a few pairs under made-up deformations, of different scenes
and with landmarks by `scripts/table.py registration`, and not verified on others;
docs/registration.md has the rates.
"""

INFLATION = 10.0
_LEAST_CORRELATION = 0.32
_SECOND, _MIRRORED = 0.97, 0.9  # of the best score


def verdict(correlation: float, score: float, second: float, mirrored: float) -> str:
    """Why a transform should be refused, with the numbers; empty if it can be trusted.

    Args:
        correlation: of the refined transform.
        score: of the best peak.
        second: of the highest peak elsewhere.
        mirrored: of the best peak for the mirrored infrared image.

    Returns:
        One line.
    """
    if correlation < _LEAST_CORRELATION:
        return f"the images do not match: correlation {correlation:.2f}, at least {_LEAST_CORRELATION} is needed"
    if second > _SECOND * score:
        return f"two answers are about equally good: scores {score:.3f} and {second:.3f}"
    if mirrored > _MIRRORED * score:
        return f"the mirrored infrared image matches as well: scores {mirrored:.3f} and {score:.3f}"
    return ""
