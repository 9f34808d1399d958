"""A show as one document: taken out of the database, put into it again, or copied.

``show_document`` reads and writes, ``copying`` changes a document before it comes in. May import
``store`` and what stands below it; the API and the command line come in.
"""
