"""Semantics Meets Temporal Correspondence (ICCV 2023, arXiv 2308.09951): model, training, measures."""

import os

# Apple's GPUs lack some of torch's operations, which then run on the CPU; read when torch is first imported.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
