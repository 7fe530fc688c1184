"""The revenue cycle as a story: what happens to a visit's bill, decided by the core and told to the world through ports."""
