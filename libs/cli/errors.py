"""What a command raises when it cannot do what was asked, for a reason that its user can act on."""


class CommandError(Exception):
    """`problem` says what is wrong, `remedy` what to do about it; both fit on one line without a final stop."""

    def __init__(self, problem: str, remedy: str = "", *, exit_code: int = 1) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.exit_code = exit_code
