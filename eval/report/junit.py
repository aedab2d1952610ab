"""The report for a CI server: a test case per figure, and one per task that asks whether every request was answered.

Without a baseline no figure can fail: a number is no test. With one, a figure that got worse is a failure; what could
not be measured or compared is skipped; requests without an answer are an error, as nothing is known of them.
"""

import re
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from eval.report.changes import detail, short, why
from eval.report.page import Page
from eval.report.rows import Chapter, Row
from eval.report.words import counted, figure_text

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(page: Page) -> str:
    """The whole file."""
    root = Element("testsuites", name=_text(f"{page.result.identity['model']} {page.result.identity['suite']}"))
    suites = [_figures(root, chapter) for chapter in page.chapters]
    suites.append(_requests(root, page))
    for suite in (*suites, root):
        cases = list(suite.iter("testcase"))
        suite.set("tests", str(len(cases)))
        for kind, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            suite.set(name, str(sum(case.find(kind) is not None for case in cases)))
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _figures(root: Element, chapter: Chapter) -> Element:
    suite = SubElement(root, "testsuite", name=_text(chapter.key))
    for block in chapter.blocks:
        for row in block.rows:
            case = SubElement(suite, "testcase", classname=_text(f"{chapter.key}.{block.title}"), name=_text(row.label))
            _judge(case, row)
            SubElement(case, "system-out").text = _text(
                f"{row.figure.key}: {figure_text(row.figure)}, n {row.figure.n}"
            )
    return suite


def _judge(case: Element, row: Row) -> None:
    change = row.change
    if row.figure.estimate is None:
        _say(case, "skipped", f"not measurable: {row.figure.why_not}")
    elif change and change.outcome in ("incomparable", "unmeasurable"):
        _say(case, "skipped", f"not compared with the baseline: {why(change)}")
    elif change and change.outcome == "worse":
        _say(case, "failure", f"{short(change)}; {detail(change)}")


def _requests(root: Element, page: Page) -> Element:
    suite = SubElement(root, "testsuite", name="requests")
    for task, planned in page.result.identity["tasks"].items():
        case = SubElement(suite, "testcase", classname="requests", name=_text(f"{task}: every request was answered"))
        records = [record for record in page.result.records if record.task == task]
        errors = [record.error or "" for record in records if record.status == "error"]
        unasked = planned["cases"] - len(records)
        if errors:
            _say(case, "error", f"{counted(len(errors), 'request')} without an answer, the first: {errors[0]}")
        elif unasked:
            _say(case, "error", f"{counted(unasked, 'request')} not asked: the run was not finished")
    _skipped(suite, page.skipped)
    return suite


def _skipped(suite: Element, tasks: dict[str, str]) -> None:
    for task, reason in tasks.items():
        case = SubElement(suite, "testcase", classname="requests", name=_text(f"{task}: every request was answered"))
        _say(case, "skipped", reason)


def _say(case: Element, kind: str, message: str) -> None:
    SubElement(case, kind, message=_text(message))


def _text(content: str) -> str:
    """Without the characters that XML cannot hold."""
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", content)
