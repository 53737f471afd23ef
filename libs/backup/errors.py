"""The one error of backups."""


class BackupError(Exception):
    """A backup cannot be made, read or restored; `problem` says why and `remedy` what to do."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
