"""Who looks for a code knows a word, half a word, a wrong spelling or the code itself; the table knows one official title.

A search brings the two together in a few milliseconds, over the whole of ICD-10-CM, and answers only with codes that exist.
Tables come in as they were compiled at set-up; nothing here reads a file.
"""
