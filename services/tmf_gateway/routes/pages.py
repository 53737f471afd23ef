"""The API's description for people and machines, from files of this machine: nothing is fetched from the internet."""

from fastapi import APIRouter


def page_routes() -> APIRouter:
    return APIRouter()
