"""What all tests stand on."""

import signal

# A shell that runs the tests in the background has them ignore Ctrl-C, and so would every process
# that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
