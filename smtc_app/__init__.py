"""smtc-app: annotate videos from self-supervised object proposals and propagate the labels."""

__version__ = "0.1.0"
