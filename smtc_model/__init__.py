"""Semantics Meets Temporal Correspondence (ICCV 2023, arXiv 2308.09951): model, training, measures."""
