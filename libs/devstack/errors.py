"""What keeps the stack from running, with what its user can do about it."""


class StackError(Exception):
    """`problem` says what is wrong, `remedy` what to do about it; both fit on one line without a final stop."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}: {remedy}")
        self.problem = problem
        self.remedy = remedy
