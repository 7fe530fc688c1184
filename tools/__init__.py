"""A house needs tools that do not move in: they prepare, draw, count and check, and no product code imports them."""
