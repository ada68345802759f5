"""Compute with torch as the labs do, and print on what; see `inside.Device`."""

import importlib.util
import json
import sys

# What CUDA says of a build that has no code for this card, or none for its driver.
_LASTING = ("no kernel image", "not compatible", "invalid device function", "CUDNN_STATUS", "PTX")


def main() -> None:
    """Print a line of JSON: `summary`, `problem`, `is_lasting`; no device without torch."""
    python = sys.version.split()[0]
    if importlib.util.find_spec("torch") is None:
        print(json.dumps({"summary": f"Python {python}", "problem": "", "is_lasting": False}))
        return
    import torch

    accelerator = torch.accelerator.current_accelerator(check_available=True)
    name = "the CPU" if accelerator is None else accelerator.type
    problem = ""
    if torch.cuda.is_available():
        name = f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
    if accelerator is not None:
        try:
            _compute(accelerator.type)
        except Exception as error:  # whatever the driver, cudnn and torch raise
            problem = (str(error).strip() or repr(error)).splitlines()[0]
    summary = f"Python {python}, torch {torch.__version__}, running on {name}"
    is_lasting = any(words in problem for words in _LASTING)
    print(json.dumps({"summary": summary, "problem": problem, "is_lasting": is_lasting}))


def _compute(device: str) -> None:
    """Train a convolution for one step, in bfloat16 where the labs would."""
    import torch

    layer = torch.nn.Conv2d(3, 4, 3).to(device)
    images = torch.ones(2, 3, 8, 8, device=device)  # (B, C, H, W)
    dtype = torch.bfloat16 if device == "cuda" and torch.cuda.is_bf16_supported() else None
    with torch.autocast(device, dtype=dtype or torch.float16, enabled=dtype is not None):
        loss = layer(images).float().mean()
    loss.backward()
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
