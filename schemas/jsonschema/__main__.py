"""Writes the JSON Schema of every event beside this file: `python -m schemas.jsonschema`."""

from pathlib import Path

from schemas import eventschema

if __name__ == "__main__":
    for name in eventschema.EVENTS:
        (Path(__file__).parent / eventschema.file_name(name)).write_text(eventschema.file_text(name), encoding="utf-8")
