"""`smtc-app correct-next PROJECT`: which frames of a project to correct next, and why."""

from __future__ import annotations

import argparse
from pathlib import Path

from smtc_app.cli_arguments import verb_parser
from smtc_app.cli_context import CommandContext, Console


def _parser(verb: str) -> argparse.ArgumentParser:
    parser = verb_parser(verb, "List the frames whose correction would help most, each with its reason.")
    parser.add_argument("project", type=Path, metavar="PROJECT", help="folder <name>.smtc")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.add_argument("--verbose", action="store_true", help="tell more on stderr")
    return parser


def _correct_next(options: argparse.Namespace, context: CommandContext, console: Console) -> tuple[dict, str]:
    from smtc_app.core.correct_next import evidence_of, suggest
    from smtc_app.io.project import load_project

    info, document = load_project(options.project)
    for note in info.notes:
        console.say(note)
    try:
        found = suggest(
            evidence_of(document), keyframes=document.keyframes, locked=tuple(document.locked_frames)
        )
    finally:
        document.close()
    rows = [
        {"frame": s.frame, "object": s.object_id, "gain": round(s.gain, 2), "reason": s.reason} for s in found
    ]
    lines = [f"frame {s.frame}: {s.reason}" for s in found]
    return {"correct_next": rows}, "\n".join(lines) or "There is nothing to correct."


REVIEW_VERBS = {"correct-next": (_parser, _correct_next)}
