"""`douse report`: reads the public topics, finds the incident, writes its report and says what it is."""

import asyncio
from pathlib import Path

from stream import console
from stream.report import build as report
from stream.report import events as archive_reader
from stream.report import paragraph as report_paragraph
from stream.report import story as report_story
from stream.settings import Settings

REJECTED_SHOWN_MAX = 5  # a flooded topic must not bury the report


def main(settings: Settings, incident: str, folder: Path, as_json: bool = False) -> int:
    """Writes report.json and report.md of the incident into `folder`; returns the exit code.

    `incident` is an id, a beginning of it that fits one incident only, or `latest`. With `as_json` the report itself
    goes to stdout, else its first paragraph and the names of the files.
    """
    archive = asyncio.run(archive_reader.read(settings))
    for line in archive.rejected[:REJECTED_SHOWN_MAX]:
        console.say(f"not counted: {line}")
    if len(archive.rejected) > REJECTED_SHOWN_MAX:
        console.say(f"not counted: {len(archive.rejected) - REJECTED_SHOWN_MAX} more records")
    try:
        made = report.build(archive.events, report_story.find(archive.events, incident))
    except report_story.UnknownIncident as error:
        for line in str(error).splitlines():
            console.say(line)
        return console.USAGE
    written = report.write(made, folder)
    if as_json:
        console.print_json(made.fields())
        return console.OK
    print(report_paragraph.paragraph(made))
    print()
    for path in written:
        print(path)
    return console.OK
