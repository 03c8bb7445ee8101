"""How real Azure was observed to behave, played again; a package so that its clouds end with it."""
