"""`python -m services.rating`: the service as a process."""

from services.rating.service import RatingSettings, build

if __name__ == "__main__":
    build(RatingSettings()).run()
