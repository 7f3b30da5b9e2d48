"""How fusion methods bear degraded sources.

`degradations` holds the changes of an image as array functions, `conditions` their fixed strengths,
`attack` the adversarial noise, `methods` what is tried, `stress` the study, `stress_tables` and
`stress_figures` its presentation.
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
