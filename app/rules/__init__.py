"""Pure rules: merging two edits, counting on from labels, video formats, entity tags.

They import neither SQL nor HTTP, so their tests need no database. The store, the routes and sync
use them.
"""
