"""Warnings of rate books: what a sound book says that its author may not have meant. Faults make a book unusable, warnings do not.

review(read_book_document(text, "book.yaml"))   # [Fault]: file, line, path, what is odd, what to do about it
"""

from libs.tariffs.review.book import review

__all__ = ["review"]
