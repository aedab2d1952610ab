"""The chat in a terminal. Without one, it answers the question on standard input."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import openai
from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory
from rich.console import Console
from rich.text import Text as Styled

from assistant.dialogue import Dialogue
from assistant.events import Forgot, Step, Text, Told, ToolCall, ToolProgress, ToolStep
from assistant.openai_errors import sentence
from assistant.pictures_here import PictureError, as_people_write, fetch_picture
from serving.errors import UserError
from serving.images.preview import show
from serving.registry import default_model

HELP = """\
  /new    forget this conversation
  /help   this list
  /quit   leave (Ctrl-D does too)
Ctrl-C stops an answer; the arrow keys bring back what you wrote before."""


class AnswerError(UserError):
    """The API did not answer."""

    exit_code = 6


def talk(
    dialogue: Dialogue, history_file: Path, report: Path | None = None, of_pictures: Callable[[], str] = str
) -> None:
    """Chat until the person leaves; with no terminal on standard input, answer once.

    `report` is linked; `of_pictures` says what there is to know of a picture just drawn, or nothing.
    Raises `UserError` when the single question cannot be answered.
    """
    if sys.stdin.isatty():
        Terminal(dialogue, history_file, report, of_pictures).run()
    else:
        _answer_once(dialogue, sys.stdin.read().strip())


class Terminal:
    """The screen: a header, a line editor with history, answers as they come."""

    def __init__(
        self,
        dialogue: Dialogue,
        history_file: Path,
        report: Path | None = None,
        of_pictures: Callable[[], str] = str,
    ) -> None:
        history_file.parent.mkdir(parents=True, exist_ok=True)
        self.dialogue = dialogue
        self.report = report
        self.of_pictures = of_pictures
        self.console = Console(highlight=False, soft_wrap=True)
        self.session = PromptSession(history=FileHistory(history_file))
        self.busy = self.console.status("")
        self.midline = False
        self.running = ""

    def run(self) -> None:
        """Read, answer, repeat."""
        self.console.print()
        self.console.print(Styled(f" {self.dialogue.model} ", "bold white on dark_green"), end="  ")
        self.console.print("/help for help, Ctrl-D to leave", style="dim")
        self.console.print(_how_good(self.dialogue.model, self.report), style="dim", markup=False)
        while True:
            self.console.print()
            try:
                line = self.session.prompt(FormattedText([("ansigreen bold", "› ")])).strip()
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            if line == "/quit":
                return
            if line:
                self._obey(line) if line.startswith("/") else self._answer(line)

    def _obey(self, command: str) -> None:
        if command == "/new":
            self.dialogue.forget()
            self._note("A new conversation.")
        elif command == "/help":
            self._note(HELP)
        else:
            self._note(f"There is no command {command}; /help lists them.")

    def _answer(self, question: str) -> None:
        self.midline = False
        try:
            self._follow(question)
        except KeyboardInterrupt:
            self.console.print(" [stopped]" if self.midline else "[stopped]", style="dim", markup=False, end="")
            self.midline = True
        except (openai.OpenAIError, UserError) as error:
            told = _printable(sentence(error))
            self.console.print("\n" if self.midline else "", told, style="red", markup=False, sep="")
            self.midline = False
        if self.midline:
            self.console.print()

    def _follow(self, question: str) -> None:
        """Show what happens as it happens."""
        try:
            for event in self.dialogue.answer(question):
                self.busy.stop()
                if self.midline and not isinstance(event, Text):
                    self.console.print()
                self.midline = isinstance(event, Text)
                self._show(event)
        finally:
            self.busy.stop()

    def _show(self, event: Told) -> None:
        match event:
            case Text(text):
                self.console.print(_printable(text), end="", markup=False)
            case ToolCall(_, name, arguments):
                self.running = _called(name, arguments)
                self._wait_for(self.running)
            case ToolProgress(_, text):
                self._wait_for(f"{self.running} ({text})")
            case ToolStep(_, step):
                pictures = _pictures(step)
                self._note(_tool_line(step, pictures))
                for picture in pictures:
                    self._show_picture(picture)
            case Forgot():
                self._note("(The oldest turn no longer fits into the context and was dropped.)")

    def _wait_for(self, what: str) -> None:
        self.busy.update(Styled(_printable(what), "dim"))
        self.busy.start()

    def _show_picture(self, picture: Path) -> None:
        show([picture.read_bytes()])
        if known := self.of_pictures():
            self._note(known)

    def _note(self, text: str) -> None:
        self.console.print(_printable(text), style="dim", markup=False, soft_wrap=False)


def _how_good(model: str, report: Path | None) -> str:
    """Where the report is, or the command that makes one."""
    if report:
        return f"How good is it? {report.as_uri()}"
    command = "homegrown eval report" if model == Path(default_model()).name else f"homegrown eval run {model}"
    return f"How good is it? Not measured yet: {command} does that in a few minutes."


def _answer_once(dialogue: Dialogue, question: str) -> None:
    if not question:
        raise UserError("No question came on standard input: pipe one in, as in `echo Who are you? | homegrown chat`.")
    try:
        for event in dialogue.answer(question):
            if isinstance(event, Text):
                print(_printable(event.text) if sys.stdout.isatty() else event.text, end="", flush=True)
            elif isinstance(event, ToolStep):
                print(_printable(_tool_line(event.step, _pictures(event.step))), file=sys.stderr)
    except openai.OpenAIError as error:
        raise AnswerError(_printable(sentence(error))) from None
    print()


def _pictures(step: Step) -> list[Path]:
    """The step's pictures as files here; what cannot be fetched becomes the step's result."""
    try:
        return [fetch_picture(picture["url"], picture["prompt"]) for picture in step["pictures"]]
    except PictureError as error:
        step["result"] = f"error: {error}"
        return []


def _tool_line(step: Step, pictures: list[Path]) -> str:
    shown = ", ".join(map(as_people_write, pictures)) or step["result"]
    return f"{_called(step['name'], step['arguments'])} → {shown}"


def _called(name: str, arguments: str) -> str:
    try:
        given = json.loads(arguments or "{}")
    except ValueError:
        given = arguments
    said = ", ".join(map(str, given.values())) if isinstance(given, dict) else str(given)
    return f"⚙ {name} {said}".rstrip()


def _printable(text: str) -> str:
    """Without the control characters by which a model could drive the terminal."""
    return "".join(char for char in text if char in "\n\t" or char.isprintable())
