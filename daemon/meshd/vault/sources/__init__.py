"""Where the master key comes from: one module a source, and `chain`, which says whose turn it is.

Every source gives the key in the text form of `master.decode`. None is ever tried because another
one failed: a key that silently takes the place of another would make two halves of one database.
"""
