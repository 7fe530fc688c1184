"""Payers speak X12, a line of text whose first 106 characters say how to read the rest.

Pure: bytes in, values out and back. Control numbers, dates and identities are handed in, never made up.
`grammar` is the text, `envelope` the nesting, `guides` the loops as data, `read_*` and `write_*` the sets.
Spec: the guides named in docs/x12.md; they are licensed, so what they say was checked against public maps only.
"""
