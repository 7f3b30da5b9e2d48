"""Reading PyTorch checkpoints: what is taken from a file and what is left in it.

The conversion itself is tested with a network of PyTorch in tests/models/test_crossfuse.py.
"""

import pytest

from fusejax.weights.torch_import import load_torch_checkpoint

torch = pytest.importorskip("torch")
MODULES = ("DIDF_Encoder", "DIDF_Decoder", "BaseFuseLayer", "DetailFuseLayer")


def test_only_the_tensors_of_the_network_are_taken(tmp_path):
    """Authors also save their optimizers, whose state holds numbers, lists and tensors."""
    x = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.Adam([x])
    x.sum().backward()
    optimizer.step()
    modules = {name: {"module.w": torch.full((2,), float(n)), "epoch": 3} for n, name in enumerate(MODULES)}
    torch.save(modules | {"optimizer1": optimizer.state_dict(), "epoch": 7}, tmp_path / "a.pth")
    loaded = load_torch_checkpoint(tmp_path / "a.pth")
    assert {name: {k: v.tolist() for k, v in held.items()} for name, held in loaded.items()} == {
        name: {"module.w": [n, n]} for n, name in enumerate(MODULES)
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"DIDF_Encoder": {"w": 1.0}, "epoch": 7},
            r"a\.pth is not a dict with the modules .* contains DIDF_Encoder, epoch",
        ),
        ([1.0], r"a\.pth is not a dict with the modules .* contains a list"),
    ],
)
def test_other_files_are_named_with_what_they_hold(tmp_path, content, message):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=message):
        load_torch_checkpoint(tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"b\.pth does not exist"):
        load_torch_checkpoint(tmp_path / "b.pth")


class Payload:
    def __reduce__(self):
        return (print, ("executed",))


def test_code_in_a_checkpoint_is_never_executed(tmp_path, capsys):
    torch.save({"DIDF_Encoder": {"x": Payload()}}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match=r"evil\.pth cannot be read as tensors only \(.*print") as caught:
        load_torch_checkpoint(tmp_path / "evil.pth")
    assert "weights_only" not in str(caught.value)  # PyTorch's advice to run what the file holds
    assert "executed" not in capsys.readouterr().out
