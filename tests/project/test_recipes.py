"""The numbers of the shipped configurations, as stated in their headers and in the papers."""

import pytest

from fusejax.config import load_config


def recipe(config):
    """Everything that determines what is learned, in plain types."""
    stages = [
        (
            stage.name,
            stage.epochs,
            stage.trains,
            {t.name: (t.weight, t.decay, t.options) for t in stage.objective.terms},
            (stage.optim.learning_rate, stage.optim.final_learning_rate, stage.optim.schedule, stage.optim.clip_norm),
        )
        for stage in config.stages
    ]
    data = config.data
    return stages, (data.crop, data.com_mask is not None, data.max_boxes, data.box_share), config.batch_size


def term(weight=1.0, decay="none", **options):
    return weight, decay, options


COSINE = (1e-4, 1e-6, "cosine", 1.0)
HALVED = (1e-4, 1e-6, "step", 0.01)
RECIPES = {
    "angularfuse": (
        [
            (
                "main",
                70,
                (),
                {"reference_intensity": term(), "angle_magnitude": term(10.0), "angle_direction": term(10.0)},
                COSINE,
            )
        ],
        (128, True, 0, 0.0),
        8,
    ),
    "fusionnet": (
        [
            (
                "main",
                50,
                (),
                {
                    "ssim": term(),
                    "maximum_intensity": term(5.0),
                    "joint_gradient": term(5.0),
                    "target_aware": term(2.0),
                },
                COSINE,
            )
        ],
        (256, False, 16, 0.5),
        16,
    ),
    "crossfuse": (
        [
            (
                "reconstruct",
                40,
                ("encoder", "decoder"),
                {"reconstruction": term(), "decomposition": term(2.0)},
                HALVED,
            ),
            (
                "fuse",
                120,
                (),
                {
                    "maximum_intensity": term(),
                    "joint_gradient": term(10.0),
                    "decomposition": term(2.0),
                    "consistency": term(0.1, "cosine"),
                },
                HALVED,
            ),
        ],
        (64, False, 0, 0.0),
        8,
    ),
}


@pytest.mark.parametrize("name", RECIPES)
def test_shipped_configurations_state_these_numbers(name):
    assert recipe(load_config(name)) == RECIPES[name]


def test_the_reference_is_three_quarters_edges_and_one_quarter_equalization():
    reference = load_config("angularfuse").stages[0].objective.reference
    assert (reference.edge_weight, reference.equalized_weight, reference.equalization) == (0.75, 0.25, "clahe")
    assert (reference.base, reference.enhance_first) == ("max", False)
