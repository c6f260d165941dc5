print("hello from icicle", end="")  # libraries print, and not whole lines
