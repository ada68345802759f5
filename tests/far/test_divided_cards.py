"""Cards that MIG has divided: a process is on its part."""

from __future__ import annotations

import pytest
from far.four_cards import Cards

from ml_remote.far.login import nvidia_smi

DIVIDED = """\
GPU 0: A100 (UUID: GPU-1)
  MIG 1g.5gb Device 0: (UUID: MIG-1a)
  MIG 1g.5gb Device 1: (UUID: MIG-1b)
GPU 1: A100 (UUID: GPU-2)
GPU 2: A100 (UUID: GPU-3)
  MIG 3g.20gb Device 0: (UUID: MIG-GPU-3/1/0)
"""
MIG_DEVICE = (
    "<mig_device><index>{}</index><gpu_instance_id>{}</gpu_instance_id>"
    "<compute_instance_id>0</compute_instance_id></mig_device>"
)
PROCESS = (
    "<process_info><gpu_instance_id>{}</gpu_instance_id>"
    "<compute_instance_id>{}</compute_instance_id><pid>4711</pid></process_info>"
)


@pytest.mark.parametrize(
    ("busy", "processes", "taken"),
    [
        (["GPU-2"], "", ["GPU-2"]),
        (["GPU-1"], PROCESS.format(5, 0), ["MIG-1b"]),
        (["GPU-1", "GPU-3"], PROCESS.format(3, 0), ["MIG-1a", "MIG-GPU-3/1/0"]),
        (["GPU-1"], PROCESS.format(3, 0) + PROCESS.format(5, 0), ["MIG-1a", "MIG-1b"]),
        (["GPU-1"], PROCESS.format("N/A", "N/A"), ["MIG-1a", "MIG-1b"]),
        (["GPU-1"], "<", ["MIG-1a", "MIG-1b"]),
        (["GPU-3"], PROCESS.format(3, 0), ["MIG-GPU-3/1/0"]),
        (["MIG-1a"], "", ["MIG-1a"]),
        (["GPU-1"], "", []),  # it has ended between the two questions
    ],
)
def test_process_on_a_divided_card_is_on_its_part(
    four: Cards, busy: list[str], processes: str, taken: list[str]
) -> None:
    (four.folder / "listed").write_text(DIVIDED)
    four.busy(*busy)
    devices = MIG_DEVICE.format(0, 3) + MIG_DEVICE.format(1, 5)
    (four.folder / "described").write_text(
        "<?xml version='1.0' ?><nvidia_smi_log><gpu id='0'><uuid>GPU-1</uuid>"
        f"<mig_devices>{devices}</mig_devices><processes>{processes}</processes></gpu></nvidia_smi_log>"
    )
    assert nvidia_smi.cards() == ["MIG-1a", "MIG-1b", "GPU-2", "MIG-GPU-3/1/0"]
    assert sorted(nvidia_smi.busy() & set(nvidia_smi.cards())) == taken
