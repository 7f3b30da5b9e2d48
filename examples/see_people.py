"""Does fusion make people easier to detect? Prints average precisions of a small patch classifier.

python examples/see_people.py [--weights light angularfuse] [--boxed DIR ...]
"""

import dataclasses
from pathlib import Path

import numpy as np
import tyro
from people.study import PeopleConfig, people_table, run_people_study

from fusejax.data.folders import PairFolder
from fusejax.inference.loading import load, weights_name
from fusejax.metrics.region import average_fusion


@dataclasses.dataclass(frozen=True)
class SeeOptions:
    """What to compare.

    Attributes:
        weights: shipped names, .safetensors files or folders of runs; the plain average and the
            maximum of the sources are added.
        boxed: additional test folders with ir, vi and boxes, such as those of LLVIP, which may be
            used for research. Pairs without boxes of people provide only negatives.
        config: amount of data and training.
    """

    weights: tuple[str, ...] = ("light",)
    boxed: tuple[Path, ...] = ()
    config: PeopleConfig = dataclasses.field(default_factory=PeopleConfig)


def main(options: SeeOptions) -> None:
    """Runs the study and prints its table."""
    methods = {"average": average_fusion, "maximum": np.maximum}
    methods |= {weights_name(name): load(name).fuse_luma for name in options.weights}
    further = {}
    if options.boxed:
        folders = [PairFolder(folder, boxes=True) for folder in options.boxed]
        pairs = [folder[n] for folder in folders for n in range(len(folder))]
        further["boxed pairs"] = [pair for pair in pairs if len(pair.get("boxes", ()))]
        people = sum(list(pair.get("labels", ())).count("person") for pair in further["boxed pairs"])
        print(f"{len(further['boxed pairs'])} boxed pairs with {people} people")
    print(people_table(run_people_study(methods, options.config, further=further)))


if __name__ == "__main__":
    main(tyro.cli(SeeOptions))
