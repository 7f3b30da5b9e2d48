"""How well fusion methods cope with degraded sources.

`degradations` holds the degradations as array functions, `conditions` their fixed strengths,
`attack` the adversarial noise, `methods` the methods under test, `stress` the study, and
`stress_tables` and `stress_figures` the presentation of its results.
"""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.robustness.conditions import CONDITIONS, Condition, degrade
    from fusejax.robustness.stress import StressResult, stress_folders

__all__ = [
    "CONDITIONS",
    "Condition",
    "StressResult",
    "degrade",
    "stress_folders",
]
