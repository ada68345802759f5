"""The cards of this machine by nvidia-smi: which exist, and which are in use.

A card may be divided (MIG): then its parts are what is taken. A process on a part is listed below
the card, with the numbers of its part. Python 3.6 is enough.
"""

import os
import re
import subprocess
from typing import Dict, List, Set, Tuple
from xml.etree import ElementTree

from .card_locks import CardError

__all__ = ["DriverError", "busy", "cards"]

_PATIENCE = 20  # seconds; a broken driver may never answer
_UUID = re.compile(r"\b(?:GPU|MIG)-[0-9A-Za-z/-]{1,100}")
_INSTANCE = ("gpu_instance_id", "compute_instance_id")


class DriverError(CardError):
    """nvidia-smi fails or does not answer, perhaps temporarily."""


def cards() -> List[str]:
    """Return the UUIDs of the cards that can be taken here, in nvidia-smi's order.

    A card that is divided counts as its parts (MIG). Where CUDA_VISIBLE_DEVICES is set, only those
    that it names count. Raises CardError when there is none, or nvidia-smi fails.
    """
    found = []  # type: List[str]
    for card, parts in _listed():
        found += parts or [card]
    found = found or _UUID.findall(_ask("--query-gpu=uuid", "--format=csv,noheader"))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        words = [word.strip() for word in visible.split(",")]
        found = [
            uuid
            for number, uuid in enumerate(found)
            if any(word == str(number) or (word and uuid.startswith(word)) for word in words)
        ]
    if not found:
        raise CardError("This machine has no usable NVIDIA card.")
    return found


def busy() -> Set[str]:
    """Return the cards that a process is on; of a divided one, the parts. Raises CardError."""
    found = set(_UUID.findall(_ask("--query-compute-apps=gpu_uuid,pid", "--format=csv,noheader")))
    if not found:
        return found
    divided = {card: parts for card, parts in _listed() if parts and card in found}
    if divided:
        found.update(_busy_parts(divided))
    return found


def _listed() -> List[Tuple[str, List[str]]]:
    """Return each card, and the parts of one that is divided."""
    found = []  # type: List[Tuple[str, List[str]]]
    for line in _ask("-L").splitlines():
        uuid = _UUID.search(line)
        if uuid is None:
            continue
        if uuid.group().startswith("MIG-") and found and found[-1][0].startswith("GPU-"):
            found[-1][1].append(uuid.group())
        else:
            found.append((uuid.group(), []))
    return found


def _busy_parts(divided: Dict[str, List[str]]) -> List[str]:
    """Return the parts that a process is on; all of a card where that is not told."""
    try:
        known = {
            one.findtext("uuid", "").strip(): one
            for one in ElementTree.fromstring(_ask("-q", "-x")).iter("gpu")
        }
    except ElementTree.ParseError:
        known = {}
    found = []  # type: List[str]
    for card, parts in divided.items():
        numbers = _numbers_of_busy_parts(known[card]) if card in known else set(range(len(parts)))
        # One that is not listed is somewhere on the card.
        is_known = numbers.issubset(range(len(parts)))
        found += [part for number, part in enumerate(parts) if number in numbers or not is_known]
    return found


def _numbers_of_busy_parts(gpu: ElementTree.Element) -> Set[int]:
    """Return the parts of a card that processes are on, by their place; -1 for one not listed."""
    places = {
        _instance(one): int(one.findtext("index", "-1"))
        for one in gpu.iter("mig_device")
        if one.findtext("index", "").strip().isdigit()
    }
    return {places.get(_instance(one), -1) for one in gpu.iter("process_info")}


def _instance(element: ElementTree.Element) -> Tuple[str, ...]:
    return tuple(element.findtext(name, "").strip() for name in _INSTANCE)


def _ask(*words: str) -> str:
    """Return what nvidia-smi prints. Raises CardError when it fails, or does not answer."""
    try:
        done = subprocess.run(
            ["nvidia-smi", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PATIENCE,
        )
    except (FileNotFoundError, PermissionError):  # the latter where PATH has an unreadable folder
        raise CardError("This machine has no NVIDIA card: there is no nvidia-smi.") from None
    except subprocess.TimeoutExpired:
        raise DriverError(
            "nvidia-smi has not answered for {} s. Whoever runs the machine can help.".format(
                _PATIENCE
            )
        ) from None
    said = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        reason = lines[0] if lines else "it ended with {}".format(done.returncode)
        raise DriverError("nvidia-smi fails: {}".format(reason))
    return said
