"""Registration of two cameras that do not line up: transform, trust, warp and rig.

`estimation` finds the transform between two images: a coarse `search` and a `refinement` on
`descriptors`, with the limits of `trust`. `warping` applies it, with gradients. `rig` keeps the
transform of two fixed cameras, and `lens` their distortion, which `lens_files` reads. `residual`
says whether a pair lines up as it is, and `folder_check` whether a folder does. `measures` says
how well a pair lines up, and `made_up` makes pairs with known truth. `aligner` is the step before
fusion, with `parallax` for near scenes, `tracking` for streams, and `choice` between them; `folder`
registers files.
"""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.registration.aligner import RegisterInfrared, RegistrationError
    from fusejax.registration.estimation import Registration, estimate
    from fusejax.registration.folder import RegisteredFolder, register_folder
    from fusejax.registration.lens import Lens, Lenses, lens_points
    from fusejax.registration.lens_files import read_lens
    from fusejax.registration.measures import (
        corner_error,
        endpoint_error,
        folding,
        gradient_correlation,
        landmark_error,
        mutual_information,
        normalized_correlation,
    )
    from fusejax.registration.parallax import Near
    from fusejax.registration.residual import Residual, is_aligned
    from fusejax.registration.rig import Rig, find_rig, read_rig, rig_of, write_rig
    from fusejax.registration.small_shift import SmallShift, find_small_shift
    from fusejax.registration.tracking import TrackedRig
    from fusejax.registration.warping import warp

__all__ = [
    "Lens",
    "Lenses",
    "Near",
    "RegisterInfrared",
    "RegisteredFolder",
    "Registration",
    "RegistrationError",
    "Residual",
    "Rig",
    "SmallShift",
    "TrackedRig",
    "corner_error",
    "endpoint_error",
    "estimate",
    "find_rig",
    "find_small_shift",
    "folding",
    "gradient_correlation",
    "is_aligned",
    "landmark_error",
    "lens_points",
    "mutual_information",
    "normalized_correlation",
    "read_lens",
    "read_rig",
    "register_folder",
    "rig_of",
    "warp",
    "write_rig",
]
