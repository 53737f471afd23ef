"""`python -m services.operations`: the service as a process."""

from services.operations.service import OperationsSettings, build

if __name__ == "__main__":
    build(OperationsSettings()).run()
