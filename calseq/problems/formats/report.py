"""What a check has found, as every form of a report tells it."""

from msgspec import Struct

from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem


class Report(Struct, frozen=True):
    """The problems of a check in order, the names of all files that were looked at, and how many were fixed."""

    problems: tuple[Problem, ...]
    files: tuple[str, ...]
    fixed: int = 0

    def of_file(self, name: str) -> list[Problem]:
        """Give the problems that stand in one file."""
        return [problem for problem in self.problems if problem.place and problem.place.source.name == name]


def message_and_cure(problem: Problem) -> str:
    """Say what is wrong and what to do about it, in one line."""
    message = printable(problem.message, 300)
    return f"{message}; {printable(problem.cure, 300)}" if problem.cure else message
