"""Rate books from their texts, each read once: in most of their examples properties ask for the same few."""

from functools import lru_cache

from libs.pricing import parse_rate_book

BOOKS_REMEMBERED_MAX = 256

read_book = lru_cache(BOOKS_REMEMBERED_MAX)(parse_rate_book)
