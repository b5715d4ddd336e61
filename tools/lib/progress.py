# SPDX-License-Identifier: MIT
"""Says how far a run is: a bar on a terminal, a plain line now and then elsewhere."""
import shutil
import sys
import time


class Progress:
    PLAIN_EVERY = 10  # seconds

    def __init__(self, total_seconds, out=sys.stderr):
        self.start = self.said = time.monotonic()
        self.total = max(total_seconds, 1e-9)
        self.out = out
        self.is_terminal = out.isatty()

    def line(self, text):
        """A step worth a line of its own."""
        self.clear()
        print(text, file=self.out, flush=True)

    def at(self, seconds_done, what):
        share = min(seconds_done / self.total, 1)
        now = time.monotonic()
        if self.is_terminal:
            width = shutil.get_terminal_size().columns
            filled = round(30 * share)
            left = max(self.total - seconds_done, 0)
            text = f"[{'#' * filled}{'.' * (30 - filled)}] {share:4.0%} {left:4.0f} s left  {what}"
            self.out.write("\r\033[K" + text[:width - 1])
            self.out.flush()
        elif now - self.said >= self.PLAIN_EVERY:
            self.said = now
            print(f"{share:4.0%}  {what}", file=self.out, flush=True)

    def clear(self):
        if self.is_terminal:
            self.out.write("\r\033[K")
            self.out.flush()
