"""Masks as other programs want them: one module per format, all driven by `run.run_export`.

A format is a class with the methods of `job.Writer`. To add one: write it in a module of its own, list it in
`run.WRITERS`, and describe it in `core.export.FORMATS`.
"""
